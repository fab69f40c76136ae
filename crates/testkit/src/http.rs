//! The project's services as their users see them: a process that serves HTTP.

mod description;
mod head;
mod hostile;
mod response;
mod service;

pub use description::assert_description_holds;
pub use head::assert_head_as_get;
pub use hostile::{HOSTILE_SETTINGS, assert_survives_hostile_clients};
pub use response::TestResponse;
pub use service::Service;
