-- Events name a cart by its reference and no longer by its id, so the known lines are renamed.
update basket_items set cart_id = encode(substr(sha256(uuid_send(cart_id)), 1, 16), 'hex')::uuid;

comment on column basket_items.cart_id is 'The cart''s reference (SHA-256 of its id), as events name it; the id itself is a secret';
