-- Carts, and the last known data of their products.
--
-- The catalogue is in the database of another service, so no foreign key refers to it.

create table carts (
    id         uuid primary key default gen_random_uuid(),
    created_at timestamptz not null default now()
);

-- A removed line stays, with quantity 0. Its version keeps counting when the product is put back, so a client that has
-- seen version 7 of a line never sees another version 7.
create table cart_items (
    cart_id           uuid not null
                      constraint cart_items_cart_exists references carts (id),
    product_id        bigint not null
                      constraint cart_items_product_id_positive check (product_id > 0),
    quantity          integer not null
                      constraint cart_items_quantity_range check (quantity between 0 and 999),
    added_price_cents bigint not null
                      constraint cart_items_price_not_negative check (added_price_cents >= 0),
    version           bigint not null default 1,
    added_at          timestamptz not null default now(),
    primary key (cart_id, product_id)
);

-- The database counts the version. An update holds the row's lock from here until it commits, so the versions of a line
-- are in the order of its commits, for every writer.
create function advance_version() returns trigger language plpgsql as $$
begin
    new.version := old.version;
    if new is distinct from old then
        new.version := old.version + 1;
    end if;
    return new;
end
$$;
create trigger cart_items_advance_version before update on cart_items
    for each row execute function advance_version();

-- The last known data of each product, for when the product API is unavailable, and the last event of each. Data with a
-- version below the floor are older than a received event.
create table known_products (
    id            bigint primary key,
    facts         jsonb,
    version       bigint not null default 0,
    floor_version bigint not null default 0,
    deleted       boolean not null default false,
    seq           bigint not null default 0
);

comment on table carts is 'Carts; the views of them are computed, and cached in Redis';
comment on table cart_items is 'Lines of carts; quantity 0 is a line that was removed';
comment on column cart_items.added_price_cents is 'The price when the product was put into the cart';
comment on column cart_items.version is '1, and one more with every change; counted by a trigger, across removals';
comment on table known_products is 'What is known of products: the fallback while the product API is away';
comment on column known_products.facts is 'As last fetched; null of a product of which only events were heard';
comment on column known_products.version is 'The version of the facts';
comment on column known_products.floor_version is 'The version that the last event told of; older facts are refused';
comment on column known_products.deleted is 'Whether it is no longer sold';
comment on column known_products.seq is 'The number of the last event that was heard of it';
