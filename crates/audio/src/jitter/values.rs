//! What goes into a jitter buffer, its bounds, and what it counts.

/// What a packet brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A payload of the codec.
    Sound,
    /// A description of silence (RFC 3389).
    ComfortNoise,
    /// A telephone event: nothing to be played, and nothing lost either.
    Event,
}

/// A packet as it came.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// What it brings.
    pub kind: PacketKind,
    /// The payload.
    pub payload: &'a [u8],
}

/// Bounds of a jitter buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    /// Delay that it begins with, in milliseconds.
    pub start_ms: u32,
    /// The most it delays, in milliseconds; what comes later than that is late.
    pub most_ms: u32,
    /// Packets that may wait; the oldest gives way and is counted.
    pub most_packets: usize,
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self {
            start_ms: 40,
            most_ms: 400,
            most_packets: 128,
        }
    }
}

/// What it has done. Packets are counted once each; times in samples of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Packets given to it.
    pub received: u64,
    /// Packets decoded, in whole or for what of them was still to come.
    pub decoded: u64,
    /// Packets that came after their time, in whole or in part.
    pub late: u64,
    /// Packets that were there already.
    pub duplicate: u64,
    /// Packets given up because too many waited.
    pub overflow: u64,
    /// Packets that were none of the codec.
    pub undecodable: u64,
    /// Frames recovered from the packet behind them.
    pub recovered: u64,
    /// New timelines: the sender's timestamps or numbers had jumped.
    pub restarts: u64,
    /// Samples made up for lost packets.
    pub concealed: u64,
    /// Samples of silence that was sent as such, or before anything came.
    pub quiet: u64,
    /// Samples taken out of the sound and put into it to change the delay.
    pub shortened: u64,
    /// See `shortened`.
    pub lengthened: u64,
}
