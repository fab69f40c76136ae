-- A line that was removed stays as a row. So a client that adds and removes many products must not slow down the reads of its
-- cart, which need only the others.
create index cart_items_in_cart on cart_items (cart_id, quantity);
