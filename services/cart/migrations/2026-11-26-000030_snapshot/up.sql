-- The snapshot of all carts (GET /events/snapshot) names them by their references, as events do. Its pages are in the
-- order of the references, because an id as the cursor would disclose a cart.
create function cart_reference(id uuid) returns uuid language sql immutable strict parallel safe as $$
    select pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256(pg_catalog.uuid_send(id)), 1, 16), 'hex')::pg_catalog.uuid
$$;

create unique index carts_reference on carts (cart_reference(id));

comment on function cart_reference is 'The name under which everybody but its owner knows a cart: the beginning of the SHA-256 of its id';
