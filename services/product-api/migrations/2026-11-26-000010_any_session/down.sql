drop trigger outbox_take_free_id on outbox;
drop function outbox_take_free_id();

do $$
declare
    name text;
    kind text;
    last bigint;
    is_called boolean;
begin
    foreach name in array array['products', 'categories', 'outbox'] loop
        execute format('select last_value, is_called from %I', name || '_id_seq') into last, is_called;
        execute format('alter table %I alter id drop default', name);
        execute format('drop sequence %I', name || '_id_seq');
        kind := case name when 'outbox' then 'always' else 'by default' end;
        execute format('alter table %I alter id add generated %s as identity', name, kind);
        perform setval((name || '_id_seq')::regclass, last, is_called);
    end loop;
end
$$;
drop function products_next_id();
drop function categories_next_id();
drop function outbox_next_id();

alter table products enable trigger products_advance_version;
alter table products enable trigger products_announce_insert;
alter table products enable trigger products_announce_update;
alter table products enable trigger products_announce_delete;
alter table products enable trigger products_refuse_truncate;
alter table products enable trigger products_refuse_new_id;
alter table categories enable trigger categories_advance_version;
alter table categories enable trigger categories_announce_insert;
alter table categories enable trigger categories_announce_update;
alter table categories enable trigger categories_announce_delete;
alter table categories enable trigger categories_refuse_truncate;
alter table categories enable trigger categories_refuse_new_id;

-- The functions keep the qualified names, which are harmless.
alter function products_announce() security invoker;
alter function categories_announce() security invoker;
