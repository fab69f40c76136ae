//! Full-text search over the catalogue. Events keep the service's own index current.
//!
//! | module | purpose |
//! |---|---|
//! | [`query`] | turns a query into a page of results |
//! | [`text`] | splits text into words, in the same way everywhere |
//! | [`index`] | the index on disk |
//! | [`indexer`] | the only task that changes the index, from events and by reindexing the catalogue |
//! | [`react`] · `follower` | the handler of product events, and the task that feeds it and the indexer |
//! | [`pages`] | result pages through the cache |
//! | [`keys`] | every key and tag in Redis |
//! | [`watermarks`] · [`invalidator`] | prevent replicas from caching outdated pages |
//! | [`state`] · [`maintenance`] | the status of the index, and the task that maintains it |
//! | `routes` | the HTTP routes |
//! | [`app`] · [`settings`] | start, shutdown and configuration |

pub mod app;
mod follower;
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
