-- Row triggers fire in the order of their names. A trigger of an administrator that changes the row must come before the one that
-- compares it with the old row: otherwise the version stays, and no event announces the change.
alter trigger products_advance_version on products rename to zz_products_advance_version;
alter trigger categories_advance_version on categories rename to zz_categories_advance_version;

-- A trigger with a later name may still change the row. Such a change is refused. A generated column does not count: its value
-- can only change with another column, or because its expression returns something else now.
create function refuse_late_change() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
declare
    generated text[];
begin
    select coalesce(array_agg(attname::text), '{}') into generated
        from pg_attribute where attrelid = tg_relid and attgenerated <> '' and not attisdropped;
    if to_jsonb(new) - generated <> to_jsonb(old) - generated then
        raise exception 'a trigger changed the row after its version was set; give the trigger a name before zz_';
    end if;
    return null;
end
$$;
create trigger products_refuse_late_change after update on products
    for each row when (new.version = old.version and new.* operator(pg_catalog.*<>) old.*) execute function refuse_late_change();
alter table products enable always trigger products_refuse_late_change;
create trigger categories_refuse_late_change after update on categories
    for each row when (new.version = old.version and new.* operator(pg_catalog.*<>) old.*) execute function refuse_late_change();
alter table categories enable always trigger categories_refuse_late_change;
