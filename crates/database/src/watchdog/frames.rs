//! Splits a byte stream into messages of the Postgres protocol, regardless of how its reads and writes are split.
//!
//! It keeps only what the watchdog and the classification of errors need: the type of each message, and the body of a
//! few. See <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use super::state::ServerError;

/// The maximum kept size of a body. The SQLSTATE and the message of an error come first.
const KEPT: usize = 8 * 1024;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// The first messages of a client have no type byte.
    is_typed: bool,
    head: Vec<u8>,
    left: usize,
    body: Vec<u8>,
}

/// A message from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// The request for encryption. The server answers it with one byte.
    Negotiation,
    /// A message that one `ReadyForQuery` ends: the startup, a `Query`, a `Sync`.
    Request,
}

/// A message from Postgres.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerMessage {
    /// `ReadyForQuery`: a request is finished.
    Ready,
    /// `ErrorResponse`.
    Refused(ServerError),
}

impl Frames {
    pub(super) fn of_the_server() -> Self {
        Self { is_typed: true, head: Vec::with_capacity(5), left: 0, body: Vec::new() }
    }

    pub(super) fn of_the_client() -> Self {
        Self { is_typed: false, ..Self::of_the_server() }
    }

    /// Returns whether a message has begun and not ended.
    pub(super) fn is_mid_message(&self) -> bool {
        !self.head.is_empty()
    }

    /// Processes bytes from Postgres.
    pub(super) fn read_server(&mut self, mut bytes: &[u8], mut tell: impl FnMut(ServerMessage)) {
        while let Some(kind) = self.next(&mut bytes, |kind| kind == b'E') {
            match kind {
                b'Z' => tell(ServerMessage::Ready),
                b'E' => tell(ServerMessage::Refused(refusal(&self.body))),
                _ => {}
            }
        }
    }

    /// Processes bytes from the client.
    pub(super) fn send(&mut self, mut bytes: &[u8], mut tell: impl FnMut(ClientMessage)) {
        while let Some(kind) = self.next(&mut bytes, |kind| kind == 0) {
            match kind {
                // A message without a type byte.
                0 => match self.body.first_chunk().map(|code| u32::from_be_bytes(*code)) {
                    Some(SSL_REQUEST | GSS_REQUEST) => tell(ClientMessage::Negotiation),
                    _ => {
                        self.is_typed = true;
                        tell(ClientMessage::Request);
                    }
                },
                // `Query`, `Sync`, `FunctionCall`.
                b'Q' | b'S' | b'F' => tell(ClientMessage::Request),
                _ => {}
            }
        }
    }

    /// Returns the type of the next message that ends within `bytes`; the bytes up to its end are consumed.
    fn next(&mut self, bytes: &mut &[u8], keeps: impl Fn(u8) -> bool) -> Option<u8> {
        let size = if self.is_typed { 5 } else { 4 };
        if self.head.len() < size {
            self.head.extend_from_slice(take(bytes, size - self.head.len()));
            if self.head.len() < size {
                return None;
            }
            let length = self.head.last_chunk().map_or(4, |length| u32::from_be_bytes(*length));
            // The length includes its own four bytes.
            self.left = (length as usize).saturating_sub(4);
            self.body.clear();
        }
        let kind = if self.is_typed { self.head[0] } else { 0 };
        let body = take(bytes, self.left);
        self.left -= body.len();
        if keeps(kind) {
            self.body.extend_from_slice(&body[..body.len().min(KEPT.saturating_sub(self.body.len()))]);
        }
        if self.left > 0 {
            return None;
        }
        self.head.clear();
        Some(kind)
    }
}

/// Splits at most `most` bytes off the front.
fn take<'b>(bytes: &mut &'b [u8], most: usize) -> &'b [u8] {
    let (front, rest) = bytes.split_at(bytes.len().min(most));
    *bytes = rest;
    front
}

/// Parses the fields of an `ErrorResponse`: each is a type byte and a text that ends with a zero byte.
fn refusal(body: &[u8]) -> ServerError {
    let mut refusal = ServerError { sqlstate: String::new(), message: String::new(), routine: None };
    for field in body.split(|byte| *byte == 0) {
        let Some((kind, text)) = field.split_first() else { continue };
        let text = || String::from_utf8_lossy(text).into_owned();
        match kind {
            b'C' => refusal.sqlstate = text(),
            b'M' => refusal.message = text(),
            b'R' => refusal.routine = Some(text()),
            _ => {}
        }
    }
    refusal
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
