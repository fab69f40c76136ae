//! A stream that detects that Postgres has stopped responding.
//!
//! If a peer vanishes without closing the connection, or a proxy hangs, the connection still looks open. Postgres
//! enforces `statement_timeout`, which does not help then; TCP does not help either while a device in between
//! acknowledges. So a read fails if Postgres has an outstanding response and has sent nothing for longer than the
//! current statement may take, or an ordinary one after another connection failed in this way.
//!
//! The stream is the transport of the protocol's messages: a socket, or TLS over a socket.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::frames::{ClientMessage, Frames, ServerMessage};
use super::state::ConnectionState;

/// How often a limit that may become shorter is read again.
const REREAD_EVERY: Duration = Duration::from_secs(1);

/// The watched stream; see the [module](self).
#[derive(Debug)]
pub(crate) struct WatchedStream<S> {
    stream: S,
    connection_state: Arc<ConnectionState>,
    sent: Frames,
    heard: Frames,
    /// The outstanding one-byte responses, as for the request for TLS.
    bytes_owed: u32,
    /// The requests that Postgres has not finished. There may be several.
    owed: u32,
    /// When bytes were last sent or received.
    since: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl<S> WatchedStream<S> {
    pub(crate) fn new(stream: S, connection_state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            connection_state,
            sent: Frames::of_the_client(),
            heard: Frames::of_the_server(),
            bytes_owed: 0,
            owed: 0,
            since: Instant::now(),
            alarm: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Returns whether a response is outstanding: from the first byte of a request until Postgres is ready for the next
    /// one.
    fn is_waiting(&self) -> bool {
        self.owed > 0 || self.bytes_owed > 0 || self.sent.is_mid_message()
    }

    fn read_server(&mut self, mut bytes: &[u8]) {
        self.since = Instant::now();
        while self.bytes_owed > 0 && !bytes.is_empty() {
            self.bytes_owed -= 1;
            bytes = &bytes[1..];
        }
        let (owed, connection_state) = (&mut self.owed, &self.connection_state);
        self.heard.read_server(bytes, |heard| match heard {
            ServerMessage::Ready => *owed = owed.saturating_sub(1),
            ServerMessage::Refused(refusal) => connection_state.remember(refusal),
        });
    }

    fn send(&mut self, bytes: &[u8]) {
        self.since = Instant::now();
        let (owed, bytes_owed) = (&mut self.owed, &mut self.bytes_owed);
        self.sent.send(bytes, |sent| match sent {
            ClientMessage::Negotiation => *bytes_owed += 1,
            ClientMessage::Request => *owed += 1,
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.read_server(&buffer.filled()[before..]);
            return Poll::Ready(read);
        }
        while self.is_waiting() {
            let now = Instant::now();
            let end = self.connection_state.silence().map(|silence| self.since + silence);
            if end.is_some_and(|end| end <= now) {
                let silent = format!("Postgres has sent nothing for {:?}", now - self.since);
                return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, silent)));
            }
            let reread = self.connection_state.may_shorten().then(|| now + REREAD_EVERY);
            let Some(next) = end.into_iter().chain(reread).min() else { break };
            // A deadline that has not moved stays registered: resetting it on each poll would cost more.
            if self.alarm.deadline() != next {
                self.alarm.as_mut().reset(next);
            }
            std::task::ready!(self.alarm.as_mut().poll(context));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        let was_waiting = self.is_waiting();
        self.send(&bytes[..written]);
        if !was_waiting && self.is_waiting() {
            // The reader sleeps without a deadline: wake it to compute one.
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
