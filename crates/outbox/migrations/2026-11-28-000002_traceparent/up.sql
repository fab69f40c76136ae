-- The trace of the current transaction, for the triggers that write events: what it has set by `SET LOCAL shop.traceparent`,
-- if that is a traceparent of W3C Trace Context (55 characters; neither id is zero), and otherwise null. So any writer may set
-- anything, and an event carries a valid trace or none (docs/adr/0033).
--
-- One expression, so that Postgres inlines it: a call of a function with a FROM costs ten times as much.
create or replace function outbox_traceparent() returns text language sql stable as $$
    select case when pg_catalog.current_setting('shop.traceparent', true) operator(pg_catalog.~)
        '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$'
        then pg_catalog.current_setting('shop.traceparent', true) end
$$;

comment on function outbox_traceparent is 'The traceparent that the transaction has set; null without a valid one';
