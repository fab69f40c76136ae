#![doc = include_str!("../README.md")]

pub mod attack;
pub mod faults;
pub mod private;
mod system;
pub mod verify;
