//! What a peer can do that ends its connection.

use thiserror::Error;

use crate::AmfError;

/// A rule of the chunk stream that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// A message longer than is taken, in bytes.
    #[error("a message of {0} bytes")]
    MessageTooLarge(u32),
    /// More chunk streams than are followed.
    #[error("too many chunk streams")]
    TooManyChunkStreams,
    /// More bytes of messages begun than are kept.
    #[error("too many messages begun and not finished")]
    TooMuchUnfinished,
    /// A chunk that refers to a header that never came, by its chunk stream.
    #[error("chunk stream {0} begins without a header")]
    NoHeader(u32),
    /// A size of chunks that cannot be.
    #[error("a chunk size of {0}")]
    ChunkSize(u32),
    /// A control message cut short, by its type.
    #[error("control message {0} is cut short")]
    ShortControl(u8),
}

/// Why bytes of a peer could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The first byte is another version; 22 is TLS, 6 is RTMPE, 71 is an HTTP request.
    #[error("no RTMP: the first byte is {0}")]
    NotRtmp(u8),
    /// The chunk stream is broken.
    #[error("chunk stream: {0}")]
    Chunks(#[from] Violation),
    /// A command or its values could not be read.
    #[error("command: {0}")]
    Command(#[from] AmfError),
}
