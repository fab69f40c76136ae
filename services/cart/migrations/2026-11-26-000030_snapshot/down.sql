drop index carts_reference;
drop function cart_reference;
