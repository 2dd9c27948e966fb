//! Data channels: SCTP over DTLS (RFC 8831) with our own channel opening (RFC 8832).

mod association;
mod dcep;

pub(crate) use association::{Association, LAST_STREAM, SctpOutput};

/// Largest SCTP packet: with a DTLS record's overhead it stays below every path's minimum MTU.
pub const MTU: usize = 1140;

/// A data channel by its stream number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u16);

/// How hard a message is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// Until it arrives.
    Reliable,
    /// At most so many repetitions.
    MaxRetransmits(u16),
    /// At most so many milliseconds.
    MaxLifetimeMs(u32),
}

/// What a channel is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelParameters {
    /// Its name.
    pub label: String,
    /// Its subprotocol.
    pub protocol: String,
    /// Whether messages arrive in order.
    pub ordered: bool,
    /// How hard they are tried.
    pub reliability: Reliability,
    /// A stream agreed on elsewhere: no opening message is sent.
    pub negotiated: Option<u16>,
}

impl ChannelParameters {
    /// A reliable, ordered channel.
    pub fn reliable(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
        }
    }
}
