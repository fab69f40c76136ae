-- A change is any change of the bytes of a row. `is distinct from` compares with the equality of each type: it finds `Lamp` and
-- `LAMP` equal if the column ignores case, and fails for a type without equality, such as `json`.
create or replace function advance_version() returns trigger language plpgsql as $$
begin
    new.version := old.version;
    if new operator(pg_catalog.*<>) old then
        new.version := old.version operator(pg_catalog.+) 1;
    end if;
    return new;
end
$$;
