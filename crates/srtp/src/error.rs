//! What can be wrong with a packet or a key.

use thiserror::Error;

/// Why a packet was not sealed or opened, or a context not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SrtpError {
    /// The packet ends before its header, index or tag does.
    #[error("packet of {len} bytes, at least {need} needed")]
    TooShort {
        /// Bytes there are.
        len: usize,
        /// Bytes there must be.
        need: usize,
    },
    /// Not RTP version 2.
    #[error("not RTP version 2")]
    NotRtp,
    /// The buffer has no room for the tag behind the packet.
    #[error("buffer of {space} bytes, {need} needed with the tag")]
    NoSpace {
        /// Size of the buffer.
        space: usize,
        /// Size of the sealed packet.
        need: usize,
    },
    /// The tag does not fit the packet: forged, damaged, or another key.
    #[error("authentication failed")]
    Forged,
    /// A packet with this index was opened before.
    #[error("replayed packet")]
    Replayed,
    /// The index lies before the replay window.
    #[error("packet older than the replay window")]
    TooOld,
    /// Sealing this index again would use a nonce twice.
    #[error("packet index was sealed before")]
    IndexReused,
    /// The limit of streams (SSRCs) of one context is reached.
    #[error("too many streams in one context")]
    TooManyStreams,
    /// The master key identifier is none of those known.
    #[error("unknown master key identifier")]
    UnknownMki,
    /// All indices of this key are used; a new key is needed.
    #[error("all packet indices of this key are used")]
    KeyExhausted,
    /// A key or salt has the wrong length for its profile.
    #[error("key or salt of {len} bytes, {need} needed")]
    KeyLength {
        /// Bytes given.
        len: usize,
        /// Bytes the profile needs.
        need: usize,
    },
    /// A master key identifier of no bytes or of more than 128.
    #[error("master key identifier must have 1 to 128 bytes")]
    MkiLength,
    /// The cipher refused; it does so only for packets beyond its limits.
    #[error("the cipher refused the packet")]
    Cipher,
}
