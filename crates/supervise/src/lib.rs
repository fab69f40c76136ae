#![doc = include_str!("../README.md")]

mod failure;
mod part;
mod ports;
pub mod process;
pub mod tools;

pub use failure::{Failure, Result};
pub use part::{Addresses, Part, Replica, Service, is_setting};
pub use ports::{Ports, cluster_ports};
