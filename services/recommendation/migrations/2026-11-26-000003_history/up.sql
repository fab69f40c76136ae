-- The history of the log to which the effects of a stream belong, and whether some effects are missing; see
-- docs/adr/0019.
alter table streams
    add column newest_seq   bigint  not null default 0,
    add column newest_epoch uuid,
    add column incomplete   boolean not null default false;

comment on column streams.newest_seq is 'The number of the newest event that is carried out';
comment on column streams.newest_epoch is 'The epoch of that event; null where it has none';
comment on column streams.incomplete is 'Whether events are lost, and what they told has to be read as a whole';
