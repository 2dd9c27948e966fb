//! Reading on after a refusal.
//!
//! A client that still sends when we close gets a reset, which often overtakes our answer: it never learns that
//! its body was too large. So what is left of a refused body is read and thrown away, within bounds (RFC 9112
//! section 9.6).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;
use hyper::{HeaderMap, Version};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::body::BodyError;
use crate::stats::Stats;

const MOST_BYTES: usize = 16 << 20;
const LONGEST: Duration = Duration::from_secs(5);

/// A request's body; dropped before its end, the rest is thrown away in the background.
pub(crate) struct LingeringBody {
    inner: Option<Incoming>,
    /// Whether the client sends without being asked to.
    is_coming: bool,
    stats: Arc<Stats>,
}

impl LingeringBody {
    pub(crate) fn new(
        inner: Incoming,
        version: Version,
        headers: &HeaderMap,
        stats: &Arc<Stats>,
    ) -> Self {
        // HTTP/2 can refuse one stream; a client that expects 100 sends nothing before it.
        let is_coming = version != Version::HTTP_2 && !headers.contains_key(EXPECT);
        Self {
            inner: Some(inner),
            is_coming,
            stats: Arc::clone(stats),
        }
    }
}

impl Body for LingeringBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let next = Pin::new(inner).poll_frame(cx).map_err(BodyError::from);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.inner = None;
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for LingeringBody {
    fn drop(&mut self) {
        let Some(inner) = self
            .inner
            .take()
            .filter(|inner| self.is_coming && !inner.is_end_stream())
        else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            let stats = Arc::clone(&self.stats);
            runtime.spawn(async move {
                if !timeout(LONGEST, is_read_to_its_end(inner))
                    .await
                    .unwrap_or(false)
                {
                    stats.bodies_abandoned.increment();
                }
            });
        }
    }
}

async fn is_read_to_its_end(mut body: Incoming) -> bool {
    let mut left = MOST_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let len = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(len) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}
