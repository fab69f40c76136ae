-- The writer of a change: the strategy that invalidates its own entry after COMMIT. It is recorded in the transaction
-- of the change, so the relay can repeat the invalidation even if the writer is killed in between.
--
-- A default, not a column of the trigger's INSERT: the setting of the transaction applies to every insert of a row.
-- `SET LOCAL shop.writer = 'explicit'` ends with the transaction; a session in which it was never set has null.
alter table outbox add column writer text default nullif(current_setting('shop.writer', true), '');

comment on column outbox.writer is 'The strategy whose entry the writer invalidates by itself; null when there is none';
