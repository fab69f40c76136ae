drop function similar_products;
drop table outdated, lessons, together, basket_items, awaited, products, categories, streams;
