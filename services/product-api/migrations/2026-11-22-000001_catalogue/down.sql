drop table seed_state;
drop table products;
drop table categories;
drop function advance_version();
