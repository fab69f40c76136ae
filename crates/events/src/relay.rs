//! From the outbox table to the stream.
