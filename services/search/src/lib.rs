#![doc = include_str!("../README.md")]

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
