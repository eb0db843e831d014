//! Browsers of other origins: any, or a list; never with credentials of the browser's own.

use http::header::{self, HeaderMap, HeaderValue};

use super::Response;

const EXPOSED: HeaderValue =
    HeaderValue::from_static("Location, Link, ETag, Retry-After, x-request-id, Inventory-Version");
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, traceparent, x-request-id",
);
const DAY: HeaderValue = HeaderValue::from_static("86400");

/// The origins that may call; none listed is any.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors(pub(super) Vec<String>);

impl Cors {
    /// What every answer carries.
    pub(super) fn apply(&self, request: &HeaderMap, response: &mut Response) {
        let Some(origin) = self.allowed(request) else { return };
        let headers = response.headers_mut();
        if !self.0.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }

    /// What the answer to a preflight carries beyond that.
    pub(super) fn preflight(methods: &HeaderValue, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, DAY);
    }

    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = request.get(header::ORIGIN)?;
        self.0.iter().any(|listed| listed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_answers_only_those_on_it() {
        let cors = Cors(vec!["https://shop.example".to_owned()]);
        let answer = |origin: &'static str| {
            let request = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            let mut response = Response::no_content();
            cors.apply(&request, &mut response);
            response.headers_mut().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned()
        };
        assert_eq!(answer("https://shop.example").unwrap(), "https://shop.example");
        assert_eq!(answer("https://evil.example"), None);
    }
}
