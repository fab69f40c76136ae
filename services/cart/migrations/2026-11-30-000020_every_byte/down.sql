create or replace function advance_version() returns trigger language plpgsql as $$
begin
    new.version := old.version;
    if new is distinct from old then
        new.version := old.version operator(pg_catalog.+) 1;
    end if;
    return new;
end
$$;
