//! What is wanted of a library that speaks HTTP/3.

use std::future::Future;

use hyper::body::Bytes;
use hyper::{HeaderMap, Request, Response};

use crate::body::RequestBody;

/// One connection of a client.
pub(super) trait Session: Send {
    /// A request of which the first bytes have come.
    type Arriving: Arriving;

    /// The next request, in the order of arrival; none when the client has said goodbye and has its answers. May be
    /// given up and called again.
    fn accept(&mut self) -> impl Future<Output = Result<Option<Self::Arriving>, Ended>> + Send;

    /// Tells the client that no further request is taken, once: those that cross this on the way are given still.
    fn refuse_more(&mut self) -> impl Future<Output = Result<(), Ended>> + Send;
}

/// A request on its way in.
pub(super) trait Arriving: Send + 'static {
    /// How it is answered.
    type Answer: Answer;

    /// Waits for its head; its body streams.
    fn head(
        self,
    ) -> impl Future<Output = Result<(Request<RequestBody>, Self::Answer), Broken>> + Send;
}

/// A response on its way out. Each call waits until the client has room; dropped before `finish` it breaks off.
pub(super) trait Answer: Send + 'static {
    fn head(&mut self, head: Response<()>) -> impl Future<Output = Result<(), Broken>> + Send;
    fn data(&mut self, data: Bytes) -> impl Future<Output = Result<(), Broken>> + Send;
    fn trailers(&mut self, trailers: HeaderMap) -> impl Future<Output = Result<(), Broken>> + Send;
    /// That was all.
    fn finish(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;
    /// Ready when the client has everything, or wants no more of it.
    fn settled(&mut self) -> impl Future<Output = ()> + Send;
    /// The response will not be completed.
    fn cancel(&mut self);
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Either side closed it in order, or it was silent for too long.
    Closed,
    /// The client broke the protocol.
    Malformed,
    /// It was lost.
    Lost,
}

/// Why one request or response came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client does not want it any more, or is gone.
    GivenUp,
    /// Its headers are over the limit; the client has been told.
    HeadersTooLarge,
    /// It is no HTTP.
    Malformed,
}
