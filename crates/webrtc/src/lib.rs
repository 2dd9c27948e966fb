//! One WebRTC peer's transport: ICE, DTLS, SRTP keys, SCTP data channels; no I/O.
//!
//! [`Transport`] is the whole of it; everything else is a value it takes or gives, or a parser that the owner of
//! the socket needs to find the right transport ([`stun_username`], [`classify`]).
#![forbid(unsafe_code)]

mod address;
mod candidate;
mod certificate;
mod config;
mod dtls;
mod dtls_srtp;
mod error;
mod event;
mod ice;
mod random;
pub mod sctp;
mod stats;
pub mod stun;
mod transport;
mod verifier;
mod x509;

pub use address::{DatagramKind, FiveTuple, Protocol, classify, is_dtls, is_stun};
pub use candidate::{Candidate, CandidateKind, IceCredentials, TcpType};
pub use certificate::{Certificate, CertificateError, Fingerprint, FingerprintHash};
pub use config::{
    CONSENT_TIMEOUT, DtlsRole, IceMode, RemoteParameters, TransportConfig, TransportLimits,
};
pub use dtls_srtp::{DtlsSrtp, DtlsSrtpEvent};
pub use error::{ChannelError, TransportError};
pub use event::{CloseReason, DtlsState, IceState, TransportEvent};
pub use random::{Random, SeededRandom, SystemRandom};
pub use sctp::{ChannelId, ChannelParameters, Reliability};
pub use stats::{ChannelCounters, ChannelStats, ChannelStatus, TransportCounters, TransportStats};
pub use stun::stun_username;
pub use transport::{MAX_TRANSMIT_LEN, Received, Transmit, Transport};
