//! One request followed through all services: its id, and its place in a W3C trace.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest request id of a caller's that is taken over.
const ID_LIMIT: usize = 128;

/// The id of a request and of its trace, taken over from the caller where they are well-formed, else made here. What
/// this service asks of another for the request's sake carries both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    request_id: String,
    /// 16 bytes as hex.
    trace_id: String,
    /// Of what this service does for the request: 8 bytes as hex.
    span_id: String,
    flags: u8,
}

impl Trace {
    /// The trace that a request belongs to.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let plain = |id: &&str| (1..=ID_LIMIT).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let request_id = given.filter(plain).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let parent = headers.get(&TRACEPARENT).and_then(|parent| parse(parent.to_str().ok()?));
        let (trace_id, flags) = parent.unwrap_or_else(|| (Uuid::new_v4().simple().to_string(), 0));
        Self { request_id, trace_id, span_id: new_span(), flags }
    }

    /// The request's id, as the answer's `x-request-id` carries it.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The headers of a request to another service that is made for this one's sake.
    pub fn headers(&self) -> HeaderMap {
        let parent = format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags);
        let pairs = [(REQUEST_ID, &self.request_id), (TRACEPARENT, &parent)];
        pairs.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?))).collect()
    }
}

fn new_span() -> String {
    // Half of a random UUID has 62 random bits, and cannot be all zeros, which would be no id.
    let (_, random) = Uuid::new_v4().as_u64_pair();
    format!("{random:016x}")
}

/// Trace id and flags of a `traceparent` as <https://www.w3.org/TR/trace-context/> has it. A later version may have more
/// fields behind those of version 00.
fn parse(parent: &str) -> Option<(String, u8)> {
    let mut fields = parent.trim().split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, length: usize| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
    let fits = is_hex(version, 2)
        && version != "ff"
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
        && (version != "00" || fields.next().is_none());
    fits.then_some(())?;
    Some((trace.to_owned(), u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn trace(parent: &str) -> Trace {
        Trace::of(&HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(parent).unwrap())]))
    }

    #[test]
    fn a_trace_is_taken_over_and_passed_on_with_a_span_of_our_own() {
        let span = "b7ad6b7169203331";
        let ours = trace(&format!("00-{TRACE}-{span}-01"));
        assert_eq!((ours.trace_id(), ours.flags), (TRACE, 1));
        let passed = ours.headers();
        let parent = passed[TRACEPARENT].to_str().unwrap();
        assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01") && !parent.contains(span));
        assert_eq!(Trace::of(&passed).trace_id(), TRACE);
        assert_eq!(passed[REQUEST_ID], ours.request_id());
        assert_eq!(trace(&format!("cc-{TRACE}-{span}-01-what-comes")).trace_id(), TRACE, "a later version");
    }

    #[test]
    fn what_is_no_traceparent_begins_a_new_trace() {
        let zeros = "0".repeat(32);
        for parent in [
            "",
            "00",
            &format!("00-{TRACE}-b7ad6b7169203331"),
            &format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            &format!("ff-{TRACE}-b7ad6b7169203331-01"),
            &format!("00-{zeros}-b7ad6b7169203331-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}-b7ad6b7169203331-0g"),
        ] {
            let trace = trace(parent);
            assert!(trace.trace_id() != TRACE && trace.trace_id().len() == 32 && trace.flags == 0, "{parent}");
            assert!(parse(trace.headers()[TRACEPARENT].to_str().unwrap()).is_some());
        }
    }

    #[test]
    fn a_request_id_is_taken_over_where_it_is_plain() {
        let of = |id: &str| Trace::of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(id).unwrap())]));
        assert_eq!(of("job-7").request_id(), "job-7");
        for id in ["", "two words", &"x".repeat(129)] {
            assert_ne!(of(id).request_id(), id);
        }
    }
}
