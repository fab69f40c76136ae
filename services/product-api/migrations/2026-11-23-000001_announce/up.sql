-- Triggers write the changes to the outbox, in the transaction of each change. Every writer of the catalogue, including
-- psql, therefore causes an event, and a change that is rolled back causes none. The migration of crates/outbox creates
-- the outbox before this one runs.

create function announce(kind text, change jsonb) returns jsonb language sql volatile as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'event_id', gen_random_uuid(),
        'schema', 1,
        'type', kind,
        'traceparent', nullif(current_setting('shop.traceparent', true), ''),
        'occurred_at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) || change)
$$;

-- Per statement, not per row: a price rise over the whole catalogue is one more insert, not a hundred thousand. Rows
-- with the same version have not changed.
--
-- Unqualified names resolve only in `pg_catalog`, so each name is qualified. A session's search_path, or a temporary
-- table of the same name, therefore has no effect. The functions run as their owner, because a role that may write a
-- product need not have any right on the outbox. Only these functions call `announce`, and therefore with the same
-- search_path.
create function products_announce() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into public.outbox (event)
        select public.announce('product.created', jsonb_build_object(
            'product_id', id, 'version', version, 'category_id', category_id, 'changed', '[]'::jsonb))
        from new_rows order by id;
    elsif tg_op = 'DELETE' then
        insert into public.outbox (event)
        select public.announce('product.deleted', jsonb_build_object(
            'product_id', id, 'version', version, 'category_id', category_id, 'changed', '[]'::jsonb))
        from old_rows order by id;
    else
        insert into public.outbox (event)
        select public.announce('product.updated', jsonb_build_object(
            'product_id', n.id, 'version', n.version, 'category_id', n.category_id,
            'previous_category_id', case when o.category_id <> n.category_id then o.category_id end,
            'changed', to_jsonb(array_remove(array[
                case when n.name <> o.name then 'name' end,
                case when n.description <> o.description then 'description' end,
                case when n.price_cents <> o.price_cents then 'price_cents' end,
                case when n.stock <> o.stock then 'stock' end,
                case when n.category_id <> o.category_id then 'category_id' end,
                case when n.featured <> o.featured then 'featured' end], null))))
        from new_rows n join old_rows o using (id)
        where n.version <> o.version order by n.id;
    end if;
    notify outbox;
    return null;
end
$$;

create trigger products_announce_insert after insert on products
    referencing new table as new_rows for each statement execute function products_announce();
create trigger products_announce_update after update on products
    referencing old table as old_rows new table as new_rows for each statement execute function products_announce();
create trigger products_announce_delete after delete on products
    referencing old table as old_rows for each statement execute function products_announce();

create function categories_announce() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into public.outbox (event)
        select public.announce('category.updated',
            jsonb_build_object('category_id', id, 'version', version, 'changed', '[]'::jsonb))
        from new_rows order by id;
    elsif tg_op = 'DELETE' then
        insert into public.outbox (event)
        select public.announce('category.updated',
            jsonb_build_object('category_id', id, 'version', version, 'changed', '[]'::jsonb))
        from old_rows order by id;
    else
        insert into public.outbox (event)
        select public.announce('category.updated', jsonb_build_object(
            'category_id', n.id, 'version', n.version,
            'changed', to_jsonb(array_remove(array[
                case when n.name <> o.name then 'name' end,
                case when n.description <> o.description then 'description' end], null))))
        from new_rows n join old_rows o using (id)
        where n.version <> o.version order by n.id;
    end if;
    notify outbox;
    return null;
end
$$;

create trigger categories_announce_insert after insert on categories
    referencing new table as new_rows for each statement execute function categories_announce();
create trigger categories_announce_update after update on categories
    referencing old table as old_rows new table as new_rows for each statement execute function categories_announce();
create trigger categories_announce_delete after delete on categories
    referencing old table as old_rows for each statement execute function categories_announce();

-- Refuses statements that the triggers above do not see or cannot represent.
create function refuse() returns trigger language plpgsql as $$
begin
    raise exception '%', tg_argv[0];
end
$$;
create trigger products_refuse_truncate before truncate on products
    for each statement execute function refuse('TRUNCATE would not be announced; use DELETE');
create trigger categories_refuse_truncate before truncate on categories
    for each statement execute function refuse('TRUNCATE would not be announced; use DELETE');
create trigger products_refuse_new_id before update of id on products
    for each row when (old.id <> new.id) execute function refuse('every cache knows the row by its id; insert another one');
create trigger categories_refuse_new_id before update of id on categories
    for each row when (old.id <> new.id) execute function refuse('every cache knows the row by its id; insert another one');
