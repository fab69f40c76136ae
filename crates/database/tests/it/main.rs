//! The pool against a private Postgres.

mod busy;
mod ended_sessions;
mod in_doubt;
mod limits;
mod read_only;
mod repeating;
mod sessions;
mod stale_plans;
mod starting;
mod support;
mod tls;
