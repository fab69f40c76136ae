//! Tests of the protocol's model, and tests that concern the whole repository.

mod development_tools;
mod docs;
mod env_file;
mod hostile_shells;
mod imports;
mod isolation;
mod model;
mod new_strategy;
mod poison;
mod traces;
mod two_checkouts;
