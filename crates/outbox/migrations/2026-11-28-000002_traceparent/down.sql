drop function outbox_traceparent;
