-- The ids cannot be computed from the references, so baskets are read again from the events of the last hour.
delete from basket_items;
