-- Every change is recorded in the outbox: by any role that may write the table, under any session settings, by COPY, by
-- MERGE and by a data-only restore.
--
-- Three cases cannot be covered, and the operator must avoid them: a role that disables triggers (ALTER TABLE … DISABLE
-- TRIGGER, pg_restore --disable-triggers), a table that inherits from one of these and is written directly, and a
-- subscription that replicates into these tables (its worker fires no statement triggers).

-- Unqualified names resolve only in `pg_catalog`, so each name is qualified. A session's search_path, or a temporary
-- table of the same name, therefore has no effect. The function runs as its owner, because a role that may write a line
-- need not have any right on the outbox. Only this function calls `announce`, and therefore with the same search_path.
create or replace function advance_version() returns trigger language plpgsql as $$
begin
    new.version := old.version;
    if new is distinct from old then
        new.version := old.version operator(pg_catalog.+) 1;
    end if;
    return new;
end
$$;

create or replace function cart_items_announce() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into public.outbox (event)
        select public.announce('cart.item_added', jsonb_build_object(
            'cart_id', cart_id, 'product_id', product_id, 'quantity', quantity, 'version', version))
        from new_rows where quantity > 0 order by cart_id, product_id;
    else
        insert into public.outbox (event)
        select public.announce(case when n.quantity > 0 then 'cart.item_added' else 'cart.item_removed' end,
            jsonb_build_object(
                'cart_id', n.cart_id, 'product_id', n.product_id, 'quantity', n.quantity, 'version', n.version))
        from new_rows n join old_rows o using (cart_id, product_id)
        where n.version <> o.version and (n.quantity > 0 or o.quantity > 0) order by n.cart_id, n.product_id;
    end if;
    notify outbox;
    return null;
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

-- An id that was restored or chosen by hand can collide with the sequence. One step moves the sequence past the whole
-- run of used ids.
do $$
declare
    last bigint;
    is_called boolean;
begin
    select s.last_value, s.is_called into last, is_called from outbox_id_seq s;
    alter table outbox alter id drop identity;
    create sequence outbox_id_seq owned by outbox.id;
    perform setval('outbox_id_seq', last, is_called);
end
$$;

-- Called for each event, so it has no settings of its own. The trigger above calls it under its settings.
create function outbox_next_id() returns bigint language plpgsql volatile as $$
declare
    candidate bigint := nextval('public.outbox_id_seq');
    free bigint;
begin
    while exists (select from public.outbox where id = candidate) loop
        -- One session at a time, so that the sequence is never set back.
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
