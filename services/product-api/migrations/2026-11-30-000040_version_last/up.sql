-- Row triggers fire in the order of their names. A trigger of an administrator that changes the row must come before the one that
-- compares it with the old row: otherwise the version stays, and no event announces the change.
alter trigger products_advance_version on products rename to zz_products_advance_version;
alter trigger categories_advance_version on categories rename to zz_categories_advance_version;

-- A trigger with a later name may still change the row. Such a change is refused.
create trigger products_refuse_late_change after update on products
    for each row when (new.version = old.version and new.* operator(pg_catalog.*<>) old.*)
    execute function refuse('a trigger changed the row after its version was set; give the trigger a name before zz_');
create trigger categories_refuse_late_change after update on categories
    for each row when (new.version = old.version and new.* operator(pg_catalog.*<>) old.*)
    execute function refuse('a trigger changed the row after its version was set; give the trigger a name before zz_');
alter table products enable always trigger products_refuse_late_change;
alter table categories enable always trigger categories_refuse_late_change;
