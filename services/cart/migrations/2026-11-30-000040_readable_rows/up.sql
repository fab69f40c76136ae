-- Refuses rows that the service cannot read: Postgres has times without a date (`infinity`) and years with five
-- digits. `not valid` does not check the rows that exist, so the migration locks the tables only for a moment. An update of such a row is
-- refused from now on: correct its times, or delete it.
alter table carts
    add constraint carts_created_at_range check (created_at between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00') not valid;
alter table cart_items
    add constraint cart_items_added_at_range check (added_at between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59+00') not valid;
