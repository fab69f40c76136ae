drop trigger cart_items_refuse_late_change on cart_items;
drop function if exists refuse_late_change;
alter trigger zz_cart_items_advance_version on cart_items rename to cart_items_advance_version;
