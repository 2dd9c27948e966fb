//! How the engine is laid out.

use serde::{Deserialize, Serialize};

/// Given once, when the engine starts.
///
/// `shards` threads each own one UDP and one TCP port out of `webrtc_ports` (inclusive; 0 lets the kernel choose) on
/// each of `listen_ips` (none means all addresses of this host); `announced_ips` are pairs of a listen address and
/// what peers are told instead of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineConfig {
    /// Media threads.
    pub shards: usize,
    /// Addresses to listen on.
    pub listen_ips: Vec<String>,
    /// Pairs of listen address and announced address.
    pub announced_ips: Vec<(String, String)>,
    /// First and last port for WebRTC transports.
    pub webrtc_ports: (u16, u16),
    /// First and last port for plain transports.
    pub plain_ports: (u16, u16),
    /// Offer TCP candidates.
    pub tcp: bool,
    /// Offer UDP candidates.
    pub udp: bool,
    /// Longest time a packet waits for its burst.
    pub burst_delay_us: u64,
    /// Events that wait to be drained.
    pub event_queue: usize,
    /// Commands that wait or whose replies wait.
    pub command_queue: usize,
    /// Transports in the whole engine.
    pub max_transports: usize,
    /// Producers on one transport.
    pub max_producers_per_transport: usize,
    /// Consumers on one transport.
    pub max_consumers_per_transport: usize,
    /// Packets kept for retransmission, each encoding.
    pub history_packets: usize,
    /// A transport that is not connected by then is closed.
    pub ice_timeout_ms: u64,
    /// Seed of everything random that is no key; from the system when absent.
    pub seed: Option<u64>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            listen_ips: Vec::new(),
            announced_ips: Vec::new(),
            webrtc_ports: (40000, 40099),
            plain_ports: (40100, 49999),
            tcp: true,
            udp: true,
            burst_delay_us: 5000,
            event_queue: 8192,
            command_queue: 4096,
            max_transports: 10_000,
            max_producers_per_transport: 64,
            max_consumers_per_transport: 512,
            history_packets: 1024,
            ice_timeout_ms: 30_000,
            seed: None,
        }
    }
}
