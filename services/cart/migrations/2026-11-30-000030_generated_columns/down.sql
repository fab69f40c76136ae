create or replace function advance_version() returns trigger language plpgsql as $$
begin
    new.version := old.version;
    if new operator(pg_catalog.*<>) old then
        new.version := old.version operator(pg_catalog.+) 1;
    end if;
    return new;
end
$$;
