//! The public face: a router is fed commands, packets and time, and drained of packets and events.

mod acting;
mod allocating;
mod bursts;
mod clashes;
mod consumers;
pub(crate) mod extended;
mod feedback;
mod ingest;
mod layers;
mod loudest;
mod nearing;
mod neighbours;
mod offering;
mod pacing;
mod producers;
mod quality;
mod reports;
mod routing;
mod rtcp_in;
mod rtcp_out;
mod schedule;
mod transports;

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::audio::Loudest;
use crate::audio_level::SpeakerObserver;
use crate::consumer::Consumer;
use crate::producer::{Producer, Stream};
use crate::random::Random;
use crate::rhythm::Company;
use crate::timers::Timers;
use crate::transport::Transport;
use crate::{
    AudioLevelConfig, ConsumerId, FeedbackEntry, ProducerId, RouterConfig, RouterEvent, RtcpDrop,
    RtpDrop, SfuError, TransportId, WallClock,
};

pub use nearing::Fetch;

/// A plain packet written for a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes at the front of the buffer.
    pub len: usize,
    /// Whether they are RTCP; else RTP.
    pub rtcp: bool,
}

/// The forwarding domain: transports, the producers and consumers on them, and what flows between.
///
/// - **Inputs**: commands (`open_transport`, `produce`, `consume`, ...), [`Router::handle_rtp`] and
///   [`Router::handle_rtcp`] with plain packets, [`Router::handle_timeout`]. All take `now`; it must
///   not run backwards by more than the caller's own jitter.
/// - **Outputs**: [`Router::poll_burst`] names a transport that has something to send, then
///   [`Router::write_packet`] gives its packets one by one until `None`;
///   [`Router::poll_event`]; [`Router::next_timeout`].
/// - **Order**: after any input, drain: `poll_burst` until `None`, then `poll_event` until `None`,
///   then re-arm one timer by `next_timeout`. A burst that is not drained to its `None` stays
///   where it is until its transport is queued again.
/// - **Limits**: [`crate::Limits`]; what is dropped is counted in the statistics of its object.
#[derive(Debug)]
pub struct Router {
    config: RouterConfig,
    clock: WallClock,
    random: Random,
    transports: Slab<Transport>,
    producers: Slab<Producer>,
    streams: Slab<Stream>,
    consumers: Slab<Consumer>,
    transport_ids: FxHashMap<TransportId, u32>,
    producer_ids: FxHashMap<ProducerId, u32>,
    consumer_ids: FxHashMap<ConsumerId, u32>,
    /// The transport looked up last: bursts ask for the same one again and again.
    recent: (TransportId, u32),
    /// Transports with something to send.
    queue: VecDeque<u32>,
    /// So many at the front of the queue have been looked at ahead.
    warm: usize,
    /// Streams whose packets wait for the rest of their burst, by deadline.
    pending: VecDeque<(u64, u32)>,
    company: Company,
    timers: Timers,
    /// Peers behind one address.
    sites: neighbours::Sites,
    neighbours_left_out: u64,
    /// Entries of feedback about packets never sent, until somebody takes the number.
    feedback_bogus: u64,
    events: VecDeque<RouterEvent>,
    speakers: SpeakerObserver,
    loudest: Loudest,
    audio_packets_withheld: u64,
    /// What a feedback packet says, while it is read.
    statuses: Vec<FeedbackEntry>,
    next_serial: u32,
    /// The send time written last, and for when.
    send_time: (Option<Instant>, u32),
    packets_in: u64,
    packets_out: u64,
    events_dropped: u64,
}

