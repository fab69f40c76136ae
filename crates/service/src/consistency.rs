//! Read-your-writes in a service that learns of changes from events: a read with a consistency token of the product API
//! waits until the events of that write are applied here.
//!
//! A token is a transaction, and events have numbers, which the relay gives them after the commit. So the service asks the
//! product API for the number of the transaction's last event, and its consumer for how far it is.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::ConsistencyToken;
use outbox::consumer::EventProgress;
use outbox::log::{EventLog, TransactionPosition};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// The pauses before the product API is asked again for an event that has no number yet: the first, and the longest. Each is
/// twice as long as the one before.
const ASK_AGAIN: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(80)];

/// The questions that a service asks at once. Each is a query of the other service's database, and any client can send
/// tokens.
const QUESTIONS: usize = 16;

/// The tokens that are remembered as applied.
const MAX_KNOWN: usize = 4_096;

/// How far a service has applied the events of a log.
pub trait AppliedEvents: Sync {
    /// Waits until everything up to event `seq` is applied, for at most `within`. Returns whether it is known to be.
    fn applied(&self, seq: u64, within: Duration) -> impl Future<Output = bool> + Send;
}

impl AppliedEvents for EventProgress {
    async fn applied(&self, seq: u64, within: Duration) -> bool {
        Self::applied(self, seq, within).await
    }
}

impl<T: AppliedEvents + Send> AppliedEvents for Arc<T> {
    async fn applied(&self, seq: u64, within: Duration) -> bool {
        T::applied(self, seq, within).await
    }
}

/// Knows which writes this service has applied. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppliedWrites<P = EventProgress> {
    log: EventLog,
    progress: P,
    known: Arc<Mutex<Known>>,
    questions: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    tokens: HashSet<ConsistencyToken>,
    oldest_first: VecDeque<ConsistencyToken>,
}

impl<P: AppliedEvents> AppliedWrites<P> {
    /// Creates the knowledge of a service that has applied the events of `log` as far as `progress` says.
    pub fn new(log: EventLog, progress: P) -> Self {
        Self { log, progress, known: Arc::default(), questions: Arc::new(Semaphore::new(QUESTIONS)) }
    }

    /// Waits until the events of a write are applied, for at most `within`. Returns whether they are; also `true` without
    /// a token. `false` also means that this is unknown, because the product API or Redis does not respond.
    pub async fn include(&self, token: Option<ConsistencyToken>, within: Duration) -> bool {
        let Some(token) = token.filter(|token| !self.known().tokens.contains(token)) else { return true };
        let is_applied = timeout(within, self.wait(token, Instant::now() + within)).await.unwrap_or(false);
        if is_applied {
            self.known().add(token);
        }
        is_applied
    }

    async fn wait(&self, token: ConsistencyToken, deadline: Instant) -> bool {
        let [mut pause, longest] = ASK_AGAIN;
        loop {
            let position = {
                let Ok(_question) = self.questions.acquire().await else { return false };
                let rest = deadline.saturating_duration_since(Instant::now());
                self.log.position_of(token.transaction(), rest).await
            };
            match position {
                Ok(TransactionPosition { seq: Some(seq) }) => {
                    let rest = deadline.saturating_duration_since(Instant::now());
                    return self.progress.applied(seq, rest).await;
                }
                Ok(TransactionPosition { seq: None }) => {
                    sleep(pause).await;
                    pause = longest.min(2 * pause);
                }
                Err(_) => return false,
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, token: ConsistencyToken) {
        if !self.tokens.insert(token) {
            return;
        }
        self.oldest_first.push_back(token);
        if self.oldest_first.len() > MAX_KNOWN
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tokens_are_bounded() {
        let mut known = Known::default();
        for transaction in 0..2 * MAX_KNOWN as u64 {
            known.add(transaction.into());
            known.add(transaction.into());
        }
        assert_eq!((known.tokens.len(), known.oldest_first.len()), (MAX_KNOWN, MAX_KNOWN));
        assert!(known.tokens.contains(&(2 * MAX_KNOWN as u64 - 1).into()), "the newest are kept");
    }
}
