-- The relay (crates/outbox) reads this column from every outbox. The cart's writers record nothing there, because the
-- relay invalidates the same views for every writer.
alter table outbox add column writer text default nullif(current_setting('shop.writer', true), '');

comment on column outbox.writer is 'What the writing transaction called itself; null when it did not';
