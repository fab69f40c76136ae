-- The data of the service: a copy of the catalogue, the baskets, and the learned associations.
--
-- All data comes from events, which arrive in any order and more than once. So every row says how new it is, by the
-- version of the row that it copies or by the number of the event that wrote it.

-- Which events of a stream have been applied, written in the transaction of their effect. Replicas share the events of
-- a stream, so the applied numbers may have gaps; every event before the first gap has been applied.
create table streams (
    name    text primary key,
    applied int8multirange not null
);

create table categories (
    id   bigint primary key,
    name text not null,
    seq  bigint not null
);

-- The row of a deleted product stays, so that an older response cannot restore it.
create table products (
    id          bigint primary key,
    name        text not null,
    description text not null,
    category_id bigint not null,
    price_cents bigint not null,
    stock       integer not null,
    version     bigint not null,
    deleted     boolean not null,
    seq         bigint not null,
    flipped     bigint not null,
    text        tsvector not null generated always as (
                    setweight(to_tsvector('english', name), 'A')
                    || setweight(to_tsvector('english', description), 'B')) stored
);

-- Products that may be recommended, in the order in which `similar_products` reads them.
create index products_by_price on products (category_id, price_cents, id) where stock > 0 and not deleted;

-- Pending refreshes: lists with these tags are not stored until the new rows arrive. The table is not logged, so that a
-- write does not wait for the disk: after a crash, the lost rows only delay the invalidation of a list a little.
create unlogged table awaited (
    process uuid primary key,
    tags    text[] not null,
    until   timestamptz not null
);

create table basket_items (
    cart_id    uuid not null,
    product_id bigint not null,
    quantity   integer not null,
    version    bigint not null,
    seq        bigint not null,
    primary key (cart_id, product_id)
);

create table together (
    product_id bigint not null,
    other_id   bigint not null,
    score      double precision not null,
    primary key (product_id, other_id)
);

-- How many changes of baskets there were, and how many of them have been learned from. These are two rows, because
-- learning takes a while and the writer of a change must not wait for it.
create table lessons (
    name   text primary key,
    number bigint not null default 0
);
insert into lessons (name) values ('changes'), ('learned');

-- Products whose row in `together` has changed and whose cached lists have not been invalidated yet.
create table outdated (
    product_id bigint primary key
);

-- Returns products that are similar to `asked`: of its category, similar in text and price. It compares the 250
-- products above and the 250 below that are nearest in price; most categories have fewer.
--
-- Text: ts_rank of the product's own lexemes, where lexemes of a name count five times those of a description, as a
-- share of the rank that the product itself has. Price: the smaller divided by the greater, which is 1 for equal prices
-- and 0.5 for double or half; 10 cents are added to both, so that small differences between cheap products do not
-- count.
create function similar_products(asked bigint, most integer)
returns table (product_id bigint, score double precision, alike double precision, near double precision)
language sql stable as $$
    with me as materialized (
        select id, category_id, price_cents, text,
            (select string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')
             from unnest(text))::tsquery as query
        from products where id = asked and not deleted
    ),
    candidates as (
        select above.* from me, lateral (
            select p.id, p.price_cents, p.text from products p
            where p.category_id = me.category_id and p.price_cents >= me.price_cents
                and p.stock > 0 and not p.deleted and p.id <> me.id
            order by p.price_cents, p.id limit 250) above
        union all
        select below.* from me, lateral (
            select p.id, p.price_cents, p.text from products p
            where p.category_id = me.category_id and p.price_cents < me.price_cents
                and p.stock > 0 and not p.deleted
            order by p.price_cents desc, p.id desc limit 250) below
    ),
    compared as (
        select c.id,
            least(1, coalesce(ts_rank('{0, 0, 0.2, 1}', c.text, me.query)
                / nullif(ts_rank('{0, 0, 0.2, 1}', me.text, me.query), 0), 0)) as alike,
            (least(c.price_cents, me.price_cents) + 10)::double precision
                / (greatest(c.price_cents, me.price_cents) + 10) as near
        from candidates c, me
    )
    select id, 0.6 * alike + 0.4 * near, alike, near from compared
    order by 2 desc, id limit most
$$;

comment on table streams is 'Which events of each stream are carried out';
comment on column streams.applied is 'Their numbers; up to the first gap everything is done';
comment on table categories is 'Names of categories, copied from the product API';
comment on column categories.seq is 'The number of the event that it is at least as new as';
comment on table products is 'The catalogue, copied from the product API and kept by events';
comment on column products.version is 'The version of the row that was copied';
comment on column products.deleted is 'No longer sold; the rest of the row is what was last known';
comment on column products.seq is 'The number of the event that it is at least as new as';
comment on column products.flipped is 'The event with which it could last be bought again, or could no longer be bought';
comment on column products.text is 'Name and description as the text search sees them';
comment on table awaited is 'For each process, tags of lists that are outdated by events whose rows are not here yet';
comment on column awaited.until is 'From then on no process waits for them';
comment on table basket_items is 'What lies in carts, from their events; quantity 0 is a line that was removed';
comment on column basket_items.version is 'The version of the line; an event with an older one has no effect';
comment on column basket_items.seq is 'The number of the event that brought it';
comment on table together is 'What is bought together with what, learned from the baskets';
comment on column together.score is 'Signed root of the log-likelihood ratio, to one decimal';
comment on table lessons is 'How many changes of baskets there were, and how many of them are learned from';
comment on table outdated is 'Products whose cached lists are to be removed';