impl Router {
    /// An empty router. `clock` ties monotonic to wall time; `seed` feeds SSRCs, first sequence
    /// numbers and the jitter of report intervals.
    pub fn new(config: RouterConfig, clock: WallClock, seed: u64) -> Self {
        let loudest = Loudest::new(config.audio_top_n);
        let timers = Timers::new(config.report_patience.as_micros() as u64);
        Self {
            config,
            clock,
            random: Random::new(seed),
            transports: Slab::new(),
            producers: Slab::new(),
            streams: Slab::new(),
            consumers: Slab::new(),
            transport_ids: FxHashMap::default(),
            producer_ids: FxHashMap::default(),
            consumer_ids: FxHashMap::default(),
            recent: (TransportId(u64::MAX), u32::MAX),
            queue: VecDeque::new(),
            warm: 0,
            pending: VecDeque::new(),
            company: Company::default(),
            timers,
            sites: neighbours::Sites::default(),
            neighbours_left_out: 0,
            feedback_bogus: 0,
            events: VecDeque::new(),
            speakers: SpeakerObserver::default(),
            loudest,
            audio_packets_withheld: 0,
            statuses: Vec::new(),
            next_serial: 0,
            send_time: (None, 0),
            packets_in: 0,
            packets_out: 0,
            events_dropped: 0,
        }
    }

    /// Takes a plain RTP packet from a transport's peer.
    pub fn handle_rtp(
        &mut self,
        transport: TransportId,
        packet: &[u8],
        now: Instant,
    ) -> Result<(), RtpDrop> {
        let at = self.transport_at(transport).ok_or(RtpDrop::NoTransport)?;
        let now_us = self.clock.micros(now);
        self.receive_rtp(at, packet, now_us)
    }

    /// Takes a plain RTCP packet, compound or reduced-size, from a transport's peer.
    pub fn handle_rtcp(
        &mut self,
        transport: TransportId,
        packet: &[u8],
        now: Instant,
    ) -> Result<(), RtcpDrop> {
        let at = self.transport_at(transport).ok_or(RtcpDrop::NoTransport)?;
        self.receive_rtcp(at, packet, now)
    }

    /// How active speakers are found from now on; the window under way ends at its old time.
    pub fn set_audio_levels(&mut self, config: AudioLevelConfig) {
        self.config.audio_level = config;
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let burst = self.pending.front().map(|(at, _)| *at);
        let timer = self.timers.next();
        let next = match (burst, timer) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        next.map(|at| self.clock.at + Duration::from_micros(at))
    }

    /// Does what is due: retransmission and keyframe requests, reports, feedback, speakers,
    /// packets that waited for their burst.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now_us = self.clock.micros(now);
        self.release_due(now_us);
        self.run_timers(now, now_us);
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<RouterEvent> {
        self.events.pop_front()
    }

    /// Tells the driver something; dropped and counted where too many wait.
    fn emit(&mut self, event: RouterEvent) {
        // The loss of these would leave the driver with a wrong picture; there are few of them.
        let must_pass = matches!(
            event,
            RouterEvent::ProducerClosed { .. }
                | RouterEvent::ConsumerStarved { .. }
                | RouterEvent::ConsumerFed { .. }
                | RouterEvent::EncodingsWanted { .. }
        );
        if self.events.len() >= self.config.limits.events && !must_pass {
            self.events_dropped += 1;
            return;
        }
        self.events.push_back(event);
    }

    #[inline]
    fn transport_at(&mut self, id: TransportId) -> Option<u32> {
        if self.recent.0 == id {
            return Some(self.recent.1);
        }
        let at = *self.transport_ids.get(&id)?;
        self.recent = (id, at);
        Some(at)
    }

    fn transport_of(&self, id: TransportId) -> Result<u32, SfuError> {
        found(&self.transport_ids, id).ok_or(SfuError::NoTransport(id))
    }

    fn producer_of(&self, id: ProducerId) -> Result<u32, SfuError> {
        found(&self.producer_ids, id).ok_or(SfuError::NoProducer(id))
    }

    fn consumer_of(&self, id: ConsumerId) -> Result<u32, SfuError> {
        found(&self.consumer_ids, id).ok_or(SfuError::NoConsumer(id))
    }
}

fn found<K: Hash + Eq + Copy>(ids: &FxHashMap<K, u32>, id: K) -> Option<u32> {
    ids.get(&id).copied()
}
