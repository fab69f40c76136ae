-- An epoch distinguishes two histories of the outbox. A database that is restored from a backup assigns the numbers
-- after the backup again, to other events. Each relay begins an epoch when it connects, before it numbers anything, so
-- an event is identified by its epoch and its number together; see docs/adr/0019.

create table outbox_epochs (
    epoch     uuid primary key,
    first_seq bigint not null
);
create index outbox_epochs_first_seq on outbox_epochs (first_seq);

alter table outbox_head
    add column epoch      uuid not null default gen_random_uuid(),
    add column last_epoch uuid;

-- A manual restore into a database with connected relays: lowering or replacing the head also begins an epoch.
create function outbox_head_begin_epoch() returns trigger language plpgsql as $$
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
create trigger outbox_head_begin_epoch before insert or update of seq on outbox_head
    for each row execute function outbox_head_begin_epoch();
alter table outbox_head enable always trigger outbox_head_begin_epoch;

comment on table outbox_epochs is 'The epochs in which events were numbered; one belongs to the numbers up to the next one';
comment on column outbox_epochs.first_seq is 'The first number that was given in it';
comment on column outbox_head.epoch is 'The epoch of the next numbers; in outbox_epochs from the first of them on';
comment on column outbox_head.last_epoch is 'The epoch of the last number; null where that was given before there were epochs';
