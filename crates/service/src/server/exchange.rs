//! The state that a connection and its request share: the phase, and how much of the body is outstanding.
//!
//! Both run on one worker thread. The connection sees bytes and the middleware sees requests; neither alone can
//! distinguish a slow client from a slow handler.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use tokio::time::Instant;

/// The position of a connection in the sequence of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of the next request has arrived.
    Idle,
    /// A part of the request's head has arrived.
    Head,
    /// The whole head has arrived, and the parser has it.
    Parsing,
    /// The application has the request.
    Handling,
    /// The response is complete, and a part of the request's body is outstanding.
    Draining,
}

/// How much of a body is outstanding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The number of bytes.
    Known(u64),
    /// Unknown: the end is marked in the body itself.
    Chunked,
    /// Unknown: the body lasts until the connection closes.
    UntilClose,
}

/// The state that the connection and the middleware share.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionPhase(Rc<State>);

#[derive(Debug)]
struct State {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    body: Cell<Length>,
    /// The connection's task, and whether bytes wait until it is polled again.
    reader: RefCell<Option<Waker>>,
    is_held: Cell<bool>,
}

impl ConnectionPhase {
    pub(super) fn new() -> Self {
        let (phase, since, body) = (Cell::new(Phase::Idle), Cell::new(Instant::now()), Cell::new(Length::Known(0)));
        Self(Rc::new(State { phase, since, body, reader: RefCell::new(None), is_held: Cell::new(false) }))
    }

    pub(super) fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    pub(super) fn since(&self) -> Instant {
        self.0.since.get()
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.0.phase.set(phase);
        self.0.since.set(Instant::now());
    }

    pub(super) fn body(&self) -> Length {
        self.0.body.get()
    }

    /// Records how many bytes of the body are outstanding.
    pub(super) fn set_outstanding(&self, left: u64) {
        self.0.body.set(Length::Known(left));
        if left == 0 && self.phase() == Phase::Draining {
            self.enter(Phase::Idle);
        }
    }

    /// Stores the waker of the connection's task.
    pub(super) fn register(&self, reader: &Waker) {
        let mut registered = self.0.reader.borrow_mut();
        if !registered.as_ref().is_some_and(|registered| registered.will_wake(reader)) {
            *registered = Some(reader.clone());
        }
    }

    /// Records that the connection has bytes that must wait; it is polled again when they may continue.
    pub(super) fn hold(&self) {
        self.0.is_held.set(true);
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.0.reader.borrow().as_ref() {
            reader.wake_by_ref();
        }
    }

    /// Records that the application receives a request.
    pub(crate) fn begin(&self, method: &Method, headers: &HeaderMap) {
        let before = self.0.phase.replace(Phase::Handling);
        let body = match length(method, headers) {
            // The parser has found the end of the head before the connection did, and may have a part of the body.
            Length::Chunked if before != Phase::Parsing => Length::UntilClose,
            length => length,
        };
        self.0.body.set(body);
        if body != Length::Known(0) && self.0.is_held.take() {
            self.wake_reader();
        }
    }

    /// Records that the application has produced its whole response.
    pub(crate) fn finish(&self) {
        let is_read = self.body() == Length::Known(0);
        self.enter(if is_read { Phase::Idle } else { Phase::Draining });
        // A shorter deadline begins with `Draining`.
        if self.0.is_held.take() || !is_read {
            self.wake_reader();
        }
    }
}

/// Returns the length as the HTTP parser determines it; the parser has refused contradictory headers.
fn length(method: &Method, headers: &HeaderMap) -> Length {
    if headers.contains_key(TRANSFER_ENCODING) {
        Length::Chunked
    } else if has_body_until_close(method, headers) {
        Length::UntilClose
    } else {
        Length::Known(declared_length(headers))
    }
}

/// Returns whether the HTTP parser takes everything until the connection closes for the body of a request.
pub(crate) fn has_body_until_close(method: &Method, headers: &HeaderMap) -> bool {
    let is_websocket =
        |upgrade: &HeaderValue| upgrade.to_str().is_ok_and(|upgrade| upgrade.trim().eq_ignore_ascii_case("websocket"));
    !headers.contains_key(TRANSFER_ENCODING)
        && (headers.get_all(UPGRADE).any(is_websocket) || *method == Method::CONNECT && declared_length(headers) == 0)
}

fn declared_length(headers: &HeaderMap) -> u64 {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    declared.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// Finishes the exchange when a streamed body ends or is dropped.
#[derive(Debug)]
pub(crate) struct FinishOnDrop(pub(crate) ConnectionPhase);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}
