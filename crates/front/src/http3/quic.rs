//! quinn as h3 wants a QUIC connection to be, with a limit on what may be read before anything comes of it.
//!
//! h3 gathers a whole frame before it looks at it, and believes any length. So each stream may read only so much ahead
//! of what it delivers ([`Allowance`]).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use h3::error::Code;
use h3::quic::StreamErrorIncoming as StreamError;
use h3::quic::{
    self, BidiStream, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamId,
    WriteBuf,
};
use hyper::body::{Buf, Bytes};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};

/// Most bytes of a control stream in the life of a connection: settings, and some ten thousand priority updates.
const CONTROL_BYTES: usize = 256 << 10;
const CHUNK: usize = 4096;

type Accepting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>> + Send + Sync>>;
type Pair = (quinn::SendStream, quinn::RecvStream);

/// How much more may be read of a stream.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Something came of what was read.
    pub(super) fn renew(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn spend(&self, bytes: usize) {
        // Only the stream's reader spends.
        self.0
            .store(self.left().saturating_sub(bytes), Ordering::Relaxed);
    }
}

/// Ready when the client has all of a stream, or refuses the rest.
pub(super) type Settled = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the front door keeps of a request's stream that h3 does not give away.
pub(super) struct Handle {
    pub(super) allowance: Allowance,
    pub(super) settled: Settled,
}

/// The handle of the request stream accepted last.
#[derive(Clone, Default)]
pub(super) struct Latest(Arc<Mutex<Option<Handle>>>);

