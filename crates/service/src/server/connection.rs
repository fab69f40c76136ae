//! A client's connection: passes bytes through, one request at a time, within time limits.
//!
//! It lies between the socket and the HTTP parser of actix, and adds what the parser lacks:
//!
//! - **Limits.** t=0: the first byte of a request arrives. At t=`headers_timeout` at the latest its head is complete,
//!   or the client receives 408. An idle connection closes after `keep_alive`, and a connection whose client reads
//!   nothing closes after `write_timeout`. The rest of a body that the application did not read may arrive for
//!   `body_timeout` after the response. What clients have not read yet is limited over all connections (`unsent.rs`).
//! - **One request at a time.** With pipelined requests, the parser receives the next request when the previous
//!   response is complete. The parser keeps one flag for "the request was HEAD": with two requests at once, a response
//!   would be cut off.
//! - **Problems.** If the parser refuses a request with a bare status, the client receives `application/problem+json`.
//!
//! Not covered: a head whose lines end with a bare LF is not held back. The connection closes after a chunked body that
//! follows it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::chunks_end::{ChunkScanner, Chunks};
use super::exchange::{ConnectionPhase, Length, Phase};
use super::head_end::HeadScanner;
use super::permit::{ConnectionPermit, Limits};
use super::refusal;
use super::unsent::{LOOK, UnsentShare};
use crate::problem::Problem;

