//! What is remembered of a received stream between two looks.

use roomtone_rtp::{Codec, MediaKind};

use super::emodel::{Hop, SpeechCodec, burst_ratio, opinion, rating};
use super::floor::Floor;
use super::gauge::{Gauge, Reading};
use super::policy::limits::StreamLimit;
use super::{Degradation, video};

/// What came of the packets of a stream, all told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LossCounts {
    /// Packets whose fate is known.
    pub(crate) expected: u64,
    /// Of those, missing for good.
    pub(crate) lost: u64,
    /// Packets still being asked for.
    pub(crate) pending: u64,
}

/// What a window is measured with besides the watch itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    pub(crate) kind: MediaKind,
    pub(crate) codec: Codec,
    pub(crate) now_us: u64,
    pub(crate) counts: LossCounts,
    pub(crate) clock_rate: u32,
    pub(crate) jitter_ms: f64,
    pub(crate) bitrate: u64,
    pub(crate) round_trip_ms: f64,
    pub(crate) descriptor_errors: u64,
    /// The line was loaded in the last window.
    pub(crate) loaded: bool,
    /// Nothing at all came from the peer.
    pub(crate) silent: bool,
}

/// Counters at the start of a window.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    at_us: u64,
    counts: LossCounts,
    missed: u64,
    reordered: u64,
    runs: u64,
    descriptor_errors: u64,
}

/// What one window showed of the line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Seen {
    /// Packets due.
    pub(crate) expected: u64,
    /// Of those, missing before any repair.
    pub(crate) missed: u64,
    /// Delay above the least of the last while; `None`: no frame came.
    pub(crate) queue_us: Option<u64>,
}

/// One received stream between two looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamWatch {
    pub(crate) gauge: Gauge,
    pub(crate) limit: StreamLimit,
    pub(crate) suppressed: u64,
    frames: u32,
    last_frame_us: u64,
    usual_gap_us: u64,
    frozen_us: u64,
    freezes: u64,
    transit_base: Option<i32>,
    least_transit: i32,
    transits: Floor,
    missed: u64,
    reordered: u64,
    runs: u64,
    recovered_in_vain: u64,
    /// Counts at the last full look and at the one before: the policy looks at what came since the
    /// latter, so that it always has a second of packets at least.
    bases: [LossCounts; 2],
    /// Packets lost before the last keyframe, or missing then: their loss harms no more.
    excused: u64,
    mark: Mark,
    loss: f64,
    raw_loss: f64,
    frame_rate: f64,
    good_rate: f64,
    good_bitrate: f64,
}

/// Frames that are this far apart are not of one piece: it was paused.
const PAUSE_US: u64 = 5_000_000;
/// How much of a good second is forgotten in a window.
const FORGET: f64 = 0.98;
/// Packets a window must have for its loss to mean anything to people's ears.
const MIN_AUDIO_PACKETS: u64 = 5;

impl StreamWatch {
    /// Sound came, in order and by its first sending.
    #[inline]
    pub(crate) fn on_sound(&mut self, transit: i32) {
        self.frames += 1;
        let base = *self.transit_base.get_or_insert(transit);
        self.least_transit = self.least_transit.min(transit.wrapping_sub(base));
    }

    /// A picture begins, in order and by its first sending.
    #[inline]
    pub(crate) fn on_picture(&mut self, now_us: u64, transit: i32) {
        self.on_sound(transit);
        let gap = now_us.saturating_sub(self.last_frame_us);
        let known = self.last_frame_us != 0;
        self.last_frame_us = now_us;
        if !known || gap >= PAUSE_US {
            return;
        }
        if self.usual_gap_us != 0 && gap > self.freeze_us() {
            self.freezes += 1;
            self.frozen_us += gap - self.usual_gap_us;
        } else {
            // An average over eight frames, right from the first one.
            let usual = if self.usual_gap_us == 0 {
                gap
            } else {
                self.usual_gap_us
            };
            self.usual_gap_us = (usual * 7 + gap) / 8;
        }
    }

    /// A gap longer than this is a freeze (W3C webrtc-stats, `freezeCount`).
    fn freeze_us(&self) -> u64 {
        (3 * self.usual_gap_us).max(self.usual_gap_us + 150_000)
    }

    /// Packets are missing.
    pub(crate) fn on_gap(&mut self, missing: u16) {
        self.missed += u64::from(missing);
        self.runs += 1;
    }

    /// One of them was only late.
    pub(crate) fn on_reordered(&mut self) {
        self.reordered += 1;
    }

    /// A packet came after it had been recovered from others.
    pub(crate) fn on_recovered_in_vain(&mut self) {
        self.recovered_in_vain += 1;
    }

    /// Packets that were never received, but recovered from others.
    pub(crate) fn recovered(&self, recovered: u64) -> u64 {
        recovered.saturating_sub(self.recovered_in_vain)
    }

    /// A keyframe came.
    pub(crate) fn on_keyframe(&mut self, counts: LossCounts) {
        self.excused = counts.lost + counts.pending;
    }

    /// Packets accounted for in the last second or two, and those of them lost for good since the
    /// last keyframe.
    pub(crate) fn since_base(&self, counts: LossCounts) -> (u64, u64) {
        let base = self.bases[0];
        let expected = counts.expected.saturating_sub(base.expected);
        let lost = counts.lost.saturating_sub(base.lost.max(self.excused));
        (expected, lost.min(expected))
    }

    /// A full look was taken. What was seen up to now is forgotten with the next one, where there
    /// are enough packets to judge by.
    pub(crate) fn rebase(&mut self, counts: LossCounts, min_packets: u32) {
        let since = counts.expected.saturating_sub(self.bases[1].expected);
        if since >= u64::from(min_packets) {
            self.bases = [self.bases[1], counts];
        }
    }

