//! Bodies on their way through: limited towards the application, watched towards the client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::refusal::Refusal;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The HTTP connection it came by failed.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The file it came from failed.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It is over its limit.
    #[error("the body is over the limit")]
    TooLarge,
    /// It stalled.
    #[error("the body stalled")]
    TimedOut,
    /// The client broke it off.
    #[error("the body broke off")]
    BrokenOff,
    /// It is longer or shorter than its head says.
    #[error("the body is not as long as was said")]
    WrongLength,
}

/// A body from a client, whatever the HTTP version.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BodyError>;
/// A body to a client, whatever its source.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BodyError>;

pub(crate) fn empty() -> ResponseBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// How a request's body is doing, as seen from the side that waits for the response.
#[derive(Debug, Default)]
pub(crate) struct BodyProgress {
    fault: AtomicU8,
    done: Notify,
}

const TOO_LARGE: u8 = 1;
const TIMED_OUT: u8 = 2;

impl BodyProgress {
    /// Why the body was broken off by us, if it was.
    pub(crate) fn fault(&self) -> Option<Refusal> {
        match self.fault.load(Ordering::Acquire) {
            TOO_LARGE => Some(Refusal::BodyTooLarge),
            TIMED_OUT => Some(Refusal::RequestTimeout),
            _ => None,
        }
    }

    /// Waits until the body is sent, or given up. One waiter.
    pub(crate) async fn done(&self) {
        self.done.notified().await;
    }
}

/// A request body that may neither grow over its limit nor stall.
pub(crate) struct LimitedBody {
    inner: RequestBody,
    left: u64,
    stall: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    progress: Arc<BodyProgress>,
}

impl LimitedBody {
    pub(crate) fn new(
        inner: RequestBody,
        limit: u64,
        stall: Duration,
    ) -> (Self, Arc<BodyProgress>) {
        let progress = Arc::new(BodyProgress::default());
        let body = Self {
            inner,
            left: limit,
            stall,
            deadline: None,
            progress: Arc::clone(&progress),
        };
        (body, progress)
    }

    fn fail(&self, code: u8, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.progress.fault.store(code, Ordering::Release);
        Poll::Ready(Some(Err(error)))
    }

    fn has_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let stall = self.stall;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        deadline.as_mut().poll(cx).is_ready()
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(next) = Pin::new(&mut self.inner).poll_frame(cx) else {
            if self.has_stalled(cx) {
                return self.fail(TIMED_OUT, BodyError::TimedOut);
            }
            return Poll::Pending;
        };
        let until = Instant::now() + self.stall;
        if let Some(deadline) = &mut self.deadline {
            deadline.as_mut().reset(until);
        }
        if let Some(data) = next
            .as_ref()
            .and_then(|frame| frame.as_ref().ok()?.data_ref())
        {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return self.fail(TOO_LARGE, BodyError::TooLarge),
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for LimitedBody {
    fn drop(&mut self) {
        self.progress.done.notify_one();
    }
}

/// A body that keeps something alive until it has ended or is given up.
pub(crate) struct GuardedBody<G> {
    inner: ResponseBody,
    guard: Option<G>,
}

impl<G: Send + Unpin + 'static> GuardedBody<G> {
    pub(crate) fn wrap(inner: ResponseBody, guard: G) -> ResponseBody {
        Self {
            inner,
            guard: Some(guard),
        }
        .boxed_unsync()
    }
}

impl<G: Unpin> Body for GuardedBody<G> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = Pin::new(&mut self.inner).poll_frame(cx);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.guard = None;
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