/// The maximum length of request line and headers together, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// The connection; see the module's documentation.
pub(super) struct Connection {
    /// Taken when the connection is dropped.
    stream: Option<TcpStream>,
    exchange: ConnectionPhase,
    limits: Limits,
    head: HeadScanner,
    chunks: ChunkScanner,
    /// Bytes that have arrived after the current request.
    next: BytesMut,
    timer: Pin<Box<Sleep>>,
    /// Since when the client has accepted no bytes, and the timer until the next look at it.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    unsent: UnsentShare,
    /// The unwritten rest of a problem that replaces the parser's response.
    replacement: Option<Bytes>,
    /// Whether reading has ended.
    is_over: bool,
    is_refused: bool,
    /// The response to a refused client, written when the parser has released the connection.
    last: Bytes,
    place: Option<ConnectionPermit>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, limits: Limits, unsent: UnsentShare, place: ConnectionPermit) -> Self {
        Self {
            stream: Some(stream),
            exchange: ConnectionPhase::new(),
            limits,
            head: HeadScanner::default(),
            chunks: ChunkScanner::default(),
            next: BytesMut::new(),
            timer: Box::pin(sleep(limits.keep_alive)),
            waiting: None,
            unsent,
            replacement: None,
            is_over: false,
            is_refused: false,
            last: Bytes::new(),
            place: Some(place),
        }
    }

    /// Returns the state that the requests on this connection share.
    pub(super) fn exchange(&self) -> &ConnectionPhase {
        &self.exchange
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads a part of a head, and nothing after the head.
    fn poll_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.poll_bytes(cx, buffer))?;
        let piece = &buffer.filled()[before..];
        if piece.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.exchange.phase() == Phase::Idle {
            self.exchange.enter(Phase::Head);
        }
        match self.head.find(piece) {
            Some(end) => {
                self.exchange.enter(Phase::Parsing);
                self.put_back(buffer, before + end);
            }
            None if self.head.length() > HEAD_LIMIT => {
                buffer.set_filled(before);
                self.reject(&refusal::headers_too_large());
            }
            None => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a part of a body, and nothing after the body.
    fn poll_body(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.poll_bytes(cx, buffer))?;
        let piece = &buffer.filled()[before..];
        if piece.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match self.exchange.body() {
            Length::Known(left) => {
                let ours = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
                self.put_back(buffer, before + ours);
                self.exchange.set_outstanding(left - ours as u64);
            }
            Length::Chunked => match self.chunks.find(piece) {
                Chunks::Continue => {}
                Chunks::End(end) => {
                    self.put_back(buffer, before + end);
                    self.exchange.set_outstanding(0);
                }
                // The parser refuses these bytes, and receives no others.
                Chunks::Invalid => self.is_over = true,
            },
            Length::UntilClose => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Reads nothing. The code that ends the phase wakes the connection if there is something to read by then.
    fn hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.next.is_empty() || self.stream()?.poll_read_ready(cx)?.is_ready() {
            self.exchange.hold();
        }
        Poll::Pending
    }

    /// Returns the bytes that were put back, or otherwise reads from the socket.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.next.is_empty() {
            return self.stream()?.poll_read(cx, buffer);
        }
        let count = self.next.len().min(buffer.remaining());
        buffer.put_slice(&self.next.split_to(count));
        Poll::Ready(Ok(()))
    }

    /// Keeps the bytes after `end` in the buffer for the next request.
    fn put_back(&mut self, buffer: &mut ReadBuf<'_>, end: usize) {
        let rest = &buffer.filled()[end..];
        if rest.is_empty() {
            return;
        }
        let mut next = BytesMut::from(rest);
        next.unsplit(std::mem::take(&mut self.next));
        self.next = next;
        buffer.set_filled(end);
    }

    fn deadline(&self) -> Option<Instant> {
        let limit = match self.exchange.phase() {
            Phase::Idle => self.limits.keep_alive,
            Phase::Head | Phase::Parsing => self.limits.headers_timeout,
            Phase::Handling => return None,
            Phase::Draining => self.limits.body_timeout,
        };
        Some(self.exchange.since() + limit)
    }

    /// Returns ready, with the end of the stream, when the phase has lasted too long. The timer is set lazily: a later
    /// deadline is checked when the timer fires.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The timer also runs without a deadline: nothing else polls the connection when the response is complete.
        let deadline = self.deadline().unwrap_or_else(|| Instant::now() + self.limits.keep_alive);
        // The parser consumes a whole head at once, and the application's time is not limited here.
        let is_waited_for = matches!(self.exchange.phase(), Phase::Idle | Phase::Head | Phase::Draining);
        if is_waited_for && self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() < deadline {
                self.timer.as_mut().reset(deadline);
                continue;
            }
            match self.exchange.phase() {
                Phase::Head | Phase::Parsing => self.reject(&refusal::late_headers(self.limits.headers_timeout)),
                Phase::Idle | Phase::Handling | Phase::Draining => self.is_over = true,
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Responds to input that did not become a request; the parser reads the end of the stream and closes it.
    fn reject(&mut self, problem: &Problem) {
        (self.is_over, self.is_refused) = (true, true);
        tracing::debug!(http.status = problem.kind().status().as_u16(), "connection refused: {problem}");
        // If the client has not even read the previous response, this response cannot be written.
        if self.waiting.is_none() {
            self.last = refusal::response(problem);
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = self.stream()?.poll_write(cx, bytes) {
            self.waiting = None;
            self.unsent.set(written.as_ref().map_or(0, |count| bytes.len() - count));
            return Poll::Ready(written);
        }
        self.unsent.set(bytes.len());
        let (limit, look) = (self.limits.write_timeout, LOOK.min(self.limits.write_timeout));
        let (since, timer) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(look))));
        while timer.as_mut().poll(cx).is_ready() {
            if since.elapsed() >= limit || self.unsent.is_too_much() {
                tracing::debug!(bytes = bytes.len(), waited = ?since.elapsed(), "connection closed: its client does not read");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset((Instant::now() + look).min(*since + limit));
        }
        Poll::Pending
    }

    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(mut rest) = self.replacement.take().filter(|rest| !rest.is_empty()) {
            let written = self.poll_socket(cx, &rest);
            if let Poll::Ready(Ok(count)) = written {
                rest.advance(count);
            }
            self.replacement = Some(rest);
            ready!(written)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(Ok(()));
        }
        this.exchange.register(cx.waker());
        let read = match (this.exchange.phase(), this.exchange.body()) {
            (Phase::Idle | Phase::Head, _) => this.poll_head(cx, buffer),
            (Phase::Parsing, _) | (_, Length::Known(0)) => this.hold(cx),
            (Phase::Handling | Phase::Draining, _) => this.poll_body(cx, buffer),
        };
        if read.is_pending() { this.poll_deadline(cx) } else { read }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.replacement.is_some() {
            ready!(this.poll_replacement(cx))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        let phase = this.exchange.phase();
        match refusal::bare_error(bytes).filter(|_| phase != Phase::Handling) {
            None => this.poll_socket(cx, bytes),
            // Write the end of the preceding response first.
            Some((start @ 1.., _)) => this.poll_socket(cx, &bytes[..start]),
            Some((_, status)) => {
                this.is_refused = true;
                // The body was found to be malformed after the response to its request.
                if phase == Phase::Draining {
                    return Poll::Ready(Ok(bytes.len()));
                }
                let problem = refusal::of_parser(status);
                tracing::debug!(http.status = status.as_u16(), "request refused: {problem}");
                this.replacement = Some(refusal::response(&problem));
                ready!(this.poll_replacement(cx))?;
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.last.is_empty() {
            return Poll::Ready(Ok(()));
        }
        this.stream()?.poll_shutdown(cx)
    }
}

/// Sends a pending refusal before closing: the system resets a connection that is closed with unread bytes, and then
/// the client may not receive the refusal.
impl Drop for Connection {
    fn drop(&mut self) {
        if let (true, Some(stream), Some(place)) = (self.is_refused, self.stream.take(), self.place.take()) {
            place.close_after_reading(stream, std::mem::take(&mut self.last));
        }
    }
}
