alter table products
    drop constraint products_updated_at_range,
    drop constraint products_created_at_range,
    drop constraint products_id_positive;
alter table categories
    drop constraint categories_updated_at_range,
    drop constraint categories_id_positive;
