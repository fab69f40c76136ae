-- A change is any change of the bytes of a row. `is distinct from` compares with the equality of each type: it finds `Lamp` and
-- `LAMP` equal if the column ignores case, and fails for a type without equality, such as `json`.
create or replace function advance_version() returns trigger language plpgsql as $$
begin
    -- A value that the statement sets here is ignored, and does not count as a change.
    new.version := old.version;
    new.updated_at := old.updated_at;
    if new operator(pg_catalog.*<>) old then
        new.version := old.version operator(pg_catalog.+) 1;
        new.updated_at := pg_catalog.now();
    end if;
    return new;
end
$$;

create or replace function products_announce() returns trigger language plpgsql
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
                case when n.name::text <> o.name::text collate "C" then 'name' end,
                case when n.description::text <> o.description::text collate "C" then 'description' end,
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

create or replace function categories_announce() returns trigger language plpgsql
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
                case when n.name::text <> o.name::text collate "C" then 'name' end,
                case when n.description::text <> o.description::text collate "C" then 'description' end], null))))
        from new_rows n join old_rows o using (id)
        where n.version <> o.version order by n.id;
    end if;
    notify outbox;
    return null;
end
$$;
