//! The names of one kind of events.

/// The Redis keys of one kind of events, and the types among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// The durable stream, which consumers read.
    pub stream: &'static str,
    /// The Pub/Sub channel that carries the same events to its current subscribers; not every stream has one.
    pub channel: Option<&'static str>,
    /// The values of `type` that this process knows. A consumer writes an event of another type to the dead letters.
    pub types: &'static [&'static str],
}
