//! The interface of all estimators, and the values that cross it.

use std::time::{Duration, Instant};

use crate::gcc::LineBelief;
use crate::neighbours::{Company, Sighting};

/// What a packet that leaves is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentKind {
    /// Sound: never waits for the pacer.
    Audio,
    /// New pictures.
    Video,
    /// Something that was sent before, because the peer missed it.
    Repair,
    /// Something nobody needs, sent to find out what the line carries.
    Padding,
}

/// A packet that left with a transport-wide sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentPacket {
    /// The transport-wide sequence number.
    pub sequence: u16,
    /// Bytes on the wire, with the cipher's tag and the headers of UDP and IP.
    pub bytes: u16,
    /// What it is for.
    pub kind: SentKind,
    /// The [`Probe::id`] it belongs to.
    pub probe: Option<u32>,
}

/// What transport-wide feedback says about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackEntry {
    /// The transport-wide sequence number.
    pub sequence: u16,
    /// The peer's arrival time in microseconds on its own scale; `None`: it did not arrive.
    pub arrival_us: Option<i64>,
}

/// What one report block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedLoss {
    /// Fraction lost since the last report, of 256.
    pub fraction: u8,
    /// The round trip it allows to compute.
    pub round_trip: Option<Duration>,
}

/// How the line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineState {
    /// What is sent gets through in time.
    #[default]
    Normal,
    /// Queues that had built up are draining.
    Underused,
    /// Queues build up, or more is lost than chance explains.
    Overused,
}

/// What an estimator believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What the line carries, in bits per second, counted as [`SentPacket::bytes`] counts.
    pub bps: u64,
    /// The rate at which packets should leave within a burst; `None`: at once.
    pub pacing_bps: Option<u64>,
    /// Whether anything was heard from the peer yet.
    pub confirmed: bool,
    /// Whether nothing the peer said speaks against more: it stands for the least the line carries, and nothing need
    /// be taken away for its sake.
    pub at_least: bool,
    /// How the line stands.
    pub state: LineState,
}

/// Packets to be sent at a given rate, to find out whether the line carries it. Media counts
/// where there is some; the rest is padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Not used before by this estimator.
    pub id: u32,
    /// The rate of its packets.
    pub bps: u64,
    /// Bytes it has at least.
    pub min_bytes: u32,
    /// Packets it has at least.
    pub min_packets: u16,
}

/// What an estimator counted since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EstimatorCounters {
    /// Transport-wide feedback packets taken.
    pub feedback: u64,
    /// Entries that acknowledge what was never sent, or what was forgotten long ago.
    pub bogus: u64,
    /// Entries that say again what was said.
    pub repeated: u64,
    /// Arrival times that jumped against the clock, after which measuring began anew.
    pub clock_jumps: u64,
    /// Packets reported as lost, those that came late not counted.
    pub lost: u64,
    /// Packets that no feedback named before their place was needed.
    pub unreported: u64,
    /// Probes given out.
    pub probes: u64,
    /// Probes whose rate could be measured.
    pub probes_measured: u64,
    /// Times that over-use was found.
    pub overuses: u64,
    /// Times that silence of the peer lowered the estimate.
    pub timeouts: u64,
}

/// What an estimate was made of, for statistics and plots.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EstimatorDetails {
    /// What delay says, in bits per second.
    pub delay_bps: u64,
    /// What loss says; `None`: it sets no limit.
    pub loss_bps: Option<u64>,
    /// The peer's own limit (REMB).
    pub remb_bps: Option<u64>,
    /// The rate at which packets arrive.
    pub acknowledged_bps: Option<u64>,
    /// The round trip, feedback's own delay included.
    pub round_trip: Option<Duration>,
    /// Whether the source has less to send than it may.
    pub is_application_limited: bool,
    /// The share of packets lost lately that chance explains, and the share lost in all.
    pub inherent_loss: f64,
    /// See `inherent_loss`.
    pub average_loss: f64,
    /// What the over-use detector compares, in milliseconds: the trend, and its threshold.
    pub trend_ms: f64,
    /// See `trend_ms`.
    pub threshold_ms: f64,
    /// How long packets wait in the line's queue.
    pub queue_delay: Duration,
    /// Whether that queue is kept full by someone else.
    pub is_competing: bool,
    /// Bytes of memory held beside the value itself.
    pub memory: usize,
}

