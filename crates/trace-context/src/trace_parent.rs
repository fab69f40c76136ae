//! The value of the header `traceparent`.

use std::fmt;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The length of a `traceparent` of version 00: `00-<32 digits>-<16 digits>-<2 digits>`.
const LENGTH: usize = 55;

/// The flag that says that the trace is recorded. Other flags are not passed on.
const SAMPLED: u8 = 1;

/// A valid `traceparent`: the trace, the span that is the parent, and whether the trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
}

/// The text is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Returns the `traceparent` of a span; `None` if one of the ids is zero, which is invalid.
    pub fn new(trace_id: u128, span_id: u64, is_sampled: bool) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, is_sampled })
    }

    /// Returns the id of the trace.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the span that is the parent.
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// Returns whether the trace is recorded.
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }
}

/// Accepts later versions, too: as the specification requires, only the fields of version 00 are read from them.
impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let (known, rest) = text.as_bytes().split_at_checked(LENGTH).ok_or(InvalidTraceParent)?;
        let separators = [2, 35, 52].map(|at| known[at]);
        let version = hex(&known[..2]).ok_or(InvalidTraceParent)?;
        let is_whole = if version == 0 { rest.is_empty() } else { matches!(rest.first(), None | Some(b'-')) };
        if separators != [b'-'; 3] || version == 0xff || !is_whole {
            return Err(InvalidTraceParent);
        }
        let fields = (hex(&known[3..35]), hex(&known[36..52]), hex(&known[53..]));
        let (Some(trace_id), Some(span_id), Some(flags)) = fields else { return Err(InvalidTraceParent) };
        let span_id = u64::try_from(span_id).map_err(|_| InvalidTraceParent)?;
        Self::new(trace_id, span_id, flags as u8 & SAMPLED != 0).ok_or(InvalidTraceParent)
    }
}

/// Reads digits and lower-case letters only: the specification refuses upper case.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

impl fmt::Display for InvalidTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent: 00-<32 hexadecimal digits>-<16 digits>-<2 digits>, in lower case")
    }
}

impl std::error::Error for InvalidTraceParent {}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Deserializes an optional `traceparent`. Anything else counts as absent: an invalid trace context must not make its
/// event unreadable.
///
/// # Errors
/// Returns an error only if the input itself is malformed.
pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceParent>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Field {
        Text(String),
        Other(IgnoredAny),
    }
    match Field::deserialize(deserializer)? {
        Field::Text(text) => Ok(text.parse().ok()),
        Field::Other(IgnoredAny) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Carrier {
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
        traceparent: Option<TraceParent>,
    }

    #[test]
    fn valid_traceparent_is_written_as_it_was_read() {
        for text in [VALID, &VALID.replace("-01", "-00")] {
            let parent: TraceParent = text.parse().expect(text);
            assert_eq!(parent.to_string(), text);
            assert_eq!(parent.to_string().len(), LENGTH);
        }
        let parent: TraceParent = VALID.parse().expect("valid");
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span_id(), parent.is_sampled()), (0x00f0_67aa_0ba9_02b7, true));
    }

    #[test]
    fn later_version_and_unknown_flags_are_read_as_version_00() {
        for text in [VALID.replacen("00", "cc", 1), format!("cc{}-what", &VALID[2..]), VALID.replace("-01", "-ff")] {
            assert_eq!(text.parse(), VALID.parse::<TraceParent>(), "{text}");
        }
    }

    #[test]
    fn malformed_traceparent_is_refused() {
        let zero_trace = VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = VALID.replace("00f067aa0ba902b7", &"0".repeat(16));
        for text in [
            "",
            "-",
            "00-zz",
            "00-0-0-00",
            &VALID[..54],
            &format!("{VALID}-"),
            &format!("{VALID}0"),
            &VALID.to_uppercase(),
            &VALID.replacen("00", "ff", 1),
            &VALID.replacen('-', "_", 1),
            &format!(" {}", &VALID[..54]),
            &"é".repeat(40),
            &zero_trace,
            &zero_span,
            &format!("cc{}0", &VALID[2..]),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }

    #[test]
    fn invalid_field_of_an_event_counts_as_absent() {
        let parse = |json: &str| serde_json::from_str::<Carrier>(json).expect(json).traceparent;
        for json in [
            "{}", r#"{"traceparent":null}"#, r#"{"traceparent":5}"#, r#"{"traceparent":{"a":[1]}}"#,
            r#"{"traceparent":"00-0-0-00"}"#,
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
        let json = format!(r#"{{"traceparent":"{VALID}"}}"#);
        assert_eq!(parse(&json), VALID.parse().ok());
        assert_eq!(serde_json::to_string(&Carrier { traceparent: parse(&json) }).expect("plain data"), json);
    }
}
