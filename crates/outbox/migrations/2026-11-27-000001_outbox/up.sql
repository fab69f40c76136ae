-- The outbox: triggers of the service write its changes, in the transaction of each change. The relay numbers the rows,
-- appends them to the stream, and marks them done.
--
-- Idempotent: before this migration, each service created the same outbox itself, and its database keeps that one.

create sequence if not exists outbox_id_seq;

-- Called for each event, so it has no settings of its own; a trigger calls it under its settings. An id that was
-- restored or chosen by hand can collide with the sequence. One step moves the sequence past the whole run of used ids.
create or replace function outbox_next_id() returns bigint language plpgsql volatile as $$
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

-- The writer is the name that the writing transaction has set (`SET LOCAL shop.writer = 'explicit'`): such a writer
-- invalidates its own entry after COMMIT. It is recorded in the transaction of the change, so the relay can repeat the
-- invalidation even if the writer is killed in between. A default, not a column of the trigger's INSERT: the setting of
-- the transaction applies to every insert of a row.
create table if not exists outbox (
    id          bigint primary key default outbox_next_id(),
    event       jsonb not null,
    occurred_at timestamptz not null default clock_timestamp(),
    seq         bigint,
    done_at     timestamptz,
    writer      text default nullif(current_setting('shop.writer', true), '')
);
alter sequence outbox_id_seq owned by outbox.id;

create unique index if not exists outbox_seq on outbox (seq);
-- The rows that are not yet numbered, and those that are not yet appended: a handful at any time.
create index if not exists outbox_to_number on outbox (id) where seq is null;
create index if not exists outbox_to_append on outbox (seq) where done_at is null;

-- A restore inserts the outbox rows of the backup after those that the restore itself has caused. Their ids have no
-- meaning (events are identified by event_id and ordered by seq), so the second row with an id gets another one.
create or replace function outbox_take_free_id() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from public.outbox where id = new.id) then
        new.id := public.outbox_next_id();
    end if;
    return new;
end
$$;
create or replace trigger outbox_take_free_id before insert on outbox
    for each row when (pg_trigger_depth() = 0) execute function outbox_take_free_id();
alter table outbox enable always trigger outbox_take_free_id;

-- The ids of outbox rows are taken before the commit, and commit in another order: a reader of "every row above the
-- last one that I saw" would miss rows. The numbers are therefore assigned afterwards, to committed rows, by the holder
-- of this row's lock. They are dense: a missing number is a missing event.
create table if not exists outbox_head (
    id         smallint primary key default 1
               constraint outbox_head_has_one_row check (id = 1),
    seq        bigint not null default 0,
    run_id     text,
    epoch      uuid not null default gen_random_uuid(),
    last_epoch uuid
);
-- Not `on conflict do nothing`: the trigger below would begin an epoch.
insert into outbox_head (id) select 1 where not exists (select from outbox_head);

-- An epoch distinguishes two histories of the outbox. A database that is restored from a backup assigns the numbers
-- after the backup again, to other events. Each relay begins an epoch when it connects, before it numbers anything, so
-- an event is identified by its epoch and its number together; see docs/adr/0019.
create table if not exists outbox_epochs (
    epoch     uuid primary key,
    first_seq bigint not null
);
create index if not exists outbox_epochs_first_seq on outbox_epochs (first_seq);

-- A manual restore into a database with connected relays: lowering or replacing the head also begins an epoch.
create or replace function outbox_head_begin_epoch() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' or new.seq < old.seq then
        new.epoch := gen_random_uuid();
        execute format('delete from %I.outbox_epochs where first_seq > $1', tg_table_schema) using new.seq;
        execute format('select (select epoch from %I.outbox_epochs order by first_seq desc limit 1)', tg_table_schema)
            into new.last_epoch;
    end if;
    return new;
end
$$;
create or replace trigger outbox_head_begin_epoch before insert or update of seq on outbox_head
    for each row execute function outbox_head_begin_epoch();
alter table outbox_head enable always trigger outbox_head_begin_epoch;

comment on table outbox is 'Committed changes on their way to the stream, and those of the last hour';
comment on column outbox.event is 'The event as it is published, but for its seq and its epoch';
comment on column outbox.occurred_at is 'When the change was written; its transaction may have committed later';
comment on column outbox.seq is 'Dense, in the order in which rows were numbered; null until then';
comment on column outbox.done_at is 'When it was appended to the stream; null until then';
comment on column outbox.writer is 'What the writing transaction called itself; null when it did not';
comment on table outbox_head is 'The last number given; a single row, locked by the relay that numbers';
comment on column outbox_head.run_id is 'The run of Redis that the stream was last seen in';
comment on table outbox_epochs is 'The epochs in which events were numbered; one belongs to the numbers up to the next one';
comment on column outbox_epochs.first_seq is 'The first number that was given in it';
comment on column outbox_head.epoch is 'The epoch of the next numbers; in outbox_epochs from the first of them on';
comment on column outbox_head.last_epoch is 'The epoch of the last number; null where that was given before there were epochs';
