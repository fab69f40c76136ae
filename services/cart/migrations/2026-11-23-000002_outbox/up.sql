-- The outbox: triggers write what was put into carts and removed from them, in the transaction of the change, for every
-- writer. The relay (crates/outbox) numbers the rows, appends them to the stream, and marks them done.

create table outbox (
    id          bigint generated always as identity primary key,
    event       jsonb not null,
    occurred_at timestamptz not null default clock_timestamp(),
    seq         bigint,
    done_at     timestamptz
);

create unique index outbox_seq on outbox (seq);
-- The rows that are not yet numbered, and those that are not yet appended.
create index outbox_to_number on outbox (id) where seq is null;
create index outbox_to_append on outbox (seq) where done_at is null;

-- Only the holder of this row's lock numbers rows, and only committed ones, so the numbers have no gaps.
create table outbox_head (
    id     smallint primary key default 1
           constraint outbox_head_has_one_row check (id = 1),
    seq    bigint not null default 0,
    run_id text
);
insert into outbox_head default values;

create function announce(kind text, change jsonb) returns jsonb language sql volatile as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'event_id', gen_random_uuid(),
        'schema', 1,
        'type', kind,
        'traceparent', nullif(current_setting('shop.traceparent', true), ''),
        'occurred_at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) || change)
$$;

-- Per statement: one insert, however many lines it touches. Two kinds of lines are left out: a line that was absent and
-- is absent (quantity 0 before and after), and a line whose version is the same, because it has not changed.
create function cart_items_announce() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into outbox (event)
        select announce('cart.item_added', jsonb_build_object(
            'cart_id', cart_id, 'product_id', product_id, 'quantity', quantity, 'version', version))
        from new_rows where quantity > 0 order by cart_id, product_id;
    else
        insert into outbox (event)
        select announce(case when n.quantity > 0 then 'cart.item_added' else 'cart.item_removed' end,
            jsonb_build_object(
                'cart_id', n.cart_id, 'product_id', n.product_id, 'quantity', n.quantity, 'version', n.version))
        from new_rows n join old_rows o using (cart_id, product_id)
        where n.version <> o.version and (n.quantity > 0 or o.quantity > 0) order by n.cart_id, n.product_id;
    end if;
    notify outbox;
    return null;
end
$$;

create trigger cart_items_announce_insert after insert on cart_items
    referencing new table as new_rows for each statement execute function cart_items_announce();
create trigger cart_items_announce_update after update on cart_items
    referencing old table as old_rows new table as new_rows for each statement execute function cart_items_announce();

-- Refuses statements that the triggers above do not see or cannot represent.
create function refuse() returns trigger language plpgsql as $$
begin
    raise exception '%', tg_argv[0];
end
$$;
create trigger cart_items_refuse_delete before delete on cart_items
    for each statement execute function refuse('the version of a line has to go on; UPDATE cart_items SET quantity = 0');
create trigger cart_items_refuse_truncate before truncate on cart_items
    for each statement execute function refuse('TRUNCATE would not be announced; UPDATE cart_items SET quantity = 0');
create trigger cart_items_refuse_new_key before update of cart_id, product_id on cart_items
    for each row when (old.cart_id <> new.cart_id or old.product_id <> new.product_id)
    execute function refuse('a line is known by its cart and its product; insert another one');
create trigger carts_refuse_delete before delete on carts
    for each statement execute function refuse('carts are kept; empty it: UPDATE cart_items SET quantity = 0');
create trigger carts_refuse_truncate before truncate on carts
    for each statement execute function refuse('carts are kept; empty them: UPDATE cart_items SET quantity = 0');
create trigger carts_refuse_new_id before update of id on carts
    for each row when (old.id <> new.id) execute function refuse('a cart is known by its id; insert another one');

comment on table outbox is 'Committed changes of lines on their way to the stream cart:events, and those of the last hour';
comment on column outbox.event is 'The event as it is published, but for its seq';
comment on column outbox.occurred_at is 'When the change was written; its transaction may have committed later';
comment on column outbox.seq is 'Dense, in the order in which rows were numbered; null until then';
comment on column outbox.done_at is 'When it was appended to the stream; null until then';
comment on table outbox_head is 'The last number given; a single row, locked by whoever numbers';
comment on column outbox_head.run_id is 'The run of Redis that the stream was last seen in';
