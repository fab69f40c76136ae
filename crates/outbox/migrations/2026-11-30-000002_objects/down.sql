alter table outbox drop constraint outbox_event_object;
