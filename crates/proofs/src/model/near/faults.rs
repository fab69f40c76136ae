//! What a fault does to the process, to Redis and to the connection.

use super::{Fault, State};

/// Changes the state as the fault does, which happens at most once more.
pub(super) fn apply(state: &mut State, fault: Fault) {
    state.faults -= 1;
    match fault {
        Fault::Flush => {
            (state.tracks_entry, state.has_sentinel, state.register) = (false, false, None);
            state.registered_until = 0;
        }
        Fault::TrackingOff => (state.tracks, state.tracks_entry) = (false, false),
        Fault::Cut => {
            (state.is_connected, state.tracks_entry) = (false, false);
            state.line.clear();
        }
        Fault::SlowClock => {
            state.time += 1;
            state.lag = 1;
        }
    }
}
