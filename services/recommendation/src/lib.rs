//! The recommendation: what is bought together, learned from carts, and what is similar, from the catalogue.
//!
//! It shares no table and no entry with the other services. It keeps a copy of the catalogue and of the baskets, both
//! made from events, so a list is one look into its own database, whoever else is away. How current the copy is stands
//! in every answer (`catalogue`).
//!
//! | module | what it is for |
//! |---|---|
//! | [`lists`] | what is recommended, and what a cached list depends on |
//! | [`catalogue`] | the copy of the catalogue: filled page by page, kept by events |
//! | [`baskets`] | what lies in carts |
//! | [`learning`] | from baskets to "bought together": a measure of significance, not raw counts |
//! | [`react`] | event → effect |
//! | [`keys`] | every key and tag in Redis |
//! | [`positions`] | which events are carried out |
//! | [`state`] · [`maintenance`] | how current the copy is |
//! | `routes` | HTTP in, HTTP out |
//! | [`app`] · [`settings`] | how it starts |

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

/// What the service is called: in logs, in the database, in `Cache-Status`.
pub const NAME: &str = "recommendation";
