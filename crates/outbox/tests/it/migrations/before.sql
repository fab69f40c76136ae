-- The outbox as the services created it themselves, in four migrations, until this crate had one.

create table outbox (
    id          bigint generated always as identity primary key,
    event       jsonb not null,
    occurred_at timestamptz not null default clock_timestamp(),
    seq         bigint,
    done_at     timestamptz
);

create unique index outbox_seq on outbox (seq);
create index outbox_to_number on outbox (id) where seq is null;
create index outbox_to_append on outbox (seq) where done_at is null;

create table outbox_head (
    id     smallint primary key default 1
           constraint outbox_head_has_one_row check (id = 1),
    seq    bigint not null default 0,
    run_id text
);
insert into outbox_head default values;

alter table outbox add column writer text default nullif(current_setting('shop.writer', true), '');

create table outbox_epochs (
    epoch     uuid primary key,
    first_seq bigint not null
);
create index outbox_epochs_first_seq on outbox_epochs (first_seq);

alter table outbox_head
    add column epoch      uuid not null default gen_random_uuid(),
    add column last_epoch uuid;

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

do $$
declare
    name text;
    last bigint;
    is_called boolean;
begin
    foreach name in array array['outbox'] loop
        execute format('select last_value, is_called from %I', name || '_id_seq') into last, is_called;
        execute format('alter table %I alter id drop identity', name);
        execute format('create sequence %I owned by %I.id', name || '_id_seq', name);
        perform setval((name || '_id_seq')::regclass, last, is_called);
    end loop;
end
$$;

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

alter table outbox alter id set default outbox_next_id();

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
