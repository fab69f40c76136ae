//! Finds the end of a chunked body in bytes that arrive in pieces (RFC 9112, 7.1).
//!
//! The HTTP parser alone determines where a request ends: this scanner only determines when the parser receives which
//! bytes, and changes none. So a body that both read differently cannot become two requests. The scanner accepts what the
//! parser of actix accepts, and on any other byte the connection ends.

/// What a piece of a connection contains of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// The whole piece belongs to the body, and the body continues.
    Continue,
    /// The body ends after this number of bytes.
    End(usize),
    /// The piece is no part of a chunked body.
    Invalid,
}

/// The position in the current body.
#[derive(Debug, Default)]
pub(super) struct ChunkScanner {
    next: Next,
    /// What the size line has said so far, and then the outstanding bytes of the chunk.
    size: u64,
}

/// What the next byte must be.
#[derive(Debug, Default, Clone, Copy)]
enum Next {
    /// The first digit of a size.
    #[default]
    Size,
    /// A further digit, or what follows the size.
    SizeRest,
    /// White space after the size, or what follows it.
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer, or of the empty line at the end.
    Trailer,
    TrailerRest,
    TrailerLf,
    LastLf,
}

impl ChunkScanner {
    /// Searches the next piece. Resets the search when it finds the end.
    pub(super) fn find(&mut self, piece: &[u8]) -> Chunks {
        let mut at = 0;
        while let Some(byte) = piece.get(at) {
            if let Next::Data = self.next {
                let rest = piece.len() - at;
                let ours = usize::try_from(self.size).map_or(rest, |size| size.min(rest));
                (at, self.size) = (at + ours, self.size - ours as u64);
                if self.size == 0 {
                    self.next = Next::DataCr;
                }
                continue;
            }
            at += 1;
            if let (Next::LastLf, b'\n') = (self.next, byte) {
                *self = Self::default();
                return Chunks::End(at);
            }
            match self.after(*byte) {
                Some(next) => self.next = next,
                None => return Chunks::Invalid,
            }
        }
        Chunks::Continue
    }

    /// Returns what follows `byte`; `None` if it must not be here.
    fn after(&mut self, byte: u8) -> Option<Next> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        Some(match (self.next, byte) {
            (Next::Size, _) => {
                self.size = digit?;
                Next::SizeRest
            }
            (Next::SizeRest | Next::SizeSpace, b'\r') | (Next::Extension, b'\r') => Next::SizeLf,
            (Next::SizeRest | Next::SizeSpace, b'\t' | b' ') => Next::SizeSpace,
            (Next::SizeRest | Next::SizeSpace, b';') => Next::Extension,
            (Next::SizeRest, _) => {
                self.size = self.size.checked_mul(16)? + digit?;
                Next::SizeRest
            }
            (Next::Extension, b'\t' | b' '..=b'~' | 0x80..) => Next::Extension,
            (Next::SizeLf, b'\n') => {
                if self.size == 0 {
                    Next::Trailer
                } else {
                    Next::Data
                }
            }
            (Next::DataCr, b'\r') => Next::DataLf,
            (Next::DataLf, b'\n') => Next::Size,
            (Next::Trailer, b'\r') => Next::LastLf,
            (Next::TrailerRest, b'\r') => Next::TrailerLf,
            (Next::Trailer | Next::TrailerRest, _) => Next::TrailerRest,
            (Next::TrailerLf, b'\n') => Next::Trailer,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODIES: [&str; 8] = [
        "0\r\n\r\n",
        "000\r\n\r\n",
        "1\r\n0\r\n0\r\n\r\n",
        "5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "A;name=\"0\r\n0123456789\r\n1e \t;x\r\n0123456789012345678901234567\r\n\r\n0;last\r\n\r\n",
        "2  \r\n\r\n\r\n0\t\r\n\r\n",
        "0\r\nA: 0\r\nB: \n0\r\n\r\n",
        "0\r\n\n\r\n\r\n",
    ];

    #[test]
    fn end_of_the_body_is_found_wherever_the_pieces_are_split() {
        for body in BODIES {
            for first in 0..=body.len() {
                for second in first..body.len() {
                    let mut scanner = ChunkScanner::default();
                    let body = body.as_bytes();
                    let pieces = [&body[..first], &body[first..second], &[&body[second..], b"GET / HTTP"].concat()];
                    let found: Vec<_> = pieces.iter().map(|piece| scanner.find(piece)).collect();
                    let end = body.len() - second;
                    if first == body.len() {
                        continue;
                    }
                    assert_eq!(found, [Chunks::Continue, Chunks::Continue, Chunks::End(end)], "{first} {second}");
                    assert_eq!(scanner.find(b"0\r\n\r\n"), Chunks::End(5), "the next body");
                }
            }
        }
    }

    #[test]
    fn other_bytes_are_invalid() {
        for body in [
            "\r\n", "x", "-1", "+1", " 1", "0x1", "1\n", "1 1", "1\r\r", "1\r\n11", "1\r\n1\n", "1\r\n1\rx", "1;a\nb",
            "1;\0", "0\n", "0\r\n\rx", "0\r\nA: b\rx", "10000000000000000", "fffffffffffffffff\r\n",
        ] {
            assert_eq!(ChunkScanner::default().find(body.as_bytes()), Chunks::Invalid, "{body:?}");
        }
        assert_eq!(ChunkScanner::default().find(b"ffffffffffffffff\r\nabc"), Chunks::Continue, "the largest size");
    }
}
