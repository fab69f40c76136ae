//! An event handler that records its calls, and fails on request.

use std::sync::{Arc, Mutex};

use outbox::Event;
use outbox::consumer::{EventHandler, HandlerError, Position, Resync};
use outbox::log::LogPosition;
use serde::Deserialize;
use tokio::sync::watch;

/// The payload of the events. A message without these fields is not an event.
#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "only its form matters")]
pub(crate) struct OrderChange {
    order_id: u64,
    version: i64,
}

/// Determines the result of the event handler for these numbers.
type Answer = dyn Fn(&[u64]) -> Result<(), HandlerError> + Send + Sync;

/// The recorded calls of a consumer. Clones share them.
#[derive(Clone)]
pub(crate) struct Recorder {
    batches: Arc<Mutex<Vec<Vec<u64>>>>,
    resyncs: Arc<Mutex<Vec<Resync>>>,
    answer: Arc<Mutex<Arc<Answer>>>,
    from: Arc<Mutex<Result<Option<LogPosition>, HandlerError>>>,
    position: Arc<Mutex<Option<Position>>>,
    skipped: Arc<Mutex<Vec<u64>>>,
    passed: Arc<Mutex<Vec<u64>>>,
    begun: Arc<watch::Sender<u64>>,
    open: Arc<watch::Sender<bool>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            batches: Arc::default(),
            resyncs: Arc::default(),
            answer: Arc::new(Mutex::new(Arc::new(|_| Ok(())))),
            from: Arc::new(Mutex::new(Ok(None))),
            position: Arc::default(),
            skipped: Arc::default(),
            passed: Arc::default(),
            begun: Arc::new(watch::Sender::new(0)),
            open: Arc::new(watch::Sender::new(true)),
        }
    }

    /// Sets the result of later calls of the event handler.
    pub(crate) fn answer(&self, answer: impl Fn(&[u64]) -> Result<(), HandlerError> + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// Sets the result of later resyncs.
    pub(crate) fn resync_answer(&self, answer: Result<Option<LogPosition>, HandlerError>) {
        *self.from.lock().unwrap() = answer;
    }

    /// Makes this a service that stores its position: starting here, and advanced by every applied or skipped event.
    pub(crate) fn store_position(&self, position: impl Into<LogPosition>) {
        let newest = position.into();
        *self.position.lock().unwrap() = Some(Position { seq: newest.seq, newest });
    }

    fn goes_to(&self, mark: LogPosition) {
        if let Some(position) = self.position.lock().unwrap().as_mut().filter(|position| position.seq < mark.seq) {
            *position = Position { seq: mark.seq, newest: mark };
        }
    }

    /// Returns the numbers up to which events were skipped as unavailable.
    pub(crate) fn skipped(&self) -> Vec<u64> {
        self.skipped.lock().unwrap().clone()
    }

    /// Returns the numbers of the dead letters.
    pub(crate) fn passed(&self) -> Vec<u64> {
        self.passed.lock().unwrap().clone()
    }

    pub(crate) fn forget_passed(&self) {
        self.passed.lock().unwrap().clear();
    }

    /// Lets calls of the event handler begin but not end, until [`go`](Self::go).
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn go(&self) {
        self.open.send_replace(true);
    }

    /// Returns how many calls of the event handler have begun.
    pub(crate) fn begun(&self) -> u64 {
        *self.begun.borrow()
    }

    pub(crate) fn applied(&self) -> Vec<u64> {
        self.batches.lock().unwrap().concat()
    }

    /// Returns the applied numbers for each call of the event handler.
    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        self.batches.lock().unwrap().clone()
    }

    pub(crate) fn resyncs(&self) -> Vec<Resync> {
        self.resyncs.lock().unwrap().clone()
    }
}

impl EventHandler for Recorder {
    type Data = OrderChange;

    async fn apply(&self, events: &[Event<OrderChange>]) -> Result<(), HandlerError> {
        self.begun.send_modify(|begun| *begun += 1);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        let answer = Arc::clone(&self.answer.lock().unwrap());
        answer(&numbers)?;
        events.iter().for_each(|event| self.goes_to(LogPosition { seq: event.seq, epoch: event.epoch }));
        self.batches.lock().unwrap().push(numbers);
        Ok(())
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        self.resyncs.lock().unwrap().push(why);
        let from = self.from.lock().unwrap().clone()?;
        if let (Some(newest), Some(position)) = (from, self.position.lock().unwrap().as_mut()) {
            *position = Position { seq: newest.seq, newest };
        }
        Ok(from)
    }

    async fn position(&self) -> Result<Option<Position>, HandlerError> {
        Ok(*self.position.lock().unwrap())
    }

    async fn skip(&self, until: u64) -> Result<(), HandlerError> {
        self.goes_to(until.into());
        self.skipped.lock().unwrap().push(until);
        Ok(())
    }

    async fn skip_dead_letters(&self, numbers: &[u64]) -> Result<(), HandlerError> {
        numbers.iter().for_each(|number| self.goes_to((*number).into()));
        self.passed.lock().unwrap().extend(numbers);
        Ok(())
    }
}
