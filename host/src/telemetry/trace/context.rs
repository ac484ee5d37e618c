//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): what one hop of a trace tells the next, in the
//! headers `traceparent` and `tracestate`.
//!
//! Reading never fails: a `traceparent` that is missing, repeated or invalid means that a new trace begins, and
//! its `tracestate` goes with it. What is written is always version 00. A `tracestate` is passed on as it came,
//! within [`MAX_STATE_BYTES`] and [`MAX_STATE_MEMBERS`].

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::id::{SpanId, TraceId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The bit of the trace flags that says that the caller may have recorded the trace.
const SAMPLED: u8 = 1;

/// The longest `tracestate` that is passed on, in bytes. Longer ones lose members, as the recommendation says:
/// first those over [`LONG_MEMBER_BYTES`], then those at the end.
const MAX_STATE_BYTES: usize = 512;

/// A member of a `tracestate` that is longer goes first when something must go.
const LONG_MEMBER_BYTES: usize = 128;

/// The most members that a valid `tracestate` has.
const MAX_STATE_MEMBERS: usize = 32;

/// A place in a trace: the trace, the span that is the parent of whatever comes next, and whether the trace is
/// recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// The context that a `traceparent` of these bytes stands for; `None` if it is invalid.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let ([version], rest) = hex(text)?;
        let (trace_id, rest) = hex(rest.strip_prefix(b"-")?)?;
        let (span_id, rest) = hex(rest.strip_prefix(b"-")?)?;
        let ([flags], rest) = hex(rest.strip_prefix(b"-")?)?;
        let is_ended = match version {
            0xff => false,
            0 => rest.is_empty(),
            // Later versions may say more after another dash.
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        if !is_ended {
            return None;
        }
        Some(Self {
            trace_id: TraceId::from_bytes(trace_id)?,
            span_id: SpanId::from_bytes(span_id)?,
            sampled: flags & SAMPLED != 0,
        })
    }

    /// Sets the headers of an outbound request. What they said before is gone.
    pub fn write(self, state: Option<&TraceState>, headers: &mut HeaderMap) {
        headers.remove(TRACESTATE);
        // Hexadecimal digits and dashes always are a value.
        let Ok(value) = HeaderValue::try_from(self.to_string()) else {
            return;
        };
        headers.insert(TRACEPARENT, value);
        if let Some(TraceState(value)) = state {
            headers.insert(TRACESTATE, value.clone());
        }
    }
}

/// The value of a `traceparent`, version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.sampled { SAMPLED } else { 0 };
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// `N` bytes from twice as many hexadecimal digits in lower case, and what follows them.
fn hex<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some((bytes, rest))
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// What tracing systems tell each other about a trace, which is passed on and not understood. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceState(HeaderValue);

impl TraceState {
    /// The members, separated by commas.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // `read` has checked it.
        self.0.to_str().unwrap_or_default()
    }

    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut members = Vec::new();
        let (mut values, mut bytes) = (0, 0);
        for value in headers.get_all(TRACESTATE) {
            values += 1;
            for member in value.to_str().ok()?.split(',') {
                let member = member.trim_matches([' ', '\t']);
                if member.is_empty() {
                    continue;
                }
                if members.len() == MAX_STATE_MEMBERS || !is_member(member) {
                    return None;
                }
                bytes += member.len() + 1;
                members.push(member);
            }
        }
        if members.is_empty() {
            return None;
        }
        let whole = headers.get(TRACESTATE)?;
        if values == 1 && whole.len() <= MAX_STATE_BYTES {
            return Some(Self(whole.clone()));
        }
        // `bytes` has a comma too many.
        while bytes > MAX_STATE_BYTES + 1 {
            let at = members
                .iter()
                .rposition(|member| member.len() > LONG_MEMBER_BYTES)
                .unwrap_or(members.len() - 1);
            bytes -= members.remove(at).len() + 1;
        }
        if members.is_empty() {
            return None;
        }
        HeaderValue::try_from(members.join(",")).ok().map(Self)
    }
}

/// `key=value` of the characters that the recommendation allows.
fn is_member(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, value)| {
        let is_key = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        let is_value = |byte| matches!(byte, b' '..=b'~') && byte != b'=';
        (1..=256).contains(&key.len())
            && (1..=256).contains(&value.len())
            && key.bytes().all(is_key)
            && value.bytes().all(is_value)
    })
}

/// What a request brought along of the trace that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The caller's span, if the caller takes part in a trace.
    pub context: Option<TraceContext>,
    /// What else was said about that trace.
    pub state: Option<TraceState>,
}

impl Incoming {
    /// Reads the headers of a request. Without a trace it allocates nothing.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let context = match (values.next(), values.next()) {
            (Some(value), None) => TraceContext::parse(value.as_bytes()),
            _ => None,
        };
        Self {
            context,
            state: context.and_then(|_| TraceState::read(headers)),
        }
    }
}

#[cfg(test)]
mod tests;
