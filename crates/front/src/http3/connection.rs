//! Serving one HTTP/3 connection: its requests side by side, its end in order.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Body;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::session::{Answer, Arriving, Broken, Ended, Session};
use crate::activity::{Activity, RequestMark, quiet_for_too_long};
use crate::body::ResponseBody;
use crate::config;
use crate::connection::OpenRequest;
use crate::door::{Door, Peer};
use crate::front::Lifetimes;

/// How long a client gets to close the connection itself once it was told to.
const GOODBYE: Duration = Duration::from_millis(250);

/// Serves until the connection ends, is quiet for too long, or the front door drains; then what was begun is finished.
pub(super) async fn serve<S: Session>(
    mut session: S,
    door: &Arc<Door>,
    lifetimes: &Arc<Lifetimes>,
    peer: impl Fn() -> Peer,
) {
    let activity = Activity::new(Instant::now());
    let mut draining = lifetimes.draining();
    let mut requests = JoinSet::new();
    let most = door.limits.max_streams as usize;
    let quiet = quiet_for_too_long(&activity, &door.limits, &door.stats);
    tokio::pin!(quiet);
    let mut leaves = false;
    let ended = loop {
        // Requests that were given up no longer count for the client, but they do for us.
        let has_place = requests.len() < most;
        let is_done = leaves && requests.is_empty();
        tokio::select! {
            accepted = session.accept(), if has_place => match accepted {
                Ok(Some(arriving)) => {
                    let mark = activity.begin_request(true);
                    let (door, peer) = (Arc::clone(door), peer());
                    requests.spawn(async move { answer(&door, &peer, arriving, mark).await });
                }
                Ok(None) => break Ended::Closed,
                Err(ended) => break ended,
            },
            Some(_) = requests.join_next() => {}
            () = &mut quiet, if !leaves => leaves = true,
            _ = draining.wait_for(|draining| *draining), if !leaves => leaves = true,
            () = tokio::time::sleep(GOODBYE), if is_done => break Ended::Closed,
        }
        if leaves && let Err(ended) = session.refuse_more().await {
            break ended;
        }
    };
    match ended {
        Ended::Closed => {}
        Ended::Malformed => door.stats.malformed_http.increment(),
        Ended::Lost => door.stats.connections_broken.increment(),
    }
}

/// One request from its first byte to its last.
async fn answer<A: Arriving>(door: &Arc<Door>, peer: &Peer, arriving: A, mark: RequestMark) {
    let stats = &door.stats;
    let open = OpenRequest::new(Arc::clone(stats), mark);
    let patience = config::timeout(door.limits.header_timeout_ms);
    let (request, mut answer) = match timeout(patience, arriving.head()).await {
        Ok(Ok(arrived)) => arrived,
        Ok(Err(Broken::HeadersTooLarge)) => {
            stats.requests_http3.increment();
            stats.headers_too_large.increment();
            stats.responses_4xx.increment();
            return;
        }
        Ok(Err(Broken::Malformed)) => return stats.malformed_http.increment(),
        Ok(Err(Broken::GivenUp)) => return,
        Err(_) => return stats.header_timeouts.increment(),
    };
    let response = tokio::select! {
        response = door.handle(peer, request) => response,
        // Nobody waits for it any more.
        () = answer.settled() => return,
    };
    let write_timeout = config::timeout(door.limits.write_timeout_ms);
    match send(response, &mut answer, write_timeout).await {
        Sent::Whole => {}
        Sent::GivenUp => return,
        Sent::BrokenOff => return answer.cancel(),
        Sent::Stalled => {
            stats.write_timeouts.increment();
            return answer.cancel();
        }
    }
    drop(open);
    // The connection may be closed once this has arrived, and not before.
    let _ = timeout(write_timeout, answer.settled()).await;
}

/// How far a response came.
enum Sent {
    Whole,
    /// The client wants no more.
    GivenUp,
    /// Its source broke off.
    BrokenOff,
    /// The client takes nothing.
    Stalled,
}

async fn send<A: Answer>(
    response: Response<ResponseBody>,
    answer: &mut A,
    write_timeout: Duration,
) -> Sent {
    let (head, mut body) = response.into_parts();
    let head = Response::from_parts(head, ());
    if let Some(failed) = failure(&timeout(write_timeout, answer.head(head)).await) {
        return failed;
    }
    while !body.is_end_stream() {
        let next = tokio::select! {
            next = body.frame() => next,
            () = answer.settled() => return Sent::GivenUp,
        };
        let frame = match next {
            None => break,
            Some(Err(_)) => return Sent::BrokenOff,
            Some(Ok(frame)) => frame,
        };
        let sent = match frame.into_data() {
            Ok(data) => timeout(write_timeout, answer.data(data)).await,
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => timeout(write_timeout, answer.trailers(trailers)).await,
                Err(_) => continue,
            },
        };
        if let Some(failed) = failure(&sent) {
            return failed;
        }
    }
    failure(&timeout(write_timeout, answer.finish()).await).unwrap_or(Sent::Whole)
}

fn failure(sent: &Result<Result<(), Broken>, tokio::time::error::Elapsed>) -> Option<Sent> {
    match sent {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some(Sent::GivenUp),
        Err(_) => Some(Sent::Stalled),
    }
}
