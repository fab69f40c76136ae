-- The Redis that the processes of a keyspace may use, as the crate `cache` writes it.
CREATE TABLE incarnations (
    keyspace text PRIMARY KEY,
    record text NOT NULL
);
