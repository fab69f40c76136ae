//! The demos, one per strategy.

use clap::ValueEnum;

/// The demos, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Demo {
    /// Entries expire.
    Ttl,
    /// The writer deletes the entry.
    Explicit,
    /// The writer stores the new value.
    Writethrough,
    /// The writer announces the change, a listener deletes the entry.
    Events,
    /// Stale entries are served at once and refreshed in the background.
    Swr,
    /// Entries carry tags, and are invalidated by tag.
    Tags,
    /// All of them together, with an outage of Redis.
    Production,
}

impl Demo {
    /// All demos. The last one empties Redis.
    pub const ALL: [Self; 7] =
        [Self::Ttl, Self::Explicit, Self::Writethrough, Self::Events, Self::Swr, Self::Tags, Self::Production];

    /// Returns the position in that order, from 1 on.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// Returns the strategy's name, as used in paths and keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Explicit => "explicit",
            Self::Writethrough => "writethrough",
            Self::Events => "events",
            Self::Swr => "swr",
            Self::Tags => "tags",
            Self::Production => "production",
        }
    }
}
