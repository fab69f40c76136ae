-- A replica that has read all baskets from the cart may mark them as complete only if no further events were lost
-- meanwhile.
alter table streams add column losses bigint not null default 0;

comment on column streams.losses is 'How often events were lost; what was read as a whole is complete if this has not changed meanwhile';
