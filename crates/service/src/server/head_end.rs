//! Finds the end of a request's head in bytes that arrive in pieces.

use memchr::memmem;

const END: &[u8] = b"\r\n\r\n";

/// The progress of the search in the current head.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// The number of bytes of this head so far.
    length: usize,
    /// The number of bytes of [`END`] with which the last piece ended.
    matched: usize,
    has_begun: bool,
}

impl HeadScanner {
    /// Returns the number of bytes of this head so far.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Searches the next piece. Returns the number of bytes up to and including the empty line, if it is there, and
    /// resets the search.
    pub(super) fn find(&mut self, piece: &[u8]) -> Option<usize> {
        // Parsers skip empty lines before a request.
        let skipped =
            if self.has_begun { 0 } else { piece.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count() };
        self.has_begun |= skipped < piece.len();
        let end = self.find_in(&piece[skipped..]).map(|end| skipped + end);
        match end {
            Some(_) => *self = Self::default(),
            None => self.length += piece.len(),
        }
        end
    }

    fn find_in(&mut self, piece: &[u8]) -> Option<usize> {
        // An end that began in the previous piece.
        for (index, byte) in piece.iter().enumerate() {
            if self.matched == 0 {
                break;
            }
            if *byte != END[self.matched] {
                self.matched = 0;
                break;
            }
            self.matched += 1;
            if self.matched == END.len() {
                return Some(index + 1);
            }
        }
        if let Some(at) = memmem::find(piece, END) {
            return Some(at + END.len());
        }
        if self.matched < piece.len() {
            self.matched = (1..END.len()).rev().find(|length| piece.ends_with(&END[..*length])).unwrap_or(0);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_the_head_is_found_wherever_the_pieces_are_split() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n";
        for first in 0..head.len() {
            for second in first..head.len() {
                let mut end = HeadScanner::default();
                let pieces = [&head[..first], &head[first..second], &[&head[second..], b"rest"].concat()];
                let found: Vec<_> = pieces.iter().map(|piece| end.find(piece)).collect();
                assert_eq!(found, [None, None, Some(head.len() - second)], "{first} {second}");
                assert_eq!(end.length(), 0);
            }
        }
    }

    #[test]
    fn empty_lines_before_a_request_do_not_end_the_head() {
        let mut end = HeadScanner::default();
        assert_eq!(end.find(b"\r\n\r\n\r\n"), None);
        assert_eq!(end.find(b"\r\nGET / HTTP/1.1\r\n\r\nGET"), Some(20));
        assert_eq!(end.find(b"\r\n\r\nG"), None);
    }
}
