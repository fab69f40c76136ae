//! Recommendations: products that are bought together, learned from carts, and similar products, from the catalogue.
//!
//! The service shares no table and no entry with the other services. Events keep its own copy of the catalogue and of
//! the baskets current. So a list needs only its own database, whichever other service is unavailable. Every response
//! says how current the copy is (`catalogue`).
//!
//! | module | purpose |
//! |---|---|
//! | [`lists`] | the lists, and the data on which a cached list depends |
//! | [`catalogue`] | the copy of the catalogue: filled page by page, kept current by events |
//! | [`baskets`] | the contents of carts |
//! | [`learning`] | learns from baskets what is bought together, by significance instead of raw counts |
//! | [`react`] | the handlers of events |
//! | [`keys`] | every key and tag in Redis |
//! | [`positions`] | which events have been applied |
//! | [`state`] · [`maintenance`] | how current the copy is |
//! | `routes` | the HTTP routes |
//! | [`app`] · [`settings`] | start, shutdown and configuration |

pub mod app;
pub mod baskets;
pub mod catalogue;
pub mod error;
pub mod ids;
pub mod keys;
pub mod learning;
pub mod lists;
pub mod maintenance;
pub mod positions;
pub mod react;
mod routes;
pub mod settings;
pub mod state;

/// The name of the service in logs, in the database and in `Cache-Status`.
pub const NAME: &str = "recommendation";
