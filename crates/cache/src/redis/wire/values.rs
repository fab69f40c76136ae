//! The reply to `MGET`. While it is incomplete, only its lengths are read: the library would parse all of it again after
//! every packet, and build two frames for each value.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Where a value is; `None` for null.
type Place = Option<Range<usize>>;

/// What the received bytes begin with.
#[derive(Debug, PartialEq)]
pub(super) enum ArrayReply {
    /// An array of values, which has been removed from the bytes.
    Complete(Vec<Option<Bytes>>),
    /// A part of such an array.
    Incomplete,
    /// Anything else.
    OtherFrame,
}

/// Takes an array of values from the beginning of `received`.
pub(super) fn take(received: &mut BytesMut) -> ArrayReply {
    match places(received) {
        Ok((places, end)) => {
            let reply = received.split_to(end).freeze();
            ArrayReply::Complete(places.into_iter().map(|place| Some(reply.slice(place?))).collect())
        }
        Err(other) => other,
    }
}

/// Returns where the values are, and where the array ends.
fn places(received: &[u8]) -> Result<(Vec<Place>, usize), ArrayReply> {
    let (count, mut at) = header(received, 0, b'*')?;
    let mut places = Vec::new();
    for _ in 0..count {
        if received.get(at) == Some(&b'_') {
            at = after_line(received, at + 1)?;
            places.push(None);
            continue;
        }
        let (length, start) = header(received, at, b'$')?;
        let end = start.checked_add(length).ok_or(ArrayReply::OtherFrame)?;
        at = after_line(received, end)?;
        places.push(Some(start..end));
    }
    Ok((places, at))
}

/// Returns the number in a line that begins at `at` with `kind`, and where the next line begins.
fn header(received: &[u8], at: usize, kind: u8) -> Result<(usize, usize), ArrayReply> {
    match received.get(at) {
        Some(first) if *first == kind => {}
        Some(_) => return Err(ArrayReply::OtherFrame),
        None => return Err(ArrayReply::Incomplete),
    }
    let digits = received[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = at + 1 + digits;
    let append = |sum: u32, digit: &u8| sum.checked_mul(10)?.checked_add(u32::from(digit - b'0'));
    let number = received[at + 1..end].iter().try_fold(0, append).ok_or(ArrayReply::OtherFrame)?;
    let next = after_line(received, end)?;
    if digits == 0 {
        return Err(ArrayReply::OtherFrame);
    }
    Ok((number as usize, next))
}

/// Returns where the line after the one that ends at `at` begins.
fn after_line(received: &[u8], at: usize) -> Result<usize, ArrayReply> {
    match received.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(at + 2),
        Some([] | [b'\r']) | None => Err(ArrayReply::Incomplete),
        Some(_) => Err(ArrayReply::OtherFrame),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, compare_with_library, of_library};
    use super::*;

    const REPLIES: [&[u8]; 5] = [
        b"*0\r\n",
        b"*1\r\n_\r\n",
        b"*3\r\n$1\r\na\r\n_\r\n$0\r\n\r\n",
        b"*2\r\n$12\r\n*1\r\n$1\r\nx\r\n_\r\n$3\r\n\r\n_\r\n",
        b"*12\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n$10\r\n0123456789\r\n",
    ];

    #[test]
    fn values_are_those_of_the_library_however_they_arrive() {
        for reply in REPLIES {
            let (Some(Frame::Values(expected)), _) = of_library(reply) else { panic!("{reply:?}") };
            for part in 0..reply.len() {
                let mut received = BytesMut::from(&reply[..part]);
                assert_eq!(take(&mut received), ArrayReply::Incomplete, "after {part} bytes of {reply:?}");
                assert_eq!(received.len(), part);
                received.extend_from_slice(&reply[part..]);
                received.extend_from_slice(b"+OK\r\n");
                assert_eq!(take(&mut received), ArrayReply::Complete(expected.clone()), "{reply:?}");
                assert_eq!(received, b"+OK\r\n"[..], "what follows the reply");
            }
        }
    }

    #[test]
    fn changed_bytes_are_read_as_the_library_reads_them() {
        for reply in REPLIES {
            for at in 0..reply.len() {
                for byte in *b"\0$*:_-?09\r\n\xff" {
                    let mut changed = reply.to_vec();
                    changed[at] = byte;
                    compare_with_library(&changed);
                }
            }
        }
    }

    #[test]
    fn other_frames_are_left_to_the_library() {
        let others: [&[u8]; 12] = [
            b"$1\r\na\r\n", b"+OK\r\n", b">1\r\n$1\r\na\r\n", b"*1\r\n:1\r\n", b"*?\r\n", b"*1\r\n$?\r\n", b"*-1\r\n",
            b"*1\r\n$-1\r\n", b"*1\r\n$1\r\nab\r\n", b"*99999999999\r\n", b"*\r\n", b"*1\r\n_x\r\n",
        ];
        for other in others {
            let mut received = BytesMut::from(other);
            assert_eq!(take(&mut received), ArrayReply::OtherFrame, "{other:?}");
            assert_eq!(received, other);
        }
    }
}
