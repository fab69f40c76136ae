//! The versions that a read may not fall below.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The number of recent versions of a product that are remembered.
const REMEMBERED: usize = 256;

/// The acknowledged versions of a product, with the time of each acknowledgement.
#[derive(Debug, Default)]
pub(super) struct Floors(VecDeque<(u64, Instant)>);

impl Floors {
    /// Records that a write of this version was acknowledged.
    pub(super) fn acknowledged(&mut self, version: u64, at: Instant) {
        let place = self.0.partition_point(|(known, _)| *known < version);
        self.0.insert(place, (version, at));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Returns how long `shown` had been replaced by an acknowledged version when a read was sent.
    pub(super) fn stale_for(&self, shown: u64, sent: Instant) -> Option<Duration> {
        let newer = self.0.partition_point(|(known, _)| *known <= shown);
        let first = self.0.iter().skip(newer).map(|(_, at)| *at).min()?;
        sent.checked_duration_since(first).filter(|stale| !stale.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_is_stale_since_the_first_newer_version_was_acknowledged() {
        let (mut floors, start) = (Floors::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        floors.acknowledged(3, at(30));
        floors.acknowledged(2, at(20));
        assert_eq!(floors.stale_for(1, at(50)), Some(Duration::from_millis(30)));
        assert_eq!(floors.stale_for(2, at(50)), Some(Duration::from_millis(20)));
        assert_eq!(floors.stale_for(3, at(50)), None);
        assert_eq!(floors.stale_for(1, at(20)), None, "it was sent when nothing newer had been acknowledged");
    }
}