/// A bandwidth estimator toward one peer.
///
/// - **Inputs**: [`Self::on_sent`] for each packet with a transport-wide sequence number, in
///   order; what the peer reports; [`Self::set_wanted`]; [`Self::handle_timeout`].
/// - **Outputs**: [`Self::estimate`], [`Self::poll_probe`], [`Self::next_timeout`].
/// - **Order**: after any input but `on_sent`, ask for all three again.
/// - **Limits**: whatever the peer claims, memory and work for one call stay bounded.
pub trait BandwidthEstimator: Send + std::fmt::Debug {
    /// What statistics call it.
    fn name(&self) -> &'static str {
        "other"
    }
    /// Whether [`Self::on_sent`] is wanted; asked once.
    fn tracks_packets(&self) -> bool {
        false
    }
    /// A packet leaves.
    fn on_sent(&mut self, _packet: SentPacket, _now: Instant) {}
    /// Reads what [`Self::on_sent`] reads, so that it is in the caches then. The value means nothing.
    fn touch(&self) -> u64 {
        0
    }
    /// Transport-wide feedback came, entries in sequence order.
    fn on_feedback(&mut self, _entries: &[FeedbackEntry], _now: Instant) {}
    /// A report block came.
    fn on_report(&mut self, _report: ReportedLoss, _now: Instant) {}
    /// What the pictures sent so far weigh, told before each limit that the peer names: a limit made of what comes
    /// says little where little was sent.
    fn on_pictures_sent(&mut self, _bytes: u64, _now: Instant) {}
    /// The peer named a limit.
    fn on_remb(&mut self, _bps: u64, _now: Instant) {}
    /// What there is to send in all, in bits per second, if the line carried everything: no probe
    /// need go far above it.
    fn set_wanted(&mut self, _bps: u64, _now: Instant) {}
    /// What leaves now, in bits per second, counted as [`Estimate::bps`].
    fn set_given(&mut self, _bps: u64) {}
    /// The next probe to send; each is given out once.
    fn poll_probe(&mut self, _now: Instant) -> Option<Probe> {
        None
    }
    /// What it knows that tells who shares its line; none where it knows nothing, or cannot share a rate.
    fn sighting(&self) -> Option<Sighting> {
        None
    }
    /// From now on its rate is that of a line which carries `bps` for other senders than before.
    fn begin_line(&mut self, _bps: f64, _now: Instant) {}
    /// What it believes of its line, for those who share it.
    fn belief(&self) -> Option<LineBelief> {
        None
    }
    /// One who shares the line believes this.
    fn follow(&mut self, _belief: &LineBelief, _now: Instant) {}
    /// Whether others are known to share its line.
    fn is_accompanied(&self) -> bool {
        false
    }
    /// What those who share the line do; `None`: nobody is known to.
    fn set_company(&mut self, _company: Option<Company>, _now: Instant) {}
    /// Bytes of all packets that left so far, counted as [`SentPacket::bytes`].
    fn sent_bytes(&self) -> u64 {
        0
    }
    /// So many bytes have left so far for others who share the line; told before a packet of a probe leaves.
    fn note_others_sent(&mut self, _bytes: u64) {}
    /// What it believes.
    fn estimate(&self) -> Estimate;
    /// When it wants [`Self::handle_timeout`].
    fn next_timeout(&self) -> Option<Instant> {
        None
    }
    /// Its time came.
    fn handle_timeout(&mut self, _now: Instant) {}
    /// What it counted.
    fn counters(&self) -> EstimatorCounters {
        EstimatorCounters::default()
    }
    /// What its estimate is made of.
    fn details(&self) -> EstimatorDetails {
        EstimatorDetails::default()
    }
}
