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
    /// Threads that decode, mix and encode sound; they wait while there are no mixers.
    pub audio_threads: usize,
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
    /// Longest time packets on plain transports wait for others, where many come; 0: never.
    pub gather_delay_us: u64,
    /// Bytes by which packets of a picture are padded at most to be as long as its longest; 0: never.
    pub even_out_bytes: u8,
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
    /// How the lines to peers are estimated and spared.
    pub bandwidth: BandwidthConfig,
    /// How much of live streams is kept.
    pub live: LiveConfig,
    /// Seed of everything random that is no key; from the system when absent.
    pub seed: Option<u64>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            audio_threads: 1,
            listen_ips: Vec::new(),
            announced_ips: Vec::new(),
            webrtc_ports: (40000, 40099),
            plain_ports: (40100, 49999),
            tcp: true,
            udp: true,
            burst_delay_us: 5000,
            gather_delay_us: 1000,
            even_out_bytes: 0,
            event_queue: 8192,
            command_queue: 4096,
            max_transports: 10_000,
            max_producers_per_transport: 64,
            max_consumers_per_transport: 512,
            history_packets: 1024,
            ice_timeout_ms: 30_000,
            bandwidth: BandwidthConfig::default(),
            live: LiveConfig::default(),
            seed: None,
        }
    }
}

/// How congestion shows in arrival times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalModel {
    /// The slope of a line through the last delays.
    #[default]
    Trendline,
    /// A Kalman filter.
    Kalman,
}

/// How much of live streams is kept, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveConfig {
    /// The folder for segments that have left memory; empty: none leaves it.
    pub store_dir: String,
    /// How much of a stream stays in memory, before and behind the end of its window.
    pub memory_ms: u64,
    /// Bytes of one stream in memory.
    pub memory_stream_bytes: u64,
    /// Bytes of all streams in memory.
    pub memory_bytes: u64,
    /// Bytes of one stream on disk; 0: nothing is written there.
    pub disk_stream_bytes: u64,
    /// Bytes of all streams on disk; 0: nothing is written there.
    pub disk_bytes: u64,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            store_dir: String::new(),
            memory_ms: 300_000,
            memory_stream_bytes: 512 << 20,
            memory_bytes: 2 << 30,
            disk_stream_bytes: 64 << 30,
            disk_bytes: 128 << 30,
        }
    }
}

/// How the lines to peers are estimated and spared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BandwidthConfig {
    /// Use transport-wide feedback where it was negotiated; else only receiver reports and REMB.
    pub transport_feedback: bool,
    /// The estimate before anything is known.
    pub start_bps: u64,
    /// The estimate never goes below.
    pub min_bps: u64,
    /// The estimate never goes above.
    pub max_bps: u64,
    /// How congestion shows in arrival times.
    pub arrival_model: ArrivalModel,
    /// Pictures leave at the pacing rate; else each at once.
    pub pacing: bool,
    /// The line is probed for more, with padding where there is no media for it.
    pub probing: bool,
}

impl Default for BandwidthConfig {
    fn default() -> Self {
        Self {
            transport_feedback: true,
            start_bps: 1_000_000,
            min_bps: 30_000,
            max_bps: 100_000_000,
            arrival_model: ArrivalModel::Trendline,
            pacing: true,
            probing: true,
        }
    }
}
