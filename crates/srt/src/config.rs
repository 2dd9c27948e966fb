//! What one side of a connection wishes for.

use crate::crypto::KeyRefresh;
use std::time::Duration;

/// Packets in a window of libsrt's default.
pub const DEFAULT_WINDOW: u32 = 8192;
/// Largest window that is granted.
pub const MAX_WINDOW: u32 = 65_536;
/// Payload of a live packet: seven packets of MPEG-TS.
pub const LIVE_PAYLOAD: usize = 1316;

/// How fast packets leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bandwidth {
    /// As they come.
    #[default]
    Unlimited,
    /// At most this many bits per second, retransmissions and headers included.
    Fixed(u64),
    /// At most this many percent more than what was given to be sent in the last second.
    Overhead(u32),
}

/// What one side of a connection wishes for; both agree in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// How long what is received is held back at least. The greater wish of both sides counts.
    pub latency: Duration,
    /// How long the peer should hold back what it receives at least.
    pub peer_latency: Duration,
    /// Give up what is missing when the packet behind it is due. Otherwise delivery waits.
    pub too_late_drop: bool,
    /// Packets held for delivery at most; what is beyond is dropped and counted.
    pub receive_window: u32,
    /// Packets held for retransmission at most; beyond, [`SendError::Full`](crate::SendError).
    pub send_window: u32,
    /// How fast packets leave.
    pub bandwidth: Bandwidth,
    /// A peer that is silent for this long is gone.
    pub idle_timeout: Duration,
    /// When keys are renewed.
    pub key_refresh: KeyRefresh,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(120),
            peer_latency: Duration::ZERO,
            too_late_drop: true,
            receive_window: DEFAULT_WINDOW,
            send_window: DEFAULT_WINDOW,
            bandwidth: Bandwidth::Unlimited,
            idle_timeout: Duration::from_secs(5),
            key_refresh: KeyRefresh::default(),
        }
    }
}

impl ConnectionConfig {
    /// Latencies stand in 16 bits of milliseconds.
    pub(crate) fn latency_ms(&self) -> u16 {
        u16::try_from(self.latency.as_millis()).unwrap_or(u16::MAX)
    }

    pub(crate) fn peer_latency_ms(&self) -> u16 {
        u16::try_from(self.peer_latency.as_millis()).unwrap_or(u16::MAX)
    }

    /// The window granted to the peer; a window below 32 packets breaks libsrt.
    pub(crate) fn window(&self) -> u32 {
        self.receive_window.clamp(32, MAX_WINDOW)
    }
}
