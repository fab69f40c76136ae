-- `similar_products` stays: with its qualified names it does the same.
alter table awaited set unlogged;
