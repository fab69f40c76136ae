-- A row without a number leaves no gap when it is deleted: no consumer would ever learn of its change. So such rows, and
-- TRUNCATE, are refused. Rows with a number may be deleted: their consumers find the gap.
create or replace function outbox_keep_rows() returns trigger language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'TRUNCATE' then
        raise exception 'TRUNCATE would lose committed changes; DELETE the rows whose done_at is not null';
    end if;
    if exists (select from old_rows where seq is null) then
        raise exception 'rows whose seq is null are committed changes that were not announced yet; let the relay publish them';
    end if;
    return null;
end
$$;
create or replace trigger outbox_keep_rows after delete on outbox
    referencing old table as old_rows for each statement execute function outbox_keep_rows();
create or replace trigger outbox_keep_table before truncate on outbox
    for each statement execute function outbox_keep_rows();
alter table outbox enable always trigger outbox_keep_rows, enable always trigger outbox_keep_table;
