-- Every change is recorded in the outbox: by any role that may write the table, under any session settings, by COPY, by
-- MERGE and by a data-only restore. The database also assigns only ids that are free.
--
-- Three cases cannot be covered, and the operator must avoid them: a role that disables triggers (ALTER TABLE … DISABLE
-- TRIGGER, pg_restore --disable-triggers), a table that inherits from one of these and is written directly, and a
-- subscription that replicates into these tables (its worker fires no statement triggers).

-- Unqualified names resolve only in `pg_catalog`, so each name is qualified. A session's search_path, or a temporary
-- table of the same name, therefore has no effect. The functions run as their owner, because a role that may write a
-- product need not have any right on the outbox. Only these functions call `announce`, and therefore with the same
-- search_path.
create or replace function advance_version() returns trigger language plpgsql as $$
begin
    -- A value that the statement sets here is ignored, and does not count as a change.
    new.version := old.version;
    new.updated_at := old.updated_at;
    if new is distinct from old then
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
                case when n.name <> o.name then 'name' end,
                case when n.description <> o.description then 'description' end], null))))
        from new_rows n join old_rows o using (id)
        where n.version <> o.version order by n.id;
    end if;
    notify outbox;
    return null;
end
$$;

-- Fires also in a session with session_replication_role = replica.
alter table products enable always trigger products_advance_version;
alter table products enable always trigger products_announce_insert;
alter table products enable always trigger products_announce_update;
alter table products enable always trigger products_announce_delete;
alter table products enable always trigger products_refuse_truncate;
alter table products enable always trigger products_refuse_new_id;
alter table categories enable always trigger categories_advance_version;
alter table categories enable always trigger categories_announce_insert;
alter table categories enable always trigger categories_announce_update;
alter table categories enable always trigger categories_announce_delete;
alter table categories enable always trigger categories_refuse_truncate;
alter table categories enable always trigger categories_refuse_new_id;

-- An id that was chosen by hand can collide with the sequence. Each function below moves the sequence past the whole
-- run of used ids, in one step. It does not see a transaction that inserts the same id at the same time. Then the
-- primary key refuses the second insert, and the API retries.
do $$
declare
    name text;
    last bigint;
    is_called boolean;
begin
    foreach name in array array['products', 'categories', 'outbox'] loop
        execute format('select last_value, is_called from %I', name || '_id_seq') into last, is_called;
        execute format('alter table %I alter id drop identity', name);
        execute format('create sequence %I owned by %I.id', name || '_id_seq', name);
        perform setval((name || '_id_seq')::regclass, last, is_called);
    end loop;
end
$$;

create function products_next_id() returns bigint language plpgsql volatile
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    candidate bigint := nextval('public.products_id_seq');
    free bigint;
begin
    while exists (select from public.products where id = candidate) loop
        -- One session at a time, so that the sequence is never set back.
        perform pg_advisory_xact_lock(hashtextextended('public.products_id_seq', 0));
        select used.id + 1 into strict free from public.products used
        where used.id >= candidate and not exists (select from public.products other where other.id = used.id + 1)
        order by used.id limit 1;
        perform setval('public.products_id_seq', free, false) from public.products_id_seq where last_value < free;
        candidate := nextval('public.products_id_seq');
    end loop;
    return candidate;
end
$$;

create function categories_next_id() returns bigint language plpgsql volatile
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    candidate bigint := nextval('public.categories_id_seq');
    free bigint;
begin
    while exists (select from public.categories where id = candidate) loop
        perform pg_advisory_xact_lock(hashtextextended('public.categories_id_seq', 0));
        select used.id + 1 into strict free from public.categories used
        where used.id >= candidate and not exists (select from public.categories other where other.id = used.id + 1)
        order by used.id limit 1;
        perform setval('public.categories_id_seq', free, false) from public.categories_id_seq where last_value < free;
        candidate := nextval('public.categories_id_seq');
    end loop;
    return candidate;
end
$$;

-- Called for each event, so it has no settings of its own. The triggers above call it under their settings.
create function outbox_next_id() returns bigint language plpgsql volatile as $$
declare
    candidate bigint := nextval('public.outbox_id_seq');
    free bigint;
begin
    while exists (select from public.outbox where id = candidate) loop
        perform pg_advisory_xact_lock(hashtextextended('public.outbox_id_seq', 0));
        select used.id + 1 into strict free from public.outbox used
        where used.id >= candidate and not exists (select from public.outbox other where other.id = used.id + 1)
        order by used.id limit 1;
        perform setval('public.outbox_id_seq', free, false) from public.outbox_id_seq where last_value < free;
        candidate := nextval('public.outbox_id_seq');
    end loop;
    return candidate;
end
$$;

alter table products alter id set default products_next_id();
alter table categories alter id set default categories_next_id();
alter table outbox alter id set default outbox_next_id();

-- A restore inserts the outbox rows of the backup after those that the restore itself has caused. Their ids have no
-- meaning (events are identified by event_id and ordered by seq), so the second row with an id gets another one.
create function outbox_take_free_id() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from public.outbox where id = new.id) then
        new.id := public.outbox_next_id();
    end if;
    return new;
end
$$;
create trigger outbox_take_free_id before insert on outbox
    for each row when (pg_trigger_depth() = 0) execute function outbox_take_free_id();
alter table outbox enable always trigger outbox_take_free_id;
