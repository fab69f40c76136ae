//! A RESP3 connection: commands are written together, and frames are read in the order in which Redis sent them.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use redis_connect::RedisAddress;
use redis_protocol::resp3::decode::complete::decode_bytes_mut;
use redis_protocol::resp3::types::BytesFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

mod values;

use self::values::ArrayReply;

/// The room for replies that a connection keeps.
const BUFFER: usize = 64 * 1024;

/// What Redis has sent.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// The reply to the next command; an error reply is `Err`.
    Reply(Result<Option<Bytes>, String>),
    /// The reply to the next command, with several values.
    Values(Vec<Option<Bytes>>),
    /// Keys have changed, or all of them.
    Changed(Option<Vec<Bytes>>),
    /// A message on a channel.
    Message(Bytes),
    /// Any other push, such as the confirmation of a subscription.
    Other,
}

pub(super) struct Incoming {
    half: redis_connect::Incoming,
    buffer: BytesMut,
}

pub(super) struct Outgoing {
    half: redis_connect::Outgoing,
    buffer: BytesMut,
}

pub(super) async fn connect(address: &RedisAddress) -> io::Result<(Incoming, Outgoing)> {
    let (incoming, outgoing) = address.connect().await?;
    let buffer = || BytesMut::with_capacity(BUFFER);
    Ok((Incoming { half: incoming, buffer: buffer() }, Outgoing { half: outgoing, buffer: buffer() }))
}

impl Incoming {
    /// Waits for the next frame. If the future is dropped, no data is lost.
    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        loop {
            match self.decode()? {
                Some(frame) => return Ok(frame),
                None => self.receive().await?,
            }
        }
    }

    /// Returns the next frame that has arrived completely.
    pub(super) fn decode(&mut self) -> io::Result<Option<Frame>> {
        Frame::take(&mut self.buffer)
    }

    /// Waits for further bytes. If the future is dropped, no data is lost.
    pub(super) async fn receive(&mut self) -> io::Result<()> {
        self.buffer.reserve(BUFFER / 4);
        match self.half.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Outgoing {
    /// Adds a command to those that [`flush`](Self::flush) sends.
    pub(super) fn push(&mut self, command: &[&[u8]]) {
        encode(&mut self.buffer, command.len(), command.iter().copied());
    }

    /// Adds an encoded command.
    pub(super) fn push_encoded(&mut self, command: &[u8]) {
        self.buffer.extend_from_slice(command);
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while self.buffer.has_remaining() {
            self.half.write_buf(&mut self.buffer).await?;
        }
        // TLS keeps what was written until then.
        self.half.flush().await
    }
}

/// Appends a command of so many parts to `buffer`.
pub(super) fn encode<'a>(buffer: &mut BytesMut, count: usize, parts: impl Iterator<Item = &'a [u8]>) {
    let header = |buffer: &mut BytesMut, kind, number| {
        buffer.extend_from_slice(kind);
        buffer.extend_from_slice(itoa::Buffer::new().format::<usize>(number).as_bytes());
        buffer.extend_from_slice(b"\r\n");
    };
    header(buffer, b"*", count);
    for part in parts {
        header(buffer, b"$", part.len());
        buffer.extend_from_slice(part);
        buffer.extend_from_slice(b"\r\n");
    }
}

impl Frame {
    /// Takes a frame from the beginning of the received bytes, if it is complete.
    fn take(received: &mut BytesMut) -> io::Result<Option<Self>> {
        match values::take(received) {
            ArrayReply::Complete(values) => Ok(Some(Self::Values(values))),
            ArrayReply::Incomplete => Ok(None),
            ArrayReply::OtherFrame => {
                let decoded = decode_bytes_mut(received).map_err(io::Error::other)?;
                Ok(decoded.map(|(frame, ..)| Self::of(frame)))
            }
        }
    }

    fn of(frame: BytesFrame) -> Self {
        match frame {
            BytesFrame::Push { data, .. } => Self::push(data),
            BytesFrame::SimpleError { data, .. } => Self::Reply(Err(data.to_string())),
            BytesFrame::BlobError { data, .. } => Self::Reply(Err(String::from_utf8_lossy(&data).into_owned())),
            BytesFrame::Array { data, .. } => Self::Values(data.into_iter().map(bytes).collect()),
            frame => Self::Reply(Ok(bytes(frame))),
        }
    }

