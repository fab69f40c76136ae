-- As before, but the product's own rank is computed once, and not once per candidate.
create or replace function similar_products(asked bigint, most integer)
returns table (product_id bigint, score double precision, alike double precision, near double precision)
language sql stable as $$
    with asked_product as materialized (
        select id, category_id, price_cents, text,
            (select string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')
             from unnest(text))::tsquery as query
        from public.products where id = asked and not deleted
    ),
    me as materialized (
        select *, nullif(ts_rank('{0, 0, 0.2, 1}', text, query), 0) as rank from asked_product
    ),
    candidates as (
        select above.* from me, lateral (
            select p.id, p.price_cents, p.text from public.products p
            where p.category_id = me.category_id and p.price_cents >= me.price_cents
                and p.stock > 0 and not p.deleted and p.id <> me.id
            order by p.price_cents, p.id limit 250) above
        union all
        select below.* from me, lateral (
            select p.id, p.price_cents, p.text from public.products p
            where p.category_id = me.category_id and p.price_cents < me.price_cents
                and p.stock > 0 and not p.deleted
            order by p.price_cents desc, p.id desc limit 250) below
    ),
    compared as (
        select c.id, least(1, coalesce(ts_rank('{0, 0, 0.2, 1}', c.text, me.query) / me.rank, 0)) as alike,
            (least(c.price_cents, me.price_cents) + 10)::double precision
                / (greatest(c.price_cents, me.price_cents) + 10) as near
        from candidates c, me
    )
    select id, 0.6 * alike + 0.4 * near, alike, near from compared
    order by 2 desc, id limit most
$$;
