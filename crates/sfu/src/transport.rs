//! What the router keeps for one transport.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::allocation::Tally;
use crate::consumer::Chosen;
use crate::pacer::Pacer;
use crate::quality::line::LineWatch;
use crate::quality::policy::LineView;
use crate::random::Random;
use crate::rhythm::Rhythm;
use crate::router::extended::Extended;
use crate::twcc::ArrivalLog;
use crate::{ArrivalModel, BandwidthEstimator, TransportId, TransportParams, TransportStats};

/// Where packets of an SSRC of the peer go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) producer: u32,
    pub(crate) stream: u32,
    /// Whether the SSRC carries retransmissions of the stream.
    pub(crate) rtx: bool,
}

/// An RTCP message to the peer that does not wait for the next report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Nack { ssrc: u32, sequences: Vec<u16> },
    Pli { ssrc: u32 },
    Fir { ssrc: u32, number: u8 },
    Goodbye { ssrcs: Vec<u32> },
}

/// A consumer with something to send, and the packet it sends next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) consumer: u32,
    pub(crate) next: Option<Chosen>,
    pub(crate) len: u32,
}

/// The consumers that have something to send, in the order they are served. Their first ones lie in the transport
/// itself, where a burst finds them without a way through the heap.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Ready {
    pub(crate) audio: SmallVec<[u32; 4]>,
    pub(crate) video: SmallVec<[Slot; 1]>,
    /// The video slot served last, and the length of its packet.
    pub(crate) at: u32,
    pub(crate) run_len: u32,
    /// What the packets of a frame are brought to.
    pub(crate) even: Even,
}

/// The longest packet of what is left of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Even {
    pub(crate) serial: u32,
    pub(crate) frame: u32,
    pub(crate) len: usize,
}

impl Ready {
    pub(crate) fn push(&mut self, consumer: u32, video: bool) {
        if video {
            self.video.push(Slot {
                consumer,
                next: None,
                len: 0,
            });
        } else {
            self.audio.push(consumer);
        }
    }

    /// All of them.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = u32> {
        let video = self.video.iter().map(|slot| slot.consumer);
        video.chain(self.audio.iter().copied())
    }

    pub(crate) fn remove(&mut self, consumer: u32) {
        self.video.retain(|slot| slot.consumer != consumer);
        self.audio.retain(|other| *other != consumer);
        self.at = 0;
    }
}

/// What of the next RTCP report is still to be written.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Report {
    pub(crate) due: bool,
    pub(crate) feedback_due: bool,
    pub(crate) remb_due: bool,
    /// Consumers whose sender report is to be written.
    pub(crate) consumers: Vec<u32>,
    /// Streams whose report block is to be written.
    pub(crate) streams: Vec<u32>,
}

/// SSRCs in an order that looks random and has none twice: the state of a closed stream is
/// forgotten, so its numbers must not begin again under the same SRTP key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawnSsrcs {
    first: u32,
    count: u32,
}

impl DrawnSsrcs {
    /// Odd, so that the multiples go through all values before one comes again.
    const STEP: u32 = 0x9e37_79b1;
    /// `STEP * INVERSE` is 1 modulo 2^32.
    const INVERSE: u32 = inverse(Self::STEP);

    pub(crate) const fn new(first: u32) -> Self {
        Self { first, count: 1 }
    }

    /// The next one.
    pub(crate) fn draw(&mut self) -> u32 {
        let drawn = self.first.wrapping_add(self.count.wrapping_mul(Self::STEP));
        self.count = self.count.wrapping_add(1);
        drawn
    }

    /// Whether it was drawn before.
    pub(crate) const fn contains(self, ssrc: u32) -> bool {
        ssrc.wrapping_sub(self.first).wrapping_mul(Self::INVERSE) < self.count
    }
}

