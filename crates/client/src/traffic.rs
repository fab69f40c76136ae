//! Open-loop load: every request is sent when it is due, however late the responses to other requests are.
//!
//! Latency counts from when a request was due, not from when it could be sent. In a closed loop, the next request waits
//! for the last response. So it sends the fewest requests just when the server is slowest, and does not measure how
//! slow it was ("coordinated omission": Tene, "How NOT to Measure Latency", 2013; Schroeder et al., "Open Versus
//! Closed", NSDI 2006). Arrivals are a Poisson process. A request that fails or is given up counts with at least the
//! time that it took. The delay with which requests are sent is measured as well: a generator that is late measures
//! itself.

mod arrivals;
mod floors;
mod plan;
mod seen;
mod stream;

pub use plan::{Order, Plan, ProductRange};
pub use seen::{SOURCES, Seen};
pub use stream::Stream;
