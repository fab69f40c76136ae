-- Every change is recorded in the outbox: by any role that may write the table, under any session settings, by COPY, by
-- MERGE and by a data-only restore. The database also assigns only ids that are free.
--
-- Three cases cannot be covered, and the operator must avoid them: a role that disables triggers (ALTER TABLE … DISABLE
-- TRIGGER, pg_restore --disable-triggers), a table that inherits from one of these and is written directly, and a
-- subscription that replicates into these tables (its worker fires no statement triggers).

-- Unqualified names resolve only in `pg_catalog`, so each name is qualified.
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
    foreach name in array array['products', 'categories'] loop
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

alter table products alter id set default products_next_id();
alter table categories alter id set default categories_next_id();
