//! The messages are found regardless of how the byte stream is split.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short body");
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

fn error(sqlstate: &str, text: &str) -> Vec<u8> {
    let fields = format!("SFEHLER\0VERROR\0C{sqlstate}\0M{text}\0Fplancache.c\0L718\0RRevalidateCachedQuery\0\0");
    message(b'E', fields.as_bytes())
}

/// Returns the messages that are found when the bytes arrive in these pieces.
fn read_server<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<ServerMessage> {
    let (mut frames, mut heard) = (Frames::of_the_server(), Vec::new());
    for piece in pieces {
        frames.read_server(piece, |what| heard.push(what));
    }
    heard
}

/// Returns a row that looks like the end of a response, a refused statement, and the ends of both responses.
fn answers() -> Vec<u8> {
    let row = message(b'D', b"\0\x01\0\0\0\x06Z\0\0\0\x05I");
    let ready = message(b'Z', b"I");
    [row, message(b'C', b"SELECT 1\0"), ready.clone(), error("0A000", "der Plan"), message(b'N', b""), ready].concat()
}

#[test]
fn ready_for_query_is_found_wherever_reads_are_split() {
    let bytes = answers();
    let whole = read_server([bytes.as_slice()]);
    let refusal = ServerError {
        sqlstate: "0A000".to_owned(),
        message: "der Plan".to_owned(),
        routine: Some("RevalidateCachedQuery".to_owned()),
    };
    assert_eq!(whole, [ServerMessage::Ready, ServerMessage::Refused(refusal), ServerMessage::Ready]);
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(read_server(pieces), whole, "split after {first} and {second} bytes");
        }
    }
}

#[test]
fn client_messages_are_counted_wherever_writes_are_split() {
    let untyped = |code: u32| [8_u32.to_be_bytes(), code.to_be_bytes()].concat();
    let startup = [13_u32.to_be_bytes().as_slice(), &196_608_u32.to_be_bytes(), b"user\0"].concat();
    let prepared = [message(b'P', b"S\0"), message(b'B', b"\0"), message(b'S', b"")].concat();
    let bytes = [untyped(SSL_REQUEST), startup, message(b'Q', b"SET x\0"), prepared, message(b'X', b"")].concat();
    for first in 0..=bytes.len() {
        let (mut frames, mut sent) = (Frames::of_the_client(), Vec::new());
        for piece in [&bytes[..first], &bytes[first..]] {
            frames.send(piece, |what| sent.push(what));
        }
        assert_eq!(
            sent,
            [ClientMessage::Negotiation, ClientMessage::Request, ClientMessage::Request, ClientMessage::Request],
            "split after {first}"
        );
        assert!(!frames.is_mid_message());
    }
}

proptest! {
    /// Messages of any content, in pieces of any size.
    #[test]
    fn split_messages_are_parsed_like_whole_ones(
        messages in vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..20),
        sizes in vec(1_usize..12, 1..8),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(kind, body)| message(*kind, body)).collect();
        let mut pieces = Vec::new();
        let (mut rest, mut sizes) = (bytes.as_slice(), sizes.into_iter().cycle());
        while !rest.is_empty() {
            pieces.push(take(&mut rest, sizes.next().expect("an endless cycle")));
        }
        let heard = read_server(pieces);
        prop_assert_eq!(&heard, &read_server([bytes.as_slice()]));
        let ready = messages.iter().filter(|(kind, _)| *kind == b'Z').count();
        prop_assert_eq!(heard.iter().filter(|heard| **heard == ServerMessage::Ready).count(), ready);
    }
}
