#![doc = include_str!("../README.md")]

mod checkout;
pub mod model;
pub mod mutants;
pub mod near_mutants;
pub mod new_strategy;
