//! The settings that every session of a service makes for itself.
//!
//! A role or a database can have settings of its own (`ALTER ROLE … SET`), and new sessions begin with them. What statements
//! and migrations depend on is therefore set explicitly, in the pool, by the relay and for migrations alike. Left to the
//! administrator is what changes no result: `default_transaction_read_only` (the service is degraded then), the planner's
//! settings, durability, tablespaces, access methods, logging.

/// SQL that makes a new session one that the services' statements can rely on. It runs in one round trip; a caller
/// with narrower limits sets them after it.
///
/// The transaction has its properties explicitly, because those of a serializable, read-only, deferrable one would let it
/// wait for other transactions.
pub const SESSION_SETUP: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE; \
    SET statement_timeout = 0; \
    SET lock_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; \
    SET idle_session_timeout = 0; \
    SET search_path = public; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_deferrable = off; \
    SET TimeZone = 'UTC'; \
    SET DateStyle = 'ISO, MDY'; \
    SET IntervalStyle = 'postgres'; \
    SET bytea_output = 'hex'; \
    SET extra_float_digits = 1; \
    SET standard_conforming_strings = on; \
    SET exit_on_error = off; \
    SELECT pg_catalog.set_config('transaction_timeout', '0', false) \
        WHERE pg_catalog.current_setting('transaction_timeout', true) <> '0'; \
    COMMIT";
