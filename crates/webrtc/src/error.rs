//! Errors of the transport.

use roomtone_srtp::SrtpError;

use crate::stun::StunError;

/// Why an input or a command was refused. Every refused datagram is also counted.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
    /// `connect` was called before.
    #[error("the transport is connected already")]
    AlreadyConnected,
    /// `connect` has to come first.
    #[error("the transport has no remote parameters yet")]
    NotConnected,
    /// Both sides are ICE lite and we were made lite.
    #[error("both sides are ICE lite: make this transport with the full role")]
    BothIceLite,
    /// Full ICE cannot check without the peer's credentials.
    #[error("full ICE needs the peer's credentials")]
    MissingIceCredentials,
    /// Without a fingerprint nobody is authenticated.
    #[error("the peer signalled no certificate fingerprint")]
    MissingFingerprint,
    /// No more remote candidates are kept.
    #[error("too many remote candidates")]
    TooManyCandidates,
    /// A local candidate whose address nobody can reach, such as an unspecified one.
    #[error("a candidate with an address nobody can reach")]
    UnusableCandidate,
    /// The DTLS handshake is not done: nothing can be sealed or opened.
    #[error("no SRTP keys yet")]
    NoKeys,
    /// DTLS came from an address no check has validated.
    #[error("DTLS from an address that passed no ICE check")]
    UnvalidatedSource,
    /// Neither STUN, DTLS, RTP nor RTCP.
    #[error("not a datagram of this transport")]
    UnknownDatagram,
    /// A STUN message that does not parse or does not authenticate.
    #[error("STUN: {0}")]
    Stun(#[from] StunError),
    /// SRTP or SRTCP refused the packet.
    #[error("SRTP: {0}")]
    Srtp(#[from] SrtpError),
    /// The DTLS association failed and the transport is closed now.
    #[error("DTLS: {0}")]
    Dtls(String),
    /// Data channels were not negotiated.
    #[error("this transport has no SCTP")]
    NoSctp,
    /// A data channel command was refused.
    #[error("data channel: {0}")]
    Channel(#[from] ChannelError),
}

/// Why a data channel command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// No such channel.
    #[error("no such channel")]
    Unknown,
    /// The stream is in use.
    #[error("the stream is in use")]
    InUse,
    /// No more channels.
    #[error("too many channels")]
    TooMany,
    /// The label or protocol is too long.
    #[error("label or protocol too long")]
    LabelTooLong,
    /// The message is larger than negotiated.
    #[error("message larger than negotiated")]
    MessageTooLarge,
    /// The send buffer is full.
    #[error("send buffer full")]
    BufferFull,
    /// The association is closed.
    #[error("association closed")]
    Closed,
}

impl ChannelError {
    /// Whether a message was refused because there is no room for it, now or ever.
    pub(crate) fn is_for_want_of_space(self) -> bool {
        matches!(self, Self::BufferFull | Self::MessageTooLarge)
    }
}
