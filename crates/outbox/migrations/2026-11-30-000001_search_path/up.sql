-- A manual restore may run in a session with any search_path: the trigger must not find other functions with these names.
alter function outbox_head_begin_epoch() set search_path = pg_catalog, pg_temp;