/// The inverse of an odd number modulo 2^32: each step of Newton's method doubles the bits that are right.
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// One transport. What a burst reads and writes comes first, in few cache lines, as in a
/// [`crate::consumer::Consumer`].
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Transport {
    pub(crate) id: TransportId,
    pub(crate) estimator: Box<dyn BandwidthEstimator>,
    /// The next transport-wide sequence number.
    pub(crate) next_sequence: u16,
    pub(crate) tracks_packets: bool,
    pub(crate) writable: bool,
    /// Whether it is in the router's queue.
    pub(crate) queued: bool,
    pub(crate) ready: Ready,
    pub(crate) pacer: Pacer,
    pub(crate) report: Report,
    pub(crate) messages: VecDeque<Message>,
    pub(crate) stats: TransportStats,

    pub(crate) cname: String,
    pub(crate) max_bitrate: u64,
    pub(crate) reduced_size: bool,
    pub(crate) mixed_extensions: bool,
    pub(crate) ignore_audio_levels: bool,
    pub(crate) reflections: bool,
    /// The SSRC of our own feedback.
    pub(crate) local_ssrc: u32,
    /// Until when a packet with it is our own, come back.
    pub(crate) conflict_until_us: Option<u64>,
    pub(crate) producers: Vec<u32>,
    pub(crate) consumers: Vec<u32>,
    /// SSRCs of the peer.
    pub(crate) routes: FxHashMap<u32, Route>,
    /// Our SSRCs and whose they are.
    pub(crate) own_ssrcs: FxHashMap<u32, u32>,
    /// SSRCs that were drawn for the peer.
    pub(crate) drawn: DrawnSsrcs,
    /// Whether a packet may be sent again under its own number, where there is no RTX.
    pub(crate) repeats: bool,
    /// When audio of the peer comes.
    pub(crate) audio_rhythm: Rhythm,
    /// Video streams of the peer with a frame that waits for audio.
    pub(crate) held: Vec<u32>,
    pub(crate) report_armed: Option<u64>,
    /// Draws when its reports leave. Of each transport its own: what one does changes the windows of no
    /// other.
    pub(crate) moments: Random,
    pub(crate) estimator_armed: Option<u64>,
    pub(crate) arrivals: Option<Box<ArrivalLog>>,
    pub(crate) round_trip: Option<Duration>,
    /// Where the peer is: those with the same number may share a line.
    pub(crate) site: Option<u128>,
    /// Our wall clock less the peer's, as 32.32; one for all its streams, so that they stay in sync.
    pub(crate) clock_offset: Option<i64>,
    /// Whether the estimator was named by the driver; else the router chooses by what was negotiated.
    pub(crate) estimator_given: bool,
    /// The arrival model it was opened with; else that of the router's configuration is taken.
    pub(crate) arrival_model: Option<ArrivalModel>,
    /// Whether the feedback that was agreed to did not come, and reports are followed instead.
    pub(crate) lacks_feedback: bool,
    pub(crate) last_estimate: u64,
    pub(crate) tally: Tally,
    pub(crate) line: Box<LineWatch>,
    /// Where extended reports were agreed on.
    pub(crate) extended: Option<Box<Extended>>,
}

impl Transport {
    pub(crate) fn new(
        id: TransportId,
        params: TransportParams,
        max_bitrate: u64,
        local_ssrc: u32,
        moments: Random,
        estimator: Box<dyn BandwidthEstimator>,
    ) -> Self {
        Self {
            id,
            cname: params.rtcp_cname,
            max_bitrate: params.max_bitrate.unwrap_or(max_bitrate),
            reduced_size: params.reduced_size,
            mixed_extensions: params.mixed_extensions,
            ignore_audio_levels: params.ignore_audio_levels,
            reflections: params.reflections,
            writable: false,
            local_ssrc,
            conflict_until_us: None,
            producers: Vec::new(),
            consumers: Vec::new(),
            routes: FxHashMap::default(),
            own_ssrcs: FxHashMap::default(),
            drawn: DrawnSsrcs::new(local_ssrc),
            repeats: true,
            ready: Ready::default(),
            queued: false,
            audio_rhythm: Rhythm::default(),
            held: Vec::new(),
            messages: VecDeque::new(),
            report: Report::default(),
            report_armed: None,
            moments,
            estimator_armed: None,
            arrivals: None,
            next_sequence: 0,
            round_trip: None,
            site: None,
            clock_offset: None,
            tracks_packets: estimator.tracks_packets(),
            estimator_given: false,
            arrival_model: params.arrival_model,
            lacks_feedback: false,
            pacer: Pacer::default(),
            last_estimate: estimator.estimate().bps,
            tally: Tally::new(params.unlimited),
            estimator,
            line: Box::default(),
            extended: params.extended_reports.then(Box::default),
            stats: TransportStats::default(),
        }
    }

