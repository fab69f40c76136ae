//! The settings that every session of a service sets for itself.
//!
//! A role or a database can have its own settings (`ALTER ROLE … SET`), and new sessions begin with them. So the pool,
//! the relay and the migrations explicitly set everything that their statements depend on. The administrator may choose
//! settings that change no result: `default_transaction_read_only` (the service is then degraded), the planner's
//! settings, durability, tablespaces, access methods, logging.

/// SQL that prepares a new session for the services' statements. It runs in one round trip; a caller with narrower
/// limits sets them after it.
///
/// The transaction states its properties explicitly, because the defaults of a serializable, read-only, deferrable
/// transaction would let it wait for other transactions.
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
