drop trigger outbox_take_free_id on outbox;
drop function outbox_take_free_id();

do $$
declare
    last bigint;
    is_called boolean;
begin
    select s.last_value, s.is_called into last, is_called from outbox_id_seq s;
    alter table outbox alter id drop default;
    drop sequence outbox_id_seq;
    alter table outbox alter id add generated always as identity;
    perform setval('outbox_id_seq', last, is_called);
end
$$;
drop function outbox_next_id();

alter table cart_items enable trigger cart_items_advance_version;
alter table cart_items enable trigger cart_items_announce_insert;
alter table cart_items enable trigger cart_items_announce_update;
alter table cart_items enable trigger cart_items_refuse_delete;
alter table cart_items enable trigger cart_items_refuse_truncate;
alter table cart_items enable trigger cart_items_refuse_new_key;
alter table carts enable trigger carts_refuse_delete;
alter table carts enable trigger carts_refuse_truncate;
alter table carts enable trigger carts_refuse_new_id;

-- The functions keep the qualified names, which are harmless.
alter function cart_items_announce() security invoker;
