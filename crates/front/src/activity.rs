//! What a connection is doing, and the stream that notes it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::config::{self, Limits};
use crate::stats::Stats;

/// What a quiet connection is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The first request, or the rest of a request's head.
    Head,
    /// Another request.
    Idle,
}

/// Notes of one connection, shared by its stream, its requests and its watchdog.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Notes>);

#[derive(Debug)]
struct Notes {
    open_requests: usize,
    /// Since when the connection has been without a request.
    quiet_since: Instant,
    /// When the first bytes of an unfinished head came; always `None` in HTTP/2 and 3, whose control frames are bytes
    /// too.
    head_since: Option<Instant>,
    first_request_seen: bool,
    has_streams: bool,
}

impl Activity {
    pub(crate) fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Notes {
            open_requests: 0,
            quiet_since: now,
            head_since: Some(now),
            first_request_seen: false,
            has_streams: false,
        })))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_bytes(&self, now: Instant) {
        let mut notes = self.notes();
        if notes.open_requests == 0 && notes.first_request_seen && !notes.has_streams {
            notes.head_since.get_or_insert(now);
        }
    }

    /// Notes a request until the result is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>, has_streams: bool) -> RequestMark {
        let mut notes = self.notes();
        notes.open_requests += 1;
        notes.head_since = None;
        notes.first_request_seen = true;
        notes.has_streams = has_streams;
        RequestMark(Arc::clone(self))
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.notes().open_requests == 0
    }

    /// When the connection will have been quiet for too long; `None` while a request is open.
    pub(crate) fn deadline(&self, head: Duration, idle: Duration) -> Option<(Instant, Waiting)> {
        let notes = self.notes();
        if notes.open_requests > 0 {
            return None;
        }
        Some(match notes.head_since {
            Some(since) => (since + head, Waiting::Head),
            None => (notes.quiet_since + idle, Waiting::Idle),
        })
    }
}

/// Returns, and counts, when a connection has waited too long for a request or the rest of a head.
pub(crate) async fn quiet_for_too_long(activity: &Activity, limits: &Limits, stats: &Stats) {
    let head = config::timeout(limits.header_timeout_ms);
    let idle = config::timeout(limits.idle_timeout_ms);
    // What it waits for changes while we sleep, so it is looked at once in the shorter of both.
    let interval = head.min(idle);
    loop {
        let now = Instant::now();
        match activity.deadline(head, idle) {
            Some((deadline, waiting)) if deadline <= now => {
                return match waiting {
                    Waiting::Head => stats.header_timeouts.increment(),
                    Waiting::Idle => stats.idle_timeouts.increment(),
                };
            }
            Some((deadline, _)) => {
                tokio::time::sleep_until(deadline.min(now + interval)).await;
            }
            None => tokio::time::sleep(interval).await,
        }
    }
}

/// One open request.
#[derive(Debug)]
pub(crate) struct RequestMark(Arc<Activity>);

impl Drop for RequestMark {
    fn drop(&mut self) {
        let mut notes = self.0.notes();
        notes.open_requests -= 1;
        notes.quiet_since = Instant::now();
    }
}

/// A stream that notes arrivals, and fails when its peer takes nothing for too long.
pub(crate) struct WatchedStream<S> {
    inner: S,
    activity: Arc<Activity>,
    stats: Arc<Stats>,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> WatchedStream<S> {
    pub(crate) fn new(
        inner: S,
        activity: Arc<Activity>,
        stats: Arc<Stats>,
        write_timeout: Duration,
    ) -> Self {
        Self {
            inner,
            activity,
            stats,
            write_timeout,
            stalled: None,
        }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timeout = self.write_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if stalled.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.stats.write_timeouts.increment();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.on_bytes(Instant::now());
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_mins(1);

    #[test]
    fn a_new_connection_must_make_a_request() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(
            activity.deadline(HEAD, IDLE),
            Some((start + HEAD, Waiting::Head))
        );
    }

    #[test]
    fn an_open_request_has_no_deadline_and_then_the_idle_one() {
        let activity = Activity::new(Instant::now());
        let mark = activity.begin_request(false);
        assert_eq!(activity.deadline(HEAD, IDLE), None);
        drop(mark);
        assert_eq!(activity.deadline(HEAD, IDLE).unwrap().1, Waiting::Idle);
    }

    #[test]
    fn a_head_that_drips_in_counts_from_its_first_byte() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.begin_request(false));
        activity.on_bytes(start + Duration::from_secs(30));
        activity.on_bytes(start + Duration::from_secs(39));
        let (deadline, waiting) = activity.deadline(HEAD, IDLE).unwrap();
        assert_eq!(
            (deadline, waiting),
            (start + Duration::from_secs(40), Waiting::Head)
        );
    }

    #[test]
    fn control_frames_of_http2_are_no_head() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.begin_request(true));
        activity.on_bytes(start);
        assert_eq!(activity.deadline(HEAD, IDLE).unwrap().1, Waiting::Idle);
    }
}
