-- Every list reads this table, and a standby cannot read an unlogged table. A write still does not wait for the disk,
-- because it does not wait for its commit record. A crash may leave rows behind; they expire.
alter table awaited set logged;

-- As before, but with qualified names, so that it finds its table with any search_path of the session.
create or replace function similar_products(asked bigint, most integer)
returns table (product_id bigint, score double precision, alike double precision, near double precision)
language sql stable as $$
    with me as materialized (
        select id, category_id, price_cents, text,
            (select string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')
             from unnest(text))::tsquery as query
        from public.products where id = asked and not deleted
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
