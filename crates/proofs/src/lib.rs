//! Proofs of the cache's protocol, and of the list of strategies.
//!
//! * [`model`]: a complete exploration of the protocol.
//! * [`mutants`]: whether the tests fail when a defence is removed from the scripts.
//! * [`near_mutants`]: the same for the near cache, and whether the checker finds stale reads.
//! * [`new_strategy`]: whether the patch in CONTRIBUTING.md adds a strategy.
//!
//! Its tests are those that concern the whole repository: isolation of the services, invalid events, documents, scripts.

mod checkout;
pub mod model;
pub mod mutants;
pub mod near_mutants;
pub mod new_strategy;
