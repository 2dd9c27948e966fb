//! HTTP/3 by the crate h3, which nothing outside this file and [`super::quic`] names.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h3::error::{Code, ConnectionError, StreamError};
use h3::server::{self, RequestResolver, RequestStream};
use http_body_util::BodyExt;
use hyper::body::{Body, Buf, Bytes, Frame, SizeHint};
use hyper::header::CONTENT_LENGTH;
use hyper::{HeaderMap, Method, Request, Response};

use super::quic::{Connection, Handle, Incoming, Latest, Outgoing, Settled};
use super::session::{Answer, Arriving, Broken, Ended, Session};
use crate::body::{self, BodyError, RequestBody};

/// Bytes of a body that may be read ahead, frames that mean nothing to us included.
const BODY_AHEAD: usize = 64 << 10;
/// What a head's fields may need beside their names and values.
const HEAD_OVERHEAD: usize = 8 << 10;

/// A connection by h3.
pub(super) struct H3Session {
    connection: server::Connection<Connection, Bytes>,
    latest: Latest,
    refuses_more: bool,
}

impl H3Session {
    /// Exchanges settings; heads are at most `max_header_bytes` long.
    pub(super) async fn open(
        connection: quinn::Connection,
        max_header_bytes: usize,
    ) -> Result<Self, Ended> {
        let head_bytes = max_header_bytes.saturating_add(HEAD_OVERHEAD);
        let (connection, latest) = Connection::new(connection, head_bytes);
        let mut builder = server::builder();
        builder.max_field_section_size(max_header_bytes as u64);
        let connection = builder
            .build(connection)
            .await
            .map_err(|error| ended(&error))?;
        Ok(Self {
            connection,
            latest,
            refuses_more: false,
        })
    }
}

impl Session for H3Session {
    type Arriving = H3Arriving;

    async fn accept(&mut self) -> Result<Option<H3Arriving>, Ended> {
        let resolver = self
            .connection
            .accept()
            .await
            .map_err(|error| ended(&error))?;
        let handle = self.latest.take();
        Ok(resolver
            .zip(handle)
            .map(|(resolver, handle)| H3Arriving { resolver, handle }))
    }

    async fn refuse_more(&mut self) -> Result<(), Ended> {
        if self.refuses_more {
            return Ok(());
        }
        self.refuses_more = true;
        // The identifier sent is the first that is refused (RFC 9114 section 5.2), which is the one behind the last.
        self.connection
            .shutdown(1)
            .await
            .map_err(|error| ended(&error))
    }
}

/// A request by h3.
pub(super) struct H3Arriving {
    resolver: RequestResolver<Connection, Bytes>,
    handle: Handle,
}

impl Arriving for H3Arriving {
    type Answer = H3Answer;

    async fn head(self) -> Result<(Request<RequestBody>, H3Answer), Broken> {
        let Handle { allowance, settled } = self.handle;
        let (request, stream) = self
            .resolver
            .resolve_request()
            .await
            .map_err(|error| broken(&error))?;
        allowance.renew(BODY_AHEAD);
        let (send, recv) = stream.split();
        let length = content_length(request.headers())?;
        let mut body = StreamBody {
            recv,
            allowance,
            length,
            first: None,
            is_over: false,
        };
        // Whether there is a body at all is told by the end of the stream, which may come after the head.
        if length.is_none() && is_mostly_bodiless(request.method()) {
            body.first = std::future::poll_fn(|cx| body.poll_data(cx))
                .await
                .transpose()
                .map_err(|_| Broken::GivenUp)?;
        }
        let body = if body.is_over || length == Some(0) {
            body::empty()
        } else {
            body.boxed_unsync()
        };
        Ok((request.map(|()| body), H3Answer { send, settled }))
    }
}

fn is_mostly_bodiless(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
    )
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Broken> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return Ok(None);
    };
    let length = first
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|_| lengths.next().is_none());
    length.map(Some).ok_or(Broken::Malformed)
}

/// A request's body, read as somebody takes it.
struct StreamBody {
    recv: RequestStream<Incoming, Bytes>,
    allowance: super::quic::Allowance,
    /// Said before; what comes must agree (RFC 9114 section 4.1.2).
    length: Option<u64>,
    first: Option<Bytes>,
    is_over: bool,
}

impl StreamBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let next = ready!(self.recv.poll_recv_data(cx));
        Poll::Ready(match next {
            Ok(Some(mut data)) => {
                self.allowance.renew(BODY_AHEAD);
                Some(Ok(data.copy_to_bytes(data.remaining())))
            }
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(_) => {
                self.is_over = true;
                Some(Err(BodyError::BrokenOff))
            }
        })
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_data(cx));
        let Some(length) = self.length else {
            return Poll::Ready(next.map(|data| data.map(Frame::data)));
        };
        let left = match &next {
            Some(Ok(data)) => length.checked_sub(data.len() as u64),
            Some(Err(_)) => Some(length),
            None => (length == 0).then_some(0),
        };
        self.length = left;
        if left.is_none() {
            self.is_over = true;
            return Poll::Ready(Some(Err(BodyError::WrongLength)));
        }
        Poll::Ready(next.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.first.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if !self.is_over {
            // What is not wanted need not be sent, and is no error of the client's (RFC 9114 section 4.1).
            self.recv.stop_sending(Code::H3_NO_ERROR);
        }
    }
}

/// A response by h3.
pub(super) struct H3Answer {
    send: RequestStream<Outgoing, Bytes>,
    settled: Settled,
}

impl Answer for H3Answer {
    async fn head(&mut self, head: Response<()>) -> Result<(), Broken> {
        let sent = self.send.send_response(head).await;
        sent.map_err(|error| broken(&error))
    }

    async fn data(&mut self, data: Bytes) -> Result<(), Broken> {
        let sent = self.send.send_data(data).await;
        sent.map_err(|error| broken(&error))
    }

    async fn trailers(&mut self, trailers: HeaderMap) -> Result<(), Broken> {
        let sent = self.send.send_trailers(trailers).await;
        sent.map_err(|error| broken(&error))
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        self.send.finish().await.map_err(|error| broken(&error))
    }

    async fn settled(&mut self) {
        self.settled.as_mut().await;
    }

    fn cancel(&mut self) {
        self.send.stop_stream(Code::H3_INTERNAL_ERROR);
    }
}

fn ended(error: &ConnectionError) -> Ended {
    match error {
        _ if error.is_h3_no_error() => Ended::Closed,
        ConnectionError::Timeout { .. } => Ended::Closed,
        ConnectionError::Local { .. } => Ended::Malformed,
        _ => Ended::Lost,
    }
}

fn broken(error: &StreamError) -> Broken {
    match error {
        StreamError::HeaderTooBig { .. } => Broken::HeadersTooLarge,
        StreamError::StreamError { .. } => Broken::Malformed,
        _ => Broken::GivenUp,
    }
}
