//! Counters of one transport.

use roomtone_srtp::Profile;

use crate::address::FiveTuple;
use crate::event::{DtlsState, IceState};
use crate::sctp::ChannelParameters;

/// What one transport has seen and done. Counters only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportCounters {
    /// Authenticated binding requests answered with success.
    pub stun_requests: u64,
    /// Binding requests sent (full mode).
    pub stun_requests_sent: u64,
    /// Authenticated responses to them.
    pub stun_responses: u64,
    /// STUN messages dropped: malformed, unknown user, wrong integrity, unexpected.
    pub stun_dropped: u64,
    /// Error responses sent (400, 401, 420, 487).
    pub stun_errors_sent: u64,
    /// Times the selected pair changed after the first.
    pub pair_changes: u64,
    /// Pairs forgotten because the limit was reached.
    pub pairs_evicted: u64,
    /// Remote candidates refused because the limit was reached.
    pub candidates_refused: u64,
    /// DTLS datagrams taken in.
    pub dtls_received: u64,
    /// DTLS datagrams dropped: from an address no check validated, or before `connect` beyond the few kept.
    pub dtls_dropped: u64,
    /// RTP and RTCP packets that came before the keys.
    pub early_media_dropped: u64,
    /// RTP packets opened.
    pub rtp_opened: u64,
    /// RTCP packets opened.
    pub rtcp_opened: u64,
    /// RTP and RTCP packets that SRTP refused: forged, replayed, short.
    pub srtp_dropped: u64,
    /// Datagrams that are no protocol of this transport.
    pub unknown_dropped: u64,
    /// Own datagrams dropped because the queue, or the caller's buffer, was too small.
    pub transmit_dropped: u64,
    /// Data channel messages received.
    pub messages_received: u64,
    /// Data channel messages sent.
    pub messages_sent: u64,
    /// SCTP packets the association called wrong.
    pub sctp_errors: u64,
    /// Data channels, messages or control messages of the peer refused.
    pub channels_refused: u64,
    /// Messages of our own refused: the send buffer was full, or they were larger than may be sent.
    pub messages_refused: u64,
    /// Messages of our own given up, as their channel's reliability says. The last try may have arrived.
    pub messages_expired: u64,
}

/// How far a data channel is, W3C names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelStatus {
    /// The peer has not confirmed it yet.
    Connecting,
    /// Messages pass.
    Open,
    /// Its streams are being reset.
    Closing,
}

impl ChannelStatus {
    /// The W3C's name (`RTCDataChannelState`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

/// What passed on one data channel. Counters only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelCounters {
    /// Messages taken for sending.
    pub messages_sent: u64,
    /// Bytes of their payload.
    pub bytes_sent: u64,
    /// Whole messages received.
    pub messages_received: u64,
    /// Bytes of their payload.
    pub bytes_received: u64,
    /// Messages refused for sending: the buffer was full, or they were larger than may be sent.
    pub messages_refused: u64,
    /// Messages given up, as the channel's reliability says. The last try may have arrived.
    pub messages_expired: u64,
}

/// A snapshot of a data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStats {
    /// Label, protocol and reliability.
    pub parameters: ChannelParameters,
    /// How far it is.
    pub status: ChannelStatus,
    /// Bytes waiting to be sent.
    pub buffered_amount: usize,
    /// Counters.
    pub counters: ChannelCounters,
}

/// A snapshot of a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportStats {
    /// Connectivity.
    pub ice_state: IceState,
    /// Handshake.
    pub dtls_state: DtlsState,
    /// The pair we send on.
    pub selected: Option<FiveTuple>,
    /// The protection profile.
    pub srtp_profile: Option<Profile>,
    /// Data channels that are open.
    pub channels: usize,
    /// Counters.
    pub counters: TransportCounters,
}
