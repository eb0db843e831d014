//! Entity tags: a read answers 304 to a client that has the same already, a write is made only upon what the client saw.

use http::header::{self, HeaderMap};

/// The opaque part of each tag of a header's list; none where the header is not there. `*` is a tag like others.
///
/// Tags compare weakly: a proxy that compresses an answer makes its tag weak, and ours name a version, whichever way it
/// is encoded.
pub(super) fn tags(headers: &HeaderMap, name: header::HeaderName) -> Option<Vec<String>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let texts = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    Some(texts.map(|tag| opaque(tag.trim()).to_owned()).collect())
}

/// The tag without its weakness and its quotes.
pub(super) fn opaque(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

/// The tag of a body that has no better one: a part of its hash.
pub(super) fn tag_of(body: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(body).to_hex()[..32])
}

/// Whether the client has what `tag` names already.
pub(super) fn is_known(request: &HeaderMap, tag: &str) -> bool {
    tags(request, header::IF_NONE_MATCH)
        .is_some_and(|known| known.iter().any(|known| known == "*" || known == opaque(tag)))
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};

    use super::*;

    #[test]
    fn lists_are_read_weakly() {
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"a\", W/\"b\" ,c"))]);
        assert_eq!(tags(&headers, IF_NONE_MATCH).unwrap(), ["a", "b", "c"]);
        assert_eq!(tags(&headers, IF_MATCH), None);
        assert!(is_known(&headers, "\"b\"") && is_known(&headers, "W/\"a\"") && !is_known(&headers, "\"d\""));
        let any = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
        assert!(is_known(&any, "\"d\"") && !is_known(&HeaderMap::new(), "\"d\""));
    }
}