    /// When it reports next: within half an interval around the interval (RFC 3550 section 6.2).
    pub(crate) fn next_report(&mut self, now_us: u64, interval: Duration) -> u64 {
        let interval = interval.as_micros() as u64;
        now_us + interval / 2 + self.moments.next() % interval.max(1)
    }

    /// Queues a message; it is dropped and counted where too many wait.
    pub(crate) fn queue_message(&mut self, message: Message, limit: usize) {
        if self.messages.len() >= limit {
            self.stats.rtcp_overflow += 1;
            return;
        }
        self.messages.push_back(message);
    }

    /// Reads a word of each line that a burst reads, so that they are in the caches then.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        u64::from(self.next_sequence)
            ^ self.ready.video.len() as u64
            ^ u64::from(self.ready.at)
            ^ u64::from(self.pacer.has_held_back())
            ^ u64::from(self.report.due)
            ^ self.stats.bursts
            ^ self.estimator.touch()
    }

    /// Looks at the line from the peer.
    pub(crate) fn view_line(&mut self, now_us: u64) -> LineView {
        let limit = self.max_bitrate;
        self.line.look(now_us, limit)
    }

    /// Whether RTCP is to be written.
    pub(crate) fn has_rtcp(&self) -> bool {
        let report = &self.report;
        !self.messages.is_empty()
            || report.due
            || report.feedback_due
            || report.remb_due
            || !report.consumers.is_empty()
            || !report.streams.is_empty()
    }

    /// Notes the distance of the peer's wall clock from ours. Small changes are smoothed: network
    /// jitter moves it, and all streams of the peer must move together.
    pub(crate) fn note_clock(&mut self, ours: u64, theirs: u64) {
        const STEP: i64 = 1 << 31;
        let offset = ours.wrapping_sub(theirs).cast_signed();
        self.clock_offset = Some(match self.clock_offset {
            Some(known) if (offset.wrapping_sub(known)).abs() < STEP => {
                known.wrapping_add(offset.wrapping_sub(known) / 64)
            }
            _ => offset,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{DrawnSsrcs, Transport};
    use crate::consumer::Consumer;

    #[test]
    fn no_ssrc_is_drawn_twice_and_each_is_known_as_drawn() {
        let mut drawn = DrawnSsrcs::new(0xdead_beef);
        let mut seen = std::collections::HashSet::from([0xdead_beef]);
        for _ in 0..20_000 {
            let ahead = drawn;
            let ssrc = drawn.draw();
            assert!(!ahead.contains(ssrc) && drawn.contains(ssrc));
            assert!(seen.insert(ssrc));
        }
        assert!(seen.iter().all(|ssrc| drawn.contains(*ssrc)));
    }

    #[test]
    fn what_a_burst_reads_and_writes_lies_in_six_lines() {
        let end = std::mem::offset_of!(Transport, stats) + 24;
        assert!(end <= 6 * 64, "{end}");
    }

    #[test]
    fn a_viewer_of_one_track_pair_costs_a_few_kilobytes() {
        // A transport and two consumers; their lists grow by what is really sent.
        let bytes = size_of::<Transport>() + 2 * size_of::<Consumer>();
        println!(
            "{} + 2 * {} bytes",
            size_of::<Transport>(),
            size_of::<Consumer>()
        );
        assert!(bytes < 4_096, "{bytes}");
    }
}
