//! By how much the clock of Redis is ahead of the clock of this process (ADR 3).

use std::time::{Duration, Instant};

/// The maximum frequency error of a clock in parts per million (RFC 5905, section 1).
const MAX_DRIFT_PPM: i64 = 500;

/// The offset between two clocks, estimated from replies to `TIME`.
///
/// The estimate is the greatest offset that the replies allow. So an entry may seem older than it is, but never younger.
#[derive(Debug, Default)]
pub(super) struct OffsetEstimate(Option<Known>);

/// One reply to `TIME`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeReply {
    /// The server's time, in microseconds since 1970.
    pub(super) server_us: u64,
    /// When the command was sent, and when the reply was received. The server has read its clock in between.
    pub(super) sent: Instant,
    pub(super) received: Instant,
}

/// The offsets that the replies so far allow, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Known {
    least: i64,
    greatest: i64,
    /// When the latest reply was received.
    at: Instant,
}

impl OffsetEstimate {
    /// Adds the replies of all servers that have entries. Returns by how many microseconds the clock of the server that
    /// is ahead exceeds the time since `started`; `None` without a reply.
    ///
    /// A late reply allows many offsets, and changes nothing if earlier replies allow fewer. A reply that contradicts the
    /// earlier ones comes from another server, or from one whose clock was set.
    pub(super) fn add(&mut self, replies: &[TimeReply], started: Instant) -> Option<i64> {
        let allowed = replies.iter().map(|reply| Known::by(reply, started));
        let new = allowed.reduce(Known::of_the_later_clock)?;
        let both = self.0.and_then(|known| known.widened_until(new.at).intersection(new)).unwrap_or(new);
        self.0 = Some(both);
        Some(both.greatest)
    }
}

impl Known {
    fn by(reply: &TimeReply, started: Instant) -> Self {
        let offset_if_read = |at: Instant| reply.server_us as i64 - micros(at.duration_since(started));
        Self { least: offset_if_read(reply.received), greatest: offset_if_read(reply.sent), at: reply.received }
    }

    fn of_the_later_clock(self, other: Self) -> Self {
        Self {
            least: self.least.max(other.least),
            greatest: self.greatest.max(other.greatest),
            at: self.at.max(other.at),
        }
    }

    /// Adds the offsets that the drift of two clocks allows by then.
    fn widened_until(self, at: Instant) -> Self {
        let drift = micros(at.duration_since(self.at)) * 2 * MAX_DRIFT_PPM / 1_000_000 + 1;
        Self { least: self.least - drift, greatest: self.greatest + drift, at }
    }

    fn intersection(self, other: Self) -> Option<Self> {
        let (least, greatest) = (self.least.max(other.least), self.greatest.min(other.greatest));
        (least <= greatest).then_some(Self { least, greatest, at: other.at })
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's time when the clock of a test begins.
    const BEGIN_MS: u64 = 1_764_000_000_000;

    /// A clock that is adjusted like that of a connection.
    struct Clock {
        estimate: OffsetEstimate,
        began: Instant,
        offset_us: i64,
    }

    impl Clock {
        fn adjust(&mut self, replies: &[TimeReply]) {
            self.offset_us = self.estimate.add(replies, self.began).unwrap();
        }

        fn ms_at(&self, now: Instant) -> u64 {
            ((self.offset_us + micros(now - self.began)) / 1_000) as u64
        }
    }

    /// Returns a clock, and the moment at which it begins.
    fn clock() -> (Clock, Instant) {
        let began = Instant::now();
        (Clock { estimate: OffsetEstimate::default(), began, offset_us: 0 }, began)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The reply of a server that reads its clock `read` after the begin, if its clock is `ahead` by then.
    fn reply(began: Instant, sent: u64, read: u64, received: u64, ahead: u64) -> TimeReply {
        TimeReply {
            server_us: (BEGIN_MS + read + ahead) * 1_000,
            sent: began + ms(sent),
            received: began + ms(received),
        }
    }

    #[test]
    fn late_reply_never_makes_the_clock_slow() {
        for (sent, read, received) in [(10, 10, 400), (10, 200, 400), (10, 400, 400)] {
            let (mut clock, began) = clock();
            clock.adjust(&[reply(began, sent, read, received, 0)]);
            let now = clock.ms_at(began + ms(400));
            assert!((BEGIN_MS + 400..=BEGIN_MS + 790).contains(&now), "read after {read} ms: {}", now - BEGIN_MS);
        }
    }

    #[test]
    fn late_reply_does_not_change_a_precise_clock() {
        let (mut clock, began) = clock();
        clock.adjust(&[reply(began, 10, 10, 10, 0)]);
        for (sent, read, received) in [(500, 500, 900), (1_000, 1_400, 1_400)] {
            clock.adjust(&[reply(began, sent, read, received, 0)]);
            let now = clock.ms_at(began + ms(received));
            assert!((BEGIN_MS + received..=BEGIN_MS + received + 2).contains(&now), "{}", now - BEGIN_MS);
        }
    }

    #[test]
    fn precise_reply_corrects_a_clock_after_a_late_one() {
        let (mut clock, began) = clock();
        clock.adjust(&[reply(began, 10, 400, 400, 0)]);
        assert_eq!(clock.ms_at(began + ms(400)), BEGIN_MS + 790);
        clock.adjust(&[reply(began, 900, 900, 900, 0)]);
        assert_eq!(clock.ms_at(began + ms(900)), BEGIN_MS + 900);
    }

    #[test]
    fn clock_follows_a_server_whose_clock_is_set_or_drifts() {
        let (mut clock, began) = clock();
        clock.adjust(&[reply(began, 10, 10, 10, 5_000)]);
        clock.adjust(&[reply(began, 500, 500, 510, 0)]);
        assert_eq!(clock.ms_at(began + ms(510)), BEGIN_MS + 510, "it was set back");
        clock.adjust(&[reply(began, 1_000, 1_000, 1_010, 60_000)]);
        assert_eq!(clock.ms_at(began + ms(1_010)), BEGIN_MS + 61_010, "it was set forward");
        // It gains 1 ms each 2 s, and all replies are late.
        for gained in 1..=100 {
            let sent = 1_000 + 2_000 * gained;
            clock.adjust(&[reply(began, sent, sent, sent + 300, 60_000 + gained)]);
            assert!(clock.ms_at(began + ms(sent)) >= BEGIN_MS + sent + 60_000 + gained, "after {gained} ms");
        }
    }

    #[test]
    fn clock_of_a_cluster_is_that_of_the_server_ahead() {
        let (mut clock, began) = clock();
        clock.adjust(&[0, 40, 20].map(|ahead| reply(began, 10, 10, 12, ahead)));
        assert_eq!(clock.ms_at(began + ms(12)), BEGIN_MS + 52);
    }
}
