-- Every change is recorded in the outbox: by any role that may write the table, under any session settings, by COPY, by
-- MERGE and by a data-only restore.
--
-- Three cases cannot be covered, and the operator must avoid them: a role that disables triggers (ALTER TABLE … DISABLE
-- TRIGGER, pg_restore --disable-triggers), a table that inherits from one of these and is written directly, and a
-- subscription that replicates into these tables (its worker fires no statement triggers).

-- Unqualified names resolve only in `pg_catalog`, so each name is qualified.
create or replace function advance_version() returns trigger language plpgsql as $$
begin
    new.version := old.version;
    if new is distinct from old then
        new.version := old.version operator(pg_catalog.+) 1;
    end if;
    return new;
end
$$;

-- Fires also in a session with session_replication_role = replica.
alter table cart_items enable always trigger cart_items_advance_version;
alter table cart_items enable always trigger cart_items_announce_insert;
alter table cart_items enable always trigger cart_items_announce_update;
alter table cart_items enable always trigger cart_items_refuse_delete;
alter table cart_items enable always trigger cart_items_refuse_truncate;
alter table cart_items enable always trigger cart_items_refuse_new_key;
alter table carts enable always trigger carts_refuse_delete;
alter table carts enable always trigger carts_refuse_truncate;
alter table carts enable always trigger carts_refuse_new_id;
