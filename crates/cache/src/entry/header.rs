//! Parsing of an entry's header, from its beginning.

/// The unparsed rest of a header.
pub(super) struct Header<'a>(pub(super) &'a [u8]);

impl Header<'_> {
    pub(super) fn strip(&mut self, name: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(name)?;
        Some(())
    }

    pub(super) fn number(&mut self, name: &[u8]) -> Option<u64> {
        self.strip(name)?;
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let append = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        number.iter().try_fold(0, append).filter(|_| digits > 0)
    }
}
