//! Server-sent events: how they look on the wire, and what keeps their streams open and bounded.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often a quiet stream says that it is alive: below the minute after which proxies give one up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the client sends back as `Last-Event-ID` when it connects again; without line breaks.
    pub id: Option<String>,
    /// Its name, without line breaks; none is `message`.
    pub event: Option<Cow<'static, str>>,
    /// What it says, mostly JSON.
    pub data: String,
}

impl Event {
    fn encode(&self) -> Bytes {
        let mut text = String::with_capacity(self.data.len() + 64);
        // Writing to a text cannot fail.
        if let Some(id) = &self.id {
            let _ = writeln!(text, "id: {id}");
        }
        if let Some(event) = &self.event {
            let _ = writeln!(text, "event: {event}");
        }
        for line in self.data.lines() {
            let _ = writeln!(text, "data: {line}");
        }
        text.push('\n');
        text.into()
    }
}

/// The bytes of a stream of events. It ends with its events, or when the service closes, whichever is first; `permit`
/// is held until then.
pub(super) fn bytes(
    events: BoxStream<'static, Event>,
    closing: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    // The head of the answer leaves with its first bytes.
    let opened = stream::once(async { Ok(Bytes::from_static(b": open\n\n")) });
    let live = stream::unfold((events, closing, permit), |(mut events, closing, permit)| async move {
        let quiet = sleep_until(Instant::now() + KEEP_ALIVE);
        let chunk = tokio::select! {
            biased;
            () = closing.cancelled() => return None,
            event = events.next() => event?.encode(),
            () = quiet => Bytes::from_static(b": alive\n\n"),
        };
        Some((Ok(chunk), (events, closing, permit)))
    });
    opened.chain(live)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn event(data: &str) -> Event {
        Event { id: Some("7".to_owned()), event: Some("moved".into()), data: data.to_owned() }
    }

    #[test]
    fn every_line_of_the_data_is_one() {
        assert_eq!(&event("a\nb").encode()[..], b"id: 7\nevent: moved\ndata: a\ndata: b\n\n");
        assert_eq!(&Event { id: None, event: None, data: "x".to_owned() }.encode()[..], b"data: x\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_says_that_it_is_alive_and_ends_with_the_service() {
        let (slots, closing) = (Arc::new(Semaphore::new(1)), CancellationToken::new());
        let permit = Arc::clone(&slots).acquire_owned().await.unwrap();
        let events = stream::iter([event("x")]).chain(stream::pending()).boxed();
        let mut stream = Box::pin(bytes(events, closing.clone(), permit));
        assert_eq!(slots.available_permits(), 0, "taken while it is open");
        let mut next = async || stream.next().await.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap());
        assert_eq!(next().await.unwrap(), ": open\n\n");
        assert!(next().await.unwrap().contains("data: x"));
        assert_eq!(next().await.unwrap(), ": alive\n\n");
        closing.cancel();
        assert_eq!(next().await, None);
        assert_eq!(slots.available_permits(), 1);
    }
}
