//! Proofs of the cache's protocol.
//!
//! * [`model`]: a complete exploration of the protocol.
//! * [`mutants`]: whether the tests fail when a defence is removed from the scripts.
//!
//! Its tests are those that concern the whole repository: isolation of the services, invalid events, documents, scripts.

pub mod model;
pub mod mutants;
