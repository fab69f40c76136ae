//! Our services as their users meet them: a process, and HTTP.

mod answer;
mod description;
mod head;
mod hostile;
mod service;

pub use answer::Answer;
pub use description::assert_description_holds;
pub use head::assert_head_as_get;
pub use hostile::{HOSTILE_SETTINGS, assert_hostile_clients_do_no_harm};
pub use service::Service;
