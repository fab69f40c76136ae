drop trigger products_refuse_late_change on products;
drop trigger categories_refuse_late_change on categories;
drop function if exists refuse_late_change;
alter trigger zz_products_advance_version on products rename to products_advance_version;
alter trigger zz_categories_advance_version on categories rename to categories_advance_version;
