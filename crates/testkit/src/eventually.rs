//! How a test waits: until something is true, at most so long.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// What [`eventually`] may ask for: `bool` (is it so?) or `Option` (is it there, and which?).
pub trait PollResult {
    /// What is known once the answer is yes.
    type Known;

    /// The yes, if it is one.
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

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When it is not within `at_most`; a question that hangs counts as a no. `what` completes "waited in vain for …".
pub async fn eventually<A: PollResult>(what: &str, at_most: Duration, mut ask: impl AsyncFnMut() -> A) -> A::Known {
    let start = Instant::now();
    let deadline = start + at_most;
    let mut asked = 0;
    loop {
        asked += 1;
        match timeout_at(deadline, ask()).await.map(PollResult::known) {
            Ok(Some(known)) => return known,
            Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(5)).await,
            Ok(None) => panic!("waited in vain for {what}: asked {asked} times in {:?}", start.elapsed()),
            Err(_) => panic!("waited in vain for {what}: attempt {asked} had no answer after {:?}", start.elapsed()),
        }
    }
}
