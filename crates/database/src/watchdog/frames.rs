//! Messages of the Postgres protocol, cut out of a stream of bytes wherever its reads and writes are split.
//!
//! Only what the watchdog and the classification of errors need is kept: the type of each message, and the body of few.
//! See <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use super::ServerError;

/// As much of a body is kept. The SQLSTATE and the message of an error come first.
const KEPT: usize = 8 * 1024;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// A client's first messages have no type byte.
    is_typed: bool,
    head: Vec<u8>,
    left: usize,
    body: Vec<u8>,
}

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// The question whether the server encrypts. One byte answers it.
    Negotiation,
    /// Something that one `ReadyForQuery` ends: the startup, a `Query`, a `Sync`.
    Request,
}

/// What Postgres has answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerMessage {
    /// `ReadyForQuery`: a request is done with.
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

    /// Whether a message has begun and not ended.
    pub(super) fn is_mid_message(&self) -> bool {
        !self.head.is_empty()
    }

    /// Takes in what Postgres has sent.
    pub(super) fn read_server(&mut self, mut bytes: &[u8], mut tell: impl FnMut(ServerMessage)) {
        while let Some(kind) = self.next(&mut bytes, |kind| kind == b'E') {
            match kind {
                b'Z' => tell(ServerMessage::Ready),
                b'E' => tell(ServerMessage::Refused(refusal(&self.body))),
                _ => {}
            }
        }
    }

    /// Takes in what the client has sent.
    pub(super) fn send(&mut self, mut bytes: &[u8], mut tell: impl FnMut(ClientMessage)) {
        while let Some(kind) = self.next(&mut bytes, |kind| kind == 0) {
            match kind {
                // Not typed yet.
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

    /// The type of the next message that ends within `bytes`, which are consumed up to there.
    fn next(&mut self, bytes: &mut &[u8], keeps: impl Fn(u8) -> bool) -> Option<u8> {
        let size = if self.is_typed { 5 } else { 4 };
        if self.head.len() < size {
            self.head.extend_from_slice(take(bytes, size - self.head.len()));
            if self.head.len() < size {
                return None;
            }
            let length = self.head.last_chunk().map_or(4, |length| u32::from_be_bytes(*length));
            // The length counts itself.
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

/// Takes at most so many bytes off the front.
fn take<'b>(bytes: &mut &'b [u8], most: usize) -> &'b [u8] {
    let (front, rest) = bytes.split_at(bytes.len().min(most));
    *bytes = rest;
    front
}

/// The fields of an `ErrorResponse`: each a type byte and a text that ends with a zero byte.
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
