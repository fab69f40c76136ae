//! Full-text search over the catalogue, in an index of its own that events keep current.
//!
//! | module | what it is for |
//! |---|---|
//! | [`query`] | from what was asked to a page of results |
//! | [`text`] | from text to words, the same way everywhere |
//! | [`index`] | the index on disk |
//! | [`indexer`] | the one task that changes it, by events and by walks through the catalogue |
//! | [`react`] | what an event does |
//! | [`pages`] | result pages through the cache |
//! | [`keys`] | every key and tag in Redis |
//! | [`watermarks`] · [`invalidator`] | how replicas keep one another from caching what is outdated |
//! | [`state`] · [`maintenance`] | what is current, owed, known; and who sees to it |
//! | `routes` | HTTP in, HTTP out |
//! | [`app`] · [`settings`] | how it starts |

pub mod app;
pub mod index;
pub mod indexer;
pub mod invalidator;
pub mod keys;
pub mod maintenance;
pub mod pages;
pub mod query;
pub mod react;
mod routes;
pub mod settings;
pub mod state;
pub mod text;
pub mod watermarks;
