-- A client that knows a cart's id may read and change the cart. Events therefore name the cart by its reference: the
-- beginning of the SHA-256 of the id (cart_reference in crates/contract). Every event passes through this function, which
-- is otherwise unchanged.
create or replace function announce(kind text, change jsonb) returns jsonb language sql volatile as $$
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

-- Events that are already in the outbox: a consumer that missed them receives them with references.
update outbox set event = event || jsonb_build_object(
    'cart_id', encode(substr(sha256(uuid_send((event->>'cart_id')::uuid)), 1, 16), 'hex')::uuid)
where event ? 'cart_id';
