//! The times at which requests come due.

use std::thread;
use std::time::{Duration, Instant};

use rand::distr::Distribution;
use rand_distr::Exp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Returns the times at which requests come due. A separate thread produces them, because the timers of the runtime
/// have a resolution of a millisecond.
#[expect(clippy::disallowed_methods, reason = "on a thread of its own")]
pub(super) fn arrivals(rate: f64, length: Duration) -> UnboundedReceiver<Instant> {
    let (sender, arrivals) = unbounded_channel();
    thread::spawn(move || {
        let Ok(gaps) = Exp::new(rate) else { return };
        let (mut rng, began) = (rand::rng(), Instant::now());
        let mut due = began;
        loop {
            due += Duration::from_secs_f64(gaps.sample(&mut rng));
            if due.duration_since(began) >= length {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    arrivals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_come_due_at_the_requested_rate() {
        let mut due = arrivals(2_000.0, Duration::from_millis(500));
        let (mut count, mut last) = (0_u32, None);
        while let Some(at) = due.recv().await {
            assert!(last.is_none_or(|last| last <= at));
            (count, last) = (count + 1, Some(at));
        }
        // 1,000 on average, with a standard deviation of 32.
        assert!((800..1_200).contains(&count), "{count}");
    }
}
