-- Refuses rows that no service can read. The API has no ids below 1, and Postgres has times without a date (`infinity`) and years with five
-- digits. `not valid` does not check the rows that exist, so the migration locks the tables only for a moment. An update of such a row is
-- refused from now on: correct its times, or delete it.
alter table categories
    add constraint categories_id_positive check (id > 0) not valid,
    add constraint categories_updated_at_range check (updated_at between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00') not valid;
alter table products
    add constraint products_id_positive check (id > 0) not valid,
    add constraint products_created_at_range check (created_at between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00') not valid,
    add constraint products_updated_at_range check (updated_at between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00') not valid;
