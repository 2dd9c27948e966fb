//! What a transport reports.

use std::fmt;

use roomtone_srtp::Profile;

use crate::address::FiveTuple;
use crate::sctp::{ChannelId, ChannelParameters};

/// State of connectivity, W3C names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceState {
    /// Nothing seen yet.
    New,
    /// Checks are under way.
    Checking,
    /// A pair is selected.
    Connected,
    /// The selected pair is silent; it may come back.
    Disconnected,
    /// No pair worked, or consent expired.
    Failed,
    /// The transport is closed.
    Closed,
}

/// State of the DTLS handshake, W3C names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsState {
    /// Not started.
    New,
    /// Shaking hands.
    Connecting,
    /// Done and the fingerprint matched.
    Connected,
    /// Failed for good.
    Failed,
    /// Closed by either side.
    Closed,
}

/// Why a transport ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// `close` was called.
    Local,
    /// The peer sent a DTLS close_notify.
    PeerClosed,
    /// No candidate pair worked in time, or none is left to try and no candidate can come any more.
    IceTimeout,
    /// The peer was silent for the consent time (RFC 7675).
    ConsentExpired,
    /// ICE worked and the DTLS handshake did not end in time.
    DtlsTimeout,
    /// The DTLS handshake or the association failed.
    DtlsFailed,
    /// The peer has an RSA certificate, or none that fits an ECDSA suite.
    DtlsRsaUnsupported,
    /// The peer's certificate has none of the signalled fingerprints.
    DtlsFingerprintMismatch,
    /// The handshake ended without an SRTP profile both know.
    DtlsNoSrtpProfile,
}

impl CloseReason {
    /// The name used in metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::PeerClosed => "peer_closed",
            Self::IceTimeout => "ice_timeout",
            Self::ConsentExpired => "consent_expired",
            Self::DtlsTimeout => "dtls_timeout",
            Self::DtlsFailed => "dtls_failed",
            Self::DtlsRsaUnsupported => "dtls_rsa_unsupported",
            Self::DtlsFingerprintMismatch => "dtls_fingerprint_mismatch",
            Self::DtlsNoSrtpProfile => "dtls_no_srtp_profile",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something the owner of a transport should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// Connectivity changed.
    IceState(IceState),
    /// The handshake changed.
    DtlsState(DtlsState),
    /// The pair to send on changed.
    Selected(FiveTuple),
    /// A check from this address was authenticated: datagrams from it belong to this transport.
    Validated(FiveTuple),
    /// These old local credentials are no longer accepted: an ICE restart is complete.
    CredentialsRetired {
        /// The username fragment that is free now.
        ufrag: String,
    },
    /// SRTP keys are in place.
    SrtpReady(Profile),
    /// The SCTP association is up.
    SctpConnected,
    /// The SCTP association ended; the transport goes on without data channels.
    SctpClosed {
        /// What happened, for the log.
        detail: String,
    },
    /// A data channel is open, by us or by the peer.
    ChannelOpened {
        /// Its stream.
        id: ChannelId,
        /// Whether the peer opened it.
        inbound: bool,
        /// Label, protocol and reliability.
        parameters: ChannelParameters,
    },
    /// A whole message came in.
    ChannelMessage {
        /// Its channel.
        id: ChannelId,
        /// Text or binary.
        binary: bool,
        /// The payload.
        data: Vec<u8>,
    },
    /// The channel's send buffer drained to its low mark.
    ChannelBufferedLow {
        /// The channel.
        id: ChannelId,
    },
    /// A data channel is closed.
    ChannelClosed {
        /// Its stream, free for another channel.
        id: ChannelId,
    },
    /// The transport ended. Nothing follows but what `poll_transmit` still holds.
    Closed {
        /// Why.
        reason: CloseReason,
        /// What was tried and seen, one line.
        detail: String,
    },
}