impl Latest {
    pub(super) fn take(&self) -> Option<Handle> {
        self.slot().take()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection; requests may read `head_bytes` before their heads are complete.
pub(super) struct Connection {
    inner: quinn::Connection,
    head_bytes: usize,
    latest: Latest,
    requests: Option<Accepting<Pair>>,
    controls: Option<Accepting<quinn::RecvStream>>,
    opening: Opener,
}

impl Connection {
    pub(super) fn new(connection: quinn::Connection, head_bytes: usize) -> (Self, Latest) {
        let latest = Latest::default();
        let opening = Opener::new(connection.clone());
        let made = Self {
            inner: connection,
            head_bytes,
            latest: latest.clone(),
            requests: None,
            controls: None,
            opening,
        };
        (made, latest)
    }
}

impl quic::Connection<Bytes> for Connection {
    type RecvStream = Incoming;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Incoming, ConnectionErrorIncoming>> {
        let inner = &self.inner;
        let accepting = self.controls.get_or_insert_with(|| {
            let connection = inner.clone();
            Box::pin(async move { connection.accept_uni().await })
        });
        let accepted = ready!(accepting.as_mut().poll(cx));
        self.controls = None;
        let stream = accepted.map_err(lost)?;
        Poll::Ready(Ok(Incoming::new(stream, Allowance::new(CONTROL_BYTES))))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Request, ConnectionErrorIncoming>> {
        let inner = &self.inner;
        let accepting = self.requests.get_or_insert_with(|| {
            let connection = inner.clone();
            Box::pin(async move { connection.accept_bi().await })
        });
        let accepted = ready!(accepting.as_mut().poll(cx));
        self.requests = None;
        let (send, recv) = accepted.map_err(lost)?;
        let allowance = Allowance::new(self.head_bytes);
        let stopped = send.stopped();
        *self.latest.slot() = Some(Handle {
            allowance: allowance.clone(),
            settled: Box::pin(async move {
                // Delivered, refused or lost: all the same to whoever waits.
                let _ = stopped.await;
            }),
        });
        Poll::Ready(Ok(Request {
            send: Outgoing::new(send),
            recv: Incoming::new(recv, allowance),
        }))
    }

    fn opener(&self) -> Opener {
        Opener::new(self.inner.clone())
    }
}

impl OpenStreams<Bytes> for Connection {
    type BidiStream = Request;
    type SendStream = Outgoing;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Request, StreamError>> {
        self.opening.poll_open_bidi(cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, StreamError>> {
        self.opening.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.opening.close(code, reason);
    }
}

/// Opens the streams that a server has: control streams.
pub(super) struct Opener {
    connection: quinn::Connection,
    opening: Option<Accepting<quinn::SendStream>>,
}

impl Opener {
    fn new(connection: quinn::Connection) -> Self {
        Self {
            connection,
            opening: None,
        }
    }
}

impl OpenStreams<Bytes> for Opener {
    type BidiStream = Request;
    type SendStream = Outgoing;

    fn poll_open_bidi(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Request, StreamError>> {
        Poll::Ready(Err(StreamError::Unknown(
            "a server makes no requests".into(),
        )))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, StreamError>> {
        let connection = &self.connection;
        let opening = self.opening.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(cx));
        self.opening = None;
        let stream = opened.map_err(|error| StreamError::ConnectionErrorIncoming {
            connection_error: lost(error),
        })?;
        Poll::Ready(Ok(Outgoing::new(stream)))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.connection.close(number(code.value()), reason);
    }
}

/// Both halves of a request's stream.
pub(super) struct Request {
    send: Outgoing,
    recv: Incoming,
}

impl BidiStream<Bytes> for Request {
    type SendStream = Outgoing;
    type RecvStream = Incoming;

    fn split(self) -> (Outgoing, Incoming) {
        (self.send, self.recv)
    }
}

impl RecvStream for Request {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.recv.poll_data(cx)
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.recv.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.recv.recv_id()
    }
}

impl SendStream<Bytes> for Request {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.send.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamError> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.send.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.send.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}

/// A stream that the client writes.
pub(super) struct Incoming {
    stream: quinn::RecvStream,
    allowance: Allowance,
    is_over: bool,
}

impl Incoming {
    fn new(stream: quinn::RecvStream, allowance: Allowance) -> Self {
        Self {
            stream,
            allowance,
            is_over: false,
        }
    }
}

impl RecvStream for Incoming {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        if self.is_over {
            return Poll::Ready(Ok(None));
        }
        let most = self.allowance.left().min(CHUNK);
        if most == 0 {
            let code = Code::H3_EXCESSIVE_LOAD.value();
            self.stop_sending(code);
            return Poll::Ready(Err(StreamError::StreamTerminated { error_code: code }));
        }
        let mut chunk = vec![0; most];
        let read = ready!(self.stream.poll_read(cx, &mut chunk)).map_err(unreadable)?;
        if read == 0 {
            self.is_over = true;
            return Poll::Ready(Ok(None));
        }
        self.allowance.spend(read);
        chunk.truncate(read);
        Poll::Ready(Ok(Some(chunk.into())))
    }

    fn stop_sending(&mut self, error_code: u64) {
        // One that has ended needs no stopping.
        let _ = self.stream.stop(number(error_code));
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

/// A stream that we write.
pub(super) struct Outgoing {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
}

impl Outgoing {
    fn new(stream: quinn::SendStream) -> Self {
        Self {
            stream,
            writing: None,
        }
    }
}

impl SendStream<Bytes> for Outgoing {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        while let Some(data) = self.writing.as_mut().filter(Buf::has_remaining) {
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write(cx, data.chunk())).map_err(unwritable)?;
            data.advance(written);
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamError> {
        if self.writing.is_some() {
            return Err(StreamError::Unknown("written before it was ready".into()));
        }
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let finished = self.stream.finish();
        Poll::Ready(finished.map_err(|error| StreamError::Unknown(Box::new(error))))
    }

    fn reset(&mut self, reset_code: u64) {
        // One that has ended needs no reset.
        let _ = self.stream.reset(number(reset_code));
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

fn id(id: quinn::StreamId) -> StreamId {
    u64::from(id)
        .try_into()
        .expect("both count streams to the same end")
}

fn number(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => ConnectionErrorIncoming::ApplicationClose {
            error_code: close.error_code.into_inner(),
        },
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        error => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}

fn unreadable(error: ReadError) -> StreamError {
    match error {
        ReadError::Reset(code) => StreamError::StreamTerminated {
            error_code: code.into_inner(),
        },
        ReadError::ConnectionLost(error) => StreamError::ConnectionErrorIncoming {
            connection_error: lost(error),
        },
        error => StreamError::Unknown(Box::new(error)),
    }
}

fn unwritable(error: WriteError) -> StreamError {
    match error {
        WriteError::Stopped(code) => StreamError::StreamTerminated {
            error_code: code.into_inner(),
        },
        WriteError::ConnectionLost(error) => StreamError::ConnectionErrorIncoming {
            connection_error: lost(error),
        },
        error => StreamError::Unknown(Box::new(error)),
    }
}
