create or replace function advance_version() returns trigger language plpgsql as $$
begin
    -- A value that the statement sets here is ignored, and does not count as a change.
    new.version := old.version;
    new.updated_at := old.updated_at;
    if new operator(pg_catalog.*<>) old then
        new.version := old.version operator(pg_catalog.+) 1;
        new.updated_at := pg_catalog.now();
    end if;
    return new;
end
$$;
