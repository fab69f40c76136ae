//! What a run must have met: each goal is a property that some path reaches.

use stateright::Property;

use super::{Goal, NearProtocol, State};

/// A property takes a plain function, so each goal has its own function.
macro_rules! goals {
    ($($goal:ident: $words:literal,)+) => {
        impl Goal {
            pub(super) fn property(self) -> Property<NearProtocol> {
                match self {
                    $(Self::$goal => Property::sometimes($words, |_, state: &State| state.seen & (1 << Goal::$goal as u8) != 0),)+
                }
            }
        }
    };
}

goals! {
    OldBefore: "the old value is read from memory before the acknowledgement",
    NewAfter: "the new value is read from memory after the acknowledgement",
    Reported: "a write is acknowledged because the process has reported",
    WaitedFor: "a write is acknowledged because the lease of the process is over",
    NoneListed: "a write is acknowledged because no process is listed",
    Reconnected: "the process forgets what it has read",
}
