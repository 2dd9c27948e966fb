//! The application's side: connections over its Unix domain socket.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::body::{self, BodyProgress, GuardedBody, RequestBody, ResponseBody};
use crate::config::{self, Limits};
use crate::refusal::Refusal;
use crate::stats::Stats;

/// How long a connection may take to be ready again after a response; those that take longer are dropped.
const SETTLE: Duration = Duration::from_secs(1);

/// The application, as a client sees it.
pub(crate) struct Application {
    socket: PathBuf,
    idle: Mutex<Vec<Idle>>,
    max_idle: usize,
    places: Arc<Semaphore>,
    connect_timeout: Duration,
    response_timeout: Duration,
    keep_alive: Duration,
    stats: Arc<Stats>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// The right to one request or tunnel towards the application.
pub(crate) type Place = OwnedSemaphorePermit;

impl Application {
    pub(crate) fn new(socket: PathBuf, limits: &Limits, stats: Arc<Stats>) -> Arc<Self> {
        let places = limits.max_application_requests.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            socket,
            idle: Mutex::default(),
            max_idle: limits.max_application_idle,
            places: Arc::new(Semaphore::new(places)),
            connect_timeout: config::timeout(limits.application_connect_timeout_ms),
            response_timeout: config::timeout(limits.application_response_timeout_ms),
            keep_alive: config::timeout(limits.application_keep_alive_ms),
            stats,
        })
    }

    /// Sends a request and gives the response once its head is there; both bodies stream.
    pub(crate) async fn send(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        progress: &BodyProgress,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let place = self.place()?;
        let (response, sender) = self.exchange(request, progress).await?;
        let stats = Arc::clone(&self.stats);
        let response = response.map(|body| {
            let body = body.map_err(move |error| {
                stats.application_failures.increment();
                error.into()
            });
            let back = Return {
                application: Arc::clone(self),
                sender: Some(sender),
                _place: place,
            };
            GuardedBody::wrap(body.boxed_unsync(), back)
        });
        Ok(response)
    }

    /// Sends an upgrade request on a connection of its own.
    pub(crate) async fn send_upgrade(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(Response<hyper::body::Incoming>, Place), Refusal> {
        let place = self.place()?;
        let mut sender = self.connect().await?;
        let answer = timeout(self.response_timeout, sender.send_request(request)).await;
        let response = answer
            .map_err(|_| Refusal::ApplicationTimeout)?
            .map_err(|_| Refusal::ApplicationFailed)?;
        Ok((response, place))
    }

    fn place(&self) -> Result<Place, Refusal> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Refusal::ApplicationBusy)
    }

    async fn exchange(
        &self,
        mut request: Request<RequestBody>,
        progress: &BodyProgress,
    ) -> Result<(Response<hyper::body::Incoming>, SendRequest<RequestBody>), Refusal> {
        loop {
            let kept = self.take_idle();
            let is_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let spare = if is_kept {
                copy_without_body(&request)
            } else {
                None
            };
            let sending = sender.try_send_request(request);
            let mut failure = tokio::select! {
                sent = sending => match sent {
                    Ok(response) => return Ok((response, sender)),
                    Err(failure) => failure,
                },
                () = self.response_overdue(progress) => return Err(Refusal::ApplicationTimeout),
            };
            if let Some(fault) = progress.fault() {
                return Err(fault);
            }
            // The application closes idle connections when it likes. A request that never left us is sent again,
            // and so is one without a body, whose kept connection broke before any answer.
            let again = failure.take_message().or(spare);
            match again {
                Some(again) if is_kept => request = again,
                _ => return Err(Refusal::ApplicationFailed),
            }
        }
    }

    /// The response's time runs from the end of the request's body.
    async fn response_overdue(&self, progress: &BodyProgress) {
        progress.done().await;
        tokio::time::sleep(self.response_timeout).await;
    }

    async fn connect(&self) -> Result<SendRequest<RequestBody>, Refusal> {
        let stream = match timeout(self.connect_timeout, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => stream,
            // A Unix socket whose backlog is full does not wait.
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                return Err(Refusal::ApplicationBusy);
            }
            Ok(Err(_)) | Err(_) => return Err(Refusal::ApplicationAbsent),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Refusal::ApplicationFailed)?;
        // Ends with the connection, whose errors reach the request's own future or body.
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    fn take_idle(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(kept) = idle.pop() {
            if kept.since.elapsed() < self.keep_alive && kept.sender.is_ready() {
                return Some(kept.sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<RequestBody>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < self.keep_alive && !kept.sender.is_closed());
        if idle.len() < self.max_idle {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}

/// A request that can be made again because it has no body and changes nothing (RFC 9110 section 9.2.2).
fn copy_without_body(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let is_bodiless = hyper::body::Body::is_end_stream(request.body());
    if !is_bodiless || !request.method().is_idempotent() {
        return None;
    }
    let mut copy = Request::new(body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Brings a connection back when its response has ended.
struct Return {
    application: Arc<Application>,
    sender: Option<SendRequest<RequestBody>>,
    _place: Place,
}

impl Drop for Return {
    fn drop(&mut self) {
        let (Some(mut sender), Ok(runtime)) = (self.sender.take(), Handle::try_current()) else {
            return;
        };
        let application = Arc::clone(&self.application);
        // A response given up half way closes its connection; then `ready` fails.
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(SETTLE, sender.ready()).await {
                application.keep(sender);
            }
        });
    }
}
