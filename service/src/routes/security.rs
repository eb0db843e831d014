//! What every answer tells browsers and caches to refrain from.

use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use super::Response;
use super::table::Head;

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// Adds what the handler has not said itself.
pub(super) fn apply(head: &Head, response: &mut Response) {
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let is_good = response.status().is_success() || response.status() == http::StatusCode::NOT_MODIFIED;
    // A cache may keep what it then asks about by its tag, and what was given to one caller only for that one.
    let caching = match (is_read && is_good, head.headers.contains_key(header::AUTHORIZATION)) {
        (false, _) => "no-store",
        (true, true) => "private, no-cache",
        (true, false) => "no-cache",
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(caching));
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
}
