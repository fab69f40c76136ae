#![doc = include_str!("../README.md")]

mod access;
mod actions;
pub mod app;
mod board;
mod experiments;
mod explain;
mod faults;
mod gateway;
mod health;
mod hub;
mod live;
mod load;
mod page;
mod product_write;
mod published;
mod reader;
mod record;
pub mod settings;
mod stores;
mod upstream;
