-- An event is an object, because the relay adds its number. `not valid` does not check the rows that exist, so the migration locks
-- the table only for a moment.
alter table outbox
    drop constraint if exists outbox_event_object,
    add constraint outbox_event_object check (jsonb_typeof(event) = 'object') not valid;
