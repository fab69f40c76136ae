-- Triggers write what was put into carts and removed from them to the outbox, in the transaction of the change, for every
-- writer. The migration of crates/outbox creates the outbox before this one runs.

-- A client that knows a cart's id may read and change the cart. Events therefore name the cart by its reference: the
-- beginning of the SHA-256 of the id (cart_reference in crates/contract). Every event passes through this function.
create function announce(kind text, change jsonb) returns jsonb language sql volatile as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'event_id', gen_random_uuid(),
        'schema', 1,
        'type', kind,
        'traceparent', nullif(current_setting('shop.traceparent', true), ''),
        'occurred_at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) || change || jsonb_build_object(
        'cart_id', encode(substr(sha256(uuid_send((change->>'cart_id')::uuid)), 1, 16), 'hex')::uuid
    ))
$$;

-- Per statement: one insert, however many lines it touches. Two kinds of lines are left out: a line that was absent and
-- is absent (quantity 0 before and after), and a line whose version is the same, because it has not changed.
--
-- Unqualified names resolve only in `pg_catalog`, so each name is qualified. A session's search_path, or a temporary
-- table of the same name, therefore has no effect. The function runs as its owner, because a role that may write a line
-- need not have any right on the outbox. Only this function calls `announce`, and therefore with the same search_path.
create function cart_items_announce() returns trigger language plpgsql
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
