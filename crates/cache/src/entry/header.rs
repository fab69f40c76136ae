//! Parsing of an entry's header, from its beginning.

use bytes::Bytes;

use super::{StoredEntry, TOKEN_LEN};
use crate::values::LZ4;

impl StoredEntry {
    /// Parses the header in one pass, because every hit does this.
    pub(super) fn parse(raw: Bytes) -> Option<Self> {
        let end = memchr::memchr(b'\n', &raw)?;
        let mut header = Header(raw.get(TOKEN_LEN..end)?);
        let at = header.number(b" at=")?;
        let soft = header.number(b" soft=")?;
        let hard = header.number(b" hard=")?;
        let version = match header.strip(b" ver=-") {
            Some(()) => None,
            None => Some(header.number(b" ver=")?),
        };
        header.strip(b" sum=")?;
        let start = end - header.0.len();
        header.word();
        let digest = (start, end - header.0.len());
        let absent = header.number(b" absent=")? == 1;
        header.strip(b" tags=")?;
        let first_tag = end - header.0.len();
        header.word();
        let tags = (first_tag, end - header.0.len());
        let (mut schema, mut is_compressed) = (0, false);
        // What most entries do not have.
        if !header.0.is_empty() {
            if let Some(number) = header.number(b" schema=") {
                schema = u32::try_from(number).ok()?;
            }
            if header.strip(b" zip=").is_some() {
                header.strip(LZ4)?;
                is_compressed = true;
            }
        }
        let stamp = match header.strip(b" stamp=") {
            Some(()) => (end - header.0.len(), end),
            None if header.0.is_empty() => (end, end),
            None => return None,
        };
        let body = end + 1;
        Some(Self { raw, body, digest, tags, stamp, schema, is_compressed, at, soft, hard, version, absent })
    }
}

/// The unparsed rest of a header.
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    /// Skips what precedes the next space.
    fn word(&mut self) {
        let end = memchr::memchr(b' ', self.0).unwrap_or(self.0.len());
        self.0 = &self.0[end..];
    }

    fn strip(&mut self, name: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(name)?;
        Some(())
    }

    fn number(&mut self, name: &[u8]) -> Option<u64> {
        self.strip(name)?;
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let append = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        number.iter().try_fold(0, append).filter(|_| digits > 0)
    }
}
