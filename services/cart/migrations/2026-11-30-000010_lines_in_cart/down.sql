drop index cart_items_in_cart;
