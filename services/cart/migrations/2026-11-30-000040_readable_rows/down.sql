alter table cart_items
    drop constraint cart_items_added_at_range;
alter table carts
    drop constraint carts_created_at_range;