    pub(crate) fn loss(&self) -> f64 {
        self.loss
    }

    /// Share missing before any repair.
    pub(crate) fn raw_loss(&self) -> f64 {
        self.raw_loss
    }

    pub(crate) fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    pub(crate) fn freezes(&self) -> u64 {
        self.freezes
    }

    /// Closes a window of a stream that flows; gives what it showed and its reading, where there is
    /// one.
    pub(crate) fn close(&mut self, closing: &Closing) -> (Seen, Option<Reading>) {
        let elapsed_us = closing.now_us.saturating_sub(self.mark.at_us).max(1);
        let first = self.mark.at_us == 0;
        let expected = closing
            .counts
            .expected
            .saturating_sub(self.mark.counts.expected);
        let lost = closing.counts.lost.saturating_sub(self.mark.counts.lost);
        let missed =
            (self.missed - self.mark.missed).saturating_sub(self.reordered - self.mark.reordered);
        let seen = Seen {
            expected,
            missed: missed.min(expected),
            queue_us: self.take_queue(closing.clock_rate),
        };
        self.loss = share(lost, expected);
        self.raw_loss = share(seen.missed, expected);
        let reading = match closing.kind {
            MediaKind::Audio => self.read_audio(closing, expected),
            // A publisher may well send no picture for a second.
            MediaKind::Video if expected == 0 && !closing.silent => None,
            MediaKind::Video if !first => Some(self.read_video(closing, elapsed_us, expected)),
            _ => None,
        };
        self.frame_rate = f64::from(self.frames) * 1e6 / elapsed_us as f64;
        self.good_rate = self.frame_rate.max(self.good_rate * FORGET);
        self.good_bitrate = (closing.bitrate as f64).max(self.good_bitrate * FORGET);
        self.frames = 0;
        self.frozen_us = 0;
        self.mark = Mark {
            at_us: closing.now_us,
            counts: closing.counts,
            missed: self.missed,
            reordered: self.reordered,
            runs: self.runs,
            descriptor_errors: closing.descriptor_errors,
        };
        (seen, reading)
    }

    /// The stream is silent or paused: what was usual before says nothing about after.
    pub(crate) fn rest(&mut self, now_us: u64, counts: LossCounts) {
        self.frames = 0;
        self.frozen_us = 0;
        self.last_frame_us = 0;
        self.frame_rate = 0.0;
        self.loss = 0.0;
        self.raw_loss = 0.0;
        self.good_rate = 0.0;
        self.good_bitrate = 0.0;
        self.transit_base = None;
        self.least_transit = i32::MAX;
        self.transits.clear();
        self.bases = [counts; 2];
        self.mark.at_us = now_us;
        self.mark.counts = counts;
        self.mark.missed = self.missed;
        self.mark.reordered = self.reordered;
        self.mark.runs = self.runs;
    }

    fn take_queue(&mut self, clock_rate: u32) -> Option<u64> {
        if self.frames == 0 {
            return None;
        }
        let least = std::mem::replace(&mut self.least_transit, i32::MAX);
        let above = self.transits.above(i64::from(least));
        let us = above * 1_000_000 / i64::from(clock_rate.max(1));
        if us >= PAUSE_US as i64 {
            // A clock that was set, not a queue.
            self.transits.clear();
            return None;
        }
        Some(us.max(0) as u64)
    }

    fn read_audio(&self, closing: &Closing, expected: u64) -> Option<Reading> {
        if expected < MIN_AUDIO_PACKETS {
            // Silence that is not sent.
            return None;
        }
        let hop = Hop {
            loss: self.loss,
            burst_ratio: burst_ratio(
                self.missed - self.mark.missed,
                self.runs - self.mark.runs,
                self.loss,
            ),
            round_trip_ms: closing.round_trip_ms,
            jitter_ms: closing.jitter_ms,
        };
        Some(hear(closing.codec, &hop))
    }

    fn read_video(&self, closing: &Closing, elapsed_us: u64, expected: u64) -> Reading {
        let rate = f64::from(self.frames) * 1e6 / elapsed_us as f64;
        let part = |now: f64, good: f64| (good > 0.0).then(|| (now / good).min(1.0));
        let since = closing.now_us.saturating_sub(self.last_frame_us);
        let standing = self.usual_gap_us != 0 && since > self.freeze_us();
        let frozen = self.frozen_us + if standing { since } else { 0 };
        let errors = closing.descriptor_errors - self.mark.descriptor_errors;
        video::read(&video::Window {
            loss: self.loss,
            jitter_ms: closing.jitter_ms,
            frame_share: part(rate, self.good_rate),
            bitrate_share: part(closing.bitrate as f64, self.good_bitrate),
            frozen: frozen as f64 / elapsed_us as f64,
            broken: share(errors, expected),
            layers_missed: 0.0,
            dry: expected == 0,
            loaded: closing.loaded,
        })
    }
}

/// What a hop makes of a codec.
pub(crate) fn hear(codec: Codec, hop: &Hop) -> Reading {
    let rated = |hop: &Hop| rating(&SpeechCodec::of(codec), hop);
    let score = rated(hop) / 100.0;
    // What it would be without the one and without the other.
    let whole = rated(&Hop { loss: 0.0, ..*hop }) / 100.0;
    let even = rated(&Hop {
        jitter_ms: 0.0,
        ..*hop
    }) / 100.0;
    let degradation = if score >= 0.85 {
        None
    } else if whole - score >= even - score && whole > score {
        Some(Degradation::Loss)
    } else if even > score {
        Some(Degradation::Jitter)
    } else {
        Some(Degradation::Bandwidth)
    };
    Reading {
        score,
        mos: Some(opinion(rated(hop))),
        degradation,
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64).min(1.0)
}
