//! What a transport is made of, and what signalling says about the peer.

use std::sync::Arc;
use std::time::Duration;

use crate::candidate::{Candidate, IceCredentials};
use crate::certificate::{Certificate, Fingerprint};

/// A peer that is silent for so long is gone. Below the 30 s of RFC 7675 section 5.1, so that with all that follows in
/// control one killed hard is gone within them; peers check about every 5 s (RFC 7675 section 5.1), browsers every 2.5 s.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(25);

/// Which half of ICE we play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceMode {
    /// Answer checks only (RFC 8445 section 2.5): we are publicly reachable.
    Lite,
    /// Send checks too: the peer is lite or behind a NAT, or we are.
    Full,
}

/// Our part in the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsRole {
    /// We are the client (`a=setup:active` is ours).
    Active,
    /// We are the server (`a=setup:passive` is ours).
    Passive,
    /// Not decided by signalling: we wait as a server.
    Auto,
}

/// Bounds on what a peer can make us keep, each with its policy when full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportLimits {
    /// Candidate pairs remembered; beyond it the one unheard for longest goes (never the selected one).
    pub pairs: usize,
    /// Remote candidates accepted; more are refused.
    pub remote_candidates: usize,
    /// Datagrams of our own (STUN, DTLS, SCTP) waiting to be sent; more are dropped, their protocols repeat them.
    pub transmit_queue: usize,
    /// Events waiting for `poll_event` above which no data channel message is taken from SCTP.
    pub events: usize,
    /// Open data channels; more are refused and their stream reset.
    pub channels: usize,
    /// Bytes queued for sending over all channels; more are an error to the sender.
    pub channel_send_bytes: usize,
    /// Bytes of messages received and not yet taken: SCTP's receive window.
    pub channel_receive_bytes: usize,
    /// Bytes of label and of protocol in a channel's opening message.
    pub channel_label_bytes: usize,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            pairs: 32,
            remote_candidates: 64,
            transmit_queue: 512,
            events: 256,
            channels: 256,
            channel_send_bytes: 1_048_576,
            channel_receive_bytes: 1_048_576,
            channel_label_bytes: 1024,
        }
    }
}

/// How a transport is made.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// Lite or full.
    pub ice_mode: IceMode,
    /// Full mode only: whether we take the controlling role, as the offerer does. A lite peer makes us controlling anyway.
    pub controlling: bool,
    /// Our first credentials.
    pub local: IceCredentials,
    /// Our candidates.
    pub candidates: Vec<Candidate>,
    /// The certificate whose fingerprint signalling carries.
    pub certificate: Arc<Certificate>,
    /// Whether data channels were negotiated.
    pub sctp: bool,
    /// The largest data channel message we accept and send.
    pub max_message_size: usize,
    /// ICE and DTLS must be done within this time of `connect`.
    pub connect_timeout: Duration,
    /// The peer is gone after this time without consent (RFC 7675 section 5.1).
    pub consent_timeout: Duration,
    /// Whether an authenticated packet proves the peer alive as a check does. Some senders check once and never again.
    pub media_keeps_consent: bool,
    /// Bounds.
    pub limits: TransportLimits,
}

impl TransportConfig {
    /// A lite transport with the defaults.
    pub fn lite(
        local: IceCredentials,
        candidates: Vec<Candidate>,
        certificate: Arc<Certificate>,
    ) -> Self {
        Self {
            ice_mode: IceMode::Lite,
            controlling: false,
            local,
            candidates,
            certificate,
            sctp: false,
            max_message_size: 262_144,
            connect_timeout: Duration::from_secs(30),
            consent_timeout: CONSENT_TIMEOUT,
            media_keeps_consent: true,
            limits: TransportLimits::default(),
        }
    }

    /// A full transport with the defaults.
    pub fn full(
        local: IceCredentials,
        candidates: Vec<Candidate>,
        certificate: Arc<Certificate>,
        controlling: bool,
    ) -> Self {
        Self {
            ice_mode: IceMode::Full,
            controlling,
            ..Self::lite(local, candidates, certificate)
        }
    }
}

/// What signalling told us about the peer.
#[derive(Debug, Clone)]
pub struct RemoteParameters {
    /// The peer's credentials; a lite transport can do without them.
    pub ice: Option<IceCredentials>,
    /// Whether the peer is lite.
    pub ice_lite: bool,
    /// The candidates known so far.
    pub candidates: Vec<Candidate>,
    /// OUR role in DTLS.
    pub dtls_role: DtlsRole,
    /// The fingerprints of which the peer's certificate must match one.
    pub fingerprints: Vec<Fingerprint>,
}
