//! Reading a request's body: bounded in size, chunked or not, and in time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contract::problem as kind;
use futures_util::{Stream, StreamExt as _, pin_mut};
use http::StatusCode;
use http::header::{self, HeaderMap};
use warp::Buf;

use crate::problem::Problem;

/// The largest body.
pub(super) const LIMIT: usize = 1024 * 1024;
/// Of a body nobody wants, how much is read all the same: a connection that is closed with bytes unread is reset, and the
/// client may never see the answer.
const DISCARD: usize = 16 * LIMIT;
/// How long a body may take to arrive.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long one that nobody wants may take.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// Whether the request has a body at all.
fn is_expected(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) || declared(headers).is_some_and(|length| length > 0)
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body.
///
/// # Errors
/// 413 over the limit, 408 when it takes too long, 400 when the client breaks off.
pub(super) async fn read<B: Buf, E>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, E>>,
) -> Result<Bytes, Problem> {
    if !is_expected(headers) {
        return Ok(Bytes::new());
    }
    pin_mut!(body);
    if declared(headers).is_some_and(|length| length > LIMIT) {
        discard(headers, body).await;
        return Err(too_large());
    }
    let whole = tokio::time::timeout(READ_WITHIN, async {
        let mut whole = BytesMut::with_capacity(declared(headers).unwrap_or(0));
        while let Some(chunk) = body.next().await {
            let mut chunk = chunk.map_err(|_| Problem::malformed("The body broke off."))?;
            if whole.len() + chunk.remaining() > LIMIT {
                return Err(too_large());
            }
            while chunk.has_remaining() {
                let part = chunk.chunk();
                whole.extend_from_slice(part);
                let length = part.len();
                chunk.advance(length);
            }
        }
        Ok(whole.freeze())
    })
    .await
    .unwrap_or_else(|_| Err(too_slow()));
    if whole.is_err() {
        discard(headers, body).await;
    }
    whole
}

/// Reads what nobody wants, up to a point.
pub(super) async fn discard<B: Buf, E>(headers: &HeaderMap, body: impl Stream<Item = Result<B, E>>) {
    if !is_expected(headers) {
        return;
    }
    pin_mut!(body);
    let mut left = DISCARD;
    let _ = tokio::time::timeout(DISCARD_WITHIN, async {
        while let Some(Ok(chunk)) = body.next().await {
            match left.checked_sub(chunk.remaining()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    })
    .await;
}

fn too_large() -> Problem {
    Problem::new(
        kind::BODY_TOO_LARGE,
        StatusCode::PAYLOAD_TOO_LARGE,
        "Body too large",
        format!("The body may have at most {LIMIT} bytes."),
    )
}

fn too_slow() -> Problem {
    Problem::new(kind::MALFORMED_BODY, StatusCode::REQUEST_TIMEOUT, "Body too slow", "The body did not arrive in time.")
}
