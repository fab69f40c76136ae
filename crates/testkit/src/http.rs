//! Our services as their users meet them: a process, and HTTP.

mod answer;
mod service;

pub use answer::Answer;
pub use service::Service;
