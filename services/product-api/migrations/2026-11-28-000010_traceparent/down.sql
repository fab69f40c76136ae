create or replace function announce(kind text, change jsonb) returns jsonb language sql volatile as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'event_id', gen_random_uuid(),
        'schema', 1,
        'type', kind,
        'traceparent', nullif(current_setting('shop.traceparent', true), ''),
        'occurred_at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) || change)
$$;
