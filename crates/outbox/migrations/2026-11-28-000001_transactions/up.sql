-- A client that knows the transaction of its write asks how far the log must be applied for the write to be included
-- (docs/adr/0025). A default, not a column of the trigger's INSERT: it applies to every insert of a row.
alter table outbox add column if not exists
    transaction_id bigint not null default (pg_current_xact_id()::text::bigint);
create index if not exists outbox_transaction on outbox (transaction_id);

comment on column outbox.transaction_id is 'The transaction that wrote the row; for older rows, the one that added this column';
