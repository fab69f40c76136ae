//! Waiting in tests: polls a condition, with a time limit.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// The pause before the second poll. A poll often starts a program or a session of Postgres, so the pauses grow.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// How long an effect that normally comes at once may take. A test that passes does not wait for its end, so it is long
/// enough for a machine that is several times overloaded.
pub const SOON: Duration = Duration::from_secs(60);

/// The results that [`eventually`] can poll: `bool`, or `Option` with the awaited value.
pub trait PollResult {
    /// The value of a successful poll.
    type Known;

    /// Returns the value if the poll was successful.
    fn known(self) -> Option<Self::Known>;
}

impl PollResult for bool {
    type Known = ();

    fn known(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> PollResult for Option<T> {
    type Known = T;

    fn known(self) -> Option<T> {
        self
    }
}

/// Polls until the result is `true` or `Some`, and returns its value.
///
/// # Panics
/// Panics if that does not happen within `at_most`; a poll that hangs counts as unsuccessful. `what` completes the
/// message "waited in vain for …".
pub async fn eventually<A: PollResult>(what: &str, at_most: Duration, mut ask: impl AsyncFnMut() -> A) -> A::Known {
    let start = Instant::now();
    let deadline = start + at_most;
    let mut asked = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        asked += 1;
        match timeout_at(deadline, ask()).await.map(PollResult::known) {
            Ok(Some(known)) => return known,
            Ok(None) if Instant::now() < deadline => {
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 3 / 2);
            }
            Ok(None) => panic!("waited in vain for {what}: asked {asked} times in {:?}", start.elapsed()),
            Err(_) => panic!("waited in vain for {what}: attempt {asked} had no answer after {:?}", start.elapsed()),
        }
    }
}
