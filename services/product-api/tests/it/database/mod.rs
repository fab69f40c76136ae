//! Database failures and routine operations on the database, seen over HTTP.

mod any_session;
mod ids;
mod read_only;
mod refusals;
mod starting;
