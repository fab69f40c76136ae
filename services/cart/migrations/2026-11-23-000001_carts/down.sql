drop table known_products;
drop table cart_items;
drop table carts;
drop function advance_version();