    fn push(mut data: Vec<BytesFrame>) -> Self {
        let kind = data.first().cloned().and_then(bytes).unwrap_or_default();
        match (&*kind, data.pop()) {
            (b"invalidate", Some(BytesFrame::Array { data, .. })) => {
                Self::Changed(Some(data.into_iter().filter_map(bytes).collect()))
            }
            // FLUSHALL and FLUSHDB.
            (b"invalidate", _) => Self::Changed(None),
            (b"message", message) => Self::Message(message.and_then(bytes).unwrap_or_default()),
            _ => Self::Other,
        }
    }
}

/// Returns the bytes of a reply; `None` for null and for replies of which only the arrival counts.
fn bytes(frame: BytesFrame) -> Option<Bytes> {
    match frame {
        BytesFrame::BlobString { data, .. }
        | BytesFrame::SimpleString { data, .. }
        | BytesFrame::VerbatimString { data, .. } => Some(data),
        _ => None,
    }
}

/// Checks that a complete array is read as the library reads it. Other bytes are left as they are.
///
/// # Panics
/// Panics otherwise.
#[cfg(any(test, fuzzing))]
pub(crate) fn compare_with_library(received: &[u8]) {
    let mut rest = BytesMut::from(received);
    match values::take(&mut rest) {
        ArrayReply::Complete(values) => {
            assert_eq!((Some(Frame::Values(values)), rest), of_library(received), "{received:?}");
        }
        ArrayReply::Incomplete | ArrayReply::OtherFrame => assert_eq!(rest, received),
    }
}

/// Returns what the library makes of these bytes, and what it leaves of them.
#[cfg(any(test, fuzzing))]
fn of_library(received: &[u8]) -> (Option<Frame>, BytesMut) {
    let mut rest = BytesMut::from(received);
    let decoded = decode_bytes_mut(&mut rest).ok().flatten();
    (decoded.map(|(frame, ..)| Frame::of(frame)), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static [u8]) -> Frame {
        Frame::take(&mut BytesMut::from(text)).unwrap().unwrap()
    }

    #[test]
    fn pushes_are_told_from_replies() {
        assert_eq!(parse(b"$1\r\na\r\n"), Frame::Reply(Ok(Some("a".into()))));
        assert_eq!(parse(b"_\r\n"), Frame::Reply(Ok(None)));
        assert_eq!(parse(b"*2\r\n$1\r\na\r\n_\r\n"), Frame::Values(vec![Some("a".into()), None]));
        assert_eq!(parse(b"-ERR no\r\n"), Frame::Reply(Err("ERR no".to_owned())));
        assert_eq!(parse(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"), Frame::Changed(Some(vec!["k".into()])));
        assert_eq!(parse(b">2\r\n$10\r\ninvalidate\r\n_\r\n"), Frame::Changed(None));
        assert_eq!(parse(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"), Frame::Message("hi".into()));
        assert_eq!(parse(b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"), Frame::Other);
    }

    #[test]
    fn frames_of_all_kinds_are_taken_in_their_order_however_they_arrive() {
        let text =
            b"*1\r\n$1\r\na\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n*2\r\n_\r\n_\r\n-ERR no\r\n*1\r\n:1\r\n$1\r\nb\r\n";
        let expected = [
            Frame::Values(vec![Some("a".into())]),
            Frame::Changed(None),
            Frame::Values(vec![None, None]),
            Frame::Reply(Err("ERR no".to_owned())),
            Frame::Values(vec![None]),
            Frame::Reply(Ok(Some("b".into()))),
        ];
        for size in 1..=text.len() {
            let (mut received, mut frames) = (BytesMut::new(), Vec::new());
            for part in text.chunks(size) {
                received.extend_from_slice(part);
                frames.extend(std::iter::from_fn(|| Frame::take(&mut received).unwrap()));
            }
            assert_eq!(frames, expected, "{size} bytes at a time");
        }
        assert!(Frame::take(&mut BytesMut::from(&b"*1\r\nrubbish\r\n"[..])).is_err());
    }

    /// As TLS, which may keep what was written.
    #[tokio::test]
    async fn flush_reaches_through_a_stream_that_buffers() {
        let (ours, mut theirs) = tokio::io::duplex(1_024);
        let half = Box::new(tokio::io::BufWriter::new(ours));
        let mut outgoing = Outgoing { half, buffer: BytesMut::new() };
        outgoing.push(&[b"GET", b"k"]);
        outgoing.flush().await.unwrap();
        let expected = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let mut sent = vec![0; expected.len()];
        let arrives = tokio::time::timeout(std::time::Duration::from_secs(20), theirs.read_exact(&mut sent));
        arrives.await.expect("it was flushed").unwrap();
        assert_eq!(sent, expected);
    }
}
