//! Reading a request's body: bounded in size, chunked or not, and in time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contract::problem as kind;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, pin_mut, stream};
use http::StatusCode;
use http::header::{self, HeaderMap};
use tokio::time::Instant;
use warp::Buf;

use super::limits::{Held, Limits, Memory};
use crate::problem::Problem;

/// Of a body nobody wants, how much is read all the same: a connection that is closed with bytes unread is reset, and the
/// client may never see the answer.
const DISCARD: usize = 16 * 1024 * 1024;
/// How long one that nobody wants may take.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// How long one may take that is read in pieces.
const STREAM_WITHIN: Duration = Duration::from_secs(600);

/// A body as it arrives. It fails with 413 over the route's limit, 408 when it pauses for too long, 400 when the client breaks off.
pub type BodyStream = BoxStream<'static, Result<Bytes, Problem>>;

/// A body that has been read, with the memory that it takes.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    _held: Held,
}

/// Whether the request has a body at all.
fn is_expected(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) || declared(headers).is_some_and(|length| length > 0)
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body, of at most `limit` bytes.
///
/// # Errors
/// 413 over the limit, 408 when it takes too long, 400 when the client breaks off, 503 when there is no memory for it.
pub(super) async fn read<B: Buf, E>(
    headers: &HeaderMap,
    limit: usize,
    limits: &Limits,
    memory: &Memory,
    body: impl Stream<Item = Result<B, E>>,
) -> Result<Whole, Problem> {
    if !is_expected(headers) {
        return Ok(Whole::default());
    }
    pin_mut!(body);
    if declared(headers).is_some_and(|length| length > limit) {
        discard(headers, body).await;
        return Err(too_large(limit));
    }
    let whole = tokio::time::timeout(limits.body_within, async {
        let (mut whole, mut held) = (BytesMut::new(), Held::default());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| broke_off())?;
            let length = whole.len() + chunk.remaining();
            if length > limit {
                return Err(too_large(limit));
            }
            memory.grow(&mut held, length)?;
            append(&mut whole, chunk);
        }
        Ok(Whole { bytes: whole.freeze(), _held: held })
    })
    .await
    .unwrap_or_else(|_| Err(too_slow()));
    if whole.is_err() {
        discard(headers, body).await;
    }
    whole
}

fn append(whole: &mut BytesMut, mut chunk: impl Buf) {
    while chunk.has_remaining() {
        let part = chunk.chunk();
        whole.extend_from_slice(part);
        let length = part.len();
        chunk.advance(length);
    }
}

/// The body in the pieces that it arrives in; none may be longer in coming than the limit for a whole small one.
pub(super) fn stream<B: Buf + Send + 'static, E: Send + 'static>(
    headers: &HeaderMap,
    limit: usize,
    limits: &Limits,
    body: impl Stream<Item = Result<B, E>> + Send + 'static,
) -> Result<BodyStream, Problem> {
    if declared(headers).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let (within, end) = (limits.body_within, Instant::now() + STREAM_WITHIN);
    let pieces = stream::unfold((body.boxed(), 0, false), move |(mut body, read, failed)| async move {
        if failed {
            return None;
        }
        let piece = match tokio::time::timeout_at(end.min(Instant::now() + within), body.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(piece))) if read + piece.remaining() > limit => Err(too_large(limit)),
            Ok(Some(Ok(mut piece))) => Ok(piece.copy_to_bytes(piece.remaining())),
            Ok(Some(Err(_))) => Err(broke_off()),
            Err(_) => Err(too_slow()),
        };
        let (read, failed) = (read + piece.as_ref().map_or(0, Bytes::len), piece.is_err());
        Some((piece, (body, read, failed)))
    });
    Ok(pieces.boxed())
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

fn too_large(limit: usize) -> Problem {
    Problem::new(
        kind::BODY_TOO_LARGE,
        StatusCode::PAYLOAD_TOO_LARGE,
        "Body too large",
        format!("The body may have at most {limit} bytes."),
    )
}

fn too_slow() -> Problem {
    Problem::new(kind::MALFORMED_BODY, StatusCode::REQUEST_TIMEOUT, "Body too slow", "The body did not arrive in time.")
}

fn broke_off() -> Problem {
    Problem::malformed("The body broke off.")
}
