//! The record of the trusted incarnation, in the memory of the test instead of a database.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use cache::incarnation::{IncarnationRecord, RecordFuture};

#[derive(Debug, Default)]
pub(crate) struct TestRecord {
    pub(crate) text: Mutex<Option<String>>,
    pub(crate) is_lost: AtomicBool,
}

impl TestRecord {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn access<'a, T: Send + 'a>(
        &'a self, access: impl FnOnce(&mut Option<String>) -> T + Send + 'a,
    ) -> RecordFuture<'a, T> {
        Box::pin(async move {
            match self.is_lost.load(SeqCst) {
                true => Err(io::Error::other("the database does not answer").into()),
                false => Ok(access(&mut self.text.lock().unwrap())),
            }
        })
    }
}

impl IncarnationRecord for TestRecord {
    fn load(&self) -> RecordFuture<'_, Option<String>> {
        self.access(|text| text.clone())
    }

    fn replace<'a>(&'a self, expected: Option<&'a str>, new: &'a str) -> RecordFuture<'a, bool> {
        self.access(move |text| {
            let is_expected = text.as_deref() == expected;
            if is_expected {
                *text = Some(new.to_owned());
            }
            is_expected
        })
    }
}
