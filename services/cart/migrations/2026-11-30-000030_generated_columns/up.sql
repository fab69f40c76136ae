-- Postgres computes the generated columns of a table after this trigger: here, they are null in the new row. So a statement that
-- changes nothing would count as a change of such a column. Its value can only change with another column.
create or replace function advance_version() returns trigger language plpgsql as $$
declare
    generated pg_catalog.jsonb;
begin
    -- A value that the statement sets here is ignored, and does not count as a change.
    new.version := old.version;
    if new operator(pg_catalog.*<>) old then
        -- A domain may refuse the null.
        select pg_catalog.jsonb_object_agg(attname, null::pg_catalog.text) into generated
            from pg_catalog.pg_attribute join pg_catalog.pg_type on pg_type.oid operator(pg_catalog.=) atttypid
            where attrelid operator(pg_catalog.=) tg_relid and attgenerated operator(pg_catalog.<>) '' and not attisdropped
                and typtype operator(pg_catalog.<>) 'd';
        if generated is null or new operator(pg_catalog.*<>) pg_catalog.jsonb_populate_record(old, generated) then
            new.version := old.version operator(pg_catalog.+) 1;
        end if;
    end if;
    return new;
end
$$;
