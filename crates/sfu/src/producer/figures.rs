//! What a received stream knows of itself: counts, rates, scores.

use super::rates::LayerCost;
use super::reception::Reception;
use super::stream::Stream;
use crate::quality::watch::LossCounts;
use crate::{InboundStreamStats, StreamDump};

impl Stream {
    /// What came of the packets so far. What is still being asked for counts neither way; what was
    /// found in the redundancy of others is not lost.
    pub(crate) fn loss_counts(&self) -> LossCounts {
        let pending = self.nacks.len() as u64;
        let recovered = self.watch.recovered(self.counters.packets_recovered);
        let missing = self.reception.lost().max(0) as u64;
        LossCounts {
            expected: self.reception.expected().saturating_sub(pending),
            lost: missing.saturating_sub(pending + recovered),
            pending,
        }
    }

    /// Packets given up so far.
    pub(crate) fn given_up(&self) -> u64 {
        self.counters.packets_given_up
    }

    /// Keyframe descriptors and the like that could not be read so far.
    pub(crate) fn descriptor_errors(&self) -> u64 {
        self.counters.descriptor_errors
    }

    /// Jitter in milliseconds.
    pub(crate) fn jitter_ms(&self) -> f64 {
        f64::from(self.reception.jitter()) * 1_000.0 / f64::from(self.clock_rate.max(1))
    }

    /// The payload type of the newest packet.
    pub(crate) fn payload_type(&self) -> u8 {
        self.counters.payload_type
    }

    pub(crate) fn reception(&self) -> &Reception {
        &self.reception
    }

    pub(crate) fn reception_mut(&mut self) -> &mut Reception {
        &mut self.reception
    }

    pub(crate) fn counters_mut(&mut self) -> &mut InboundStreamStats {
        &mut self.counters
    }

    /// Whether a keyframe request ever went out.
    pub(crate) fn was_asked(&self) -> bool {
        self.counters.pli_count + self.counters.fir_count > 0
    }

    /// Packets received.
    pub(crate) fn received(&self) -> u64 {
        self.reception.received()
    }

    /// Bits per second in the last window.
    pub(crate) fn bitrate(&self) -> u64 {
        self.reception.bitrate
    }

    /// Whether anything was ever received.
    pub(crate) fn has_received(&self) -> bool {
        self.reception.received() > 0
    }

    pub(crate) fn score(&self) -> u8 {
        self.score
    }

    /// What its layers cost, by spatial and then temporal layer: each with all that its viewers
    /// need. Empty until something is known.
    pub(crate) fn layer_rates(&self, now_us: u64) -> impl Iterator<Item = LayerCost> + use<> {
        self.rates.costs(now_us)
    }

    /// Closes a second: bitrate and score; says whether the score changed. What was repaired counts
    /// as received; a stream that needs many repairs is not perfect, though.
    pub(crate) fn close_window(&mut self, now_us: u64) -> bool {
        let received = self.reception.close_window(now_us);
        self.rates.close_window(now_us);
        let score = if self.active { received / 10 } else { 0 };
        let changed = score != self.score;
        self.score = score;
        changed
    }

    pub(crate) fn stats(&self) -> InboundStreamStats {
        InboundStreamStats {
            ssrc: self.ssrc,
            rid: self.rid().map(Into::into),
            packets_received: self.reception.received(),
            packets_lost: self.reception.lost(),
            fraction_lost: self.reception.fraction_lost,
            jitter: f64::from(self.reception.jitter()) / f64::from(self.clock_rate.max(1)),
            bitrate: self.reception.bitrate,
            score: self.score,
            fraction_missing: self.watch.loss(),
            frames_per_second: self.watch.frame_rate(),
            freeze_count: self.watch.freezes(),
            quality: self.watch.gauge.quality(),
            feedback_suppressed: self.watch.suppressed,
            frames_received: self.counters.frames_received + self.frames.pictures(),
            ..self.counters.clone()
        }
    }

    pub(crate) fn dump(&self) -> StreamDump {
        StreamDump {
            ssrc: self.ssrc,
            rid: self.rid().map(Into::into),
            rtx_ssrc: self.rtx_ssrc,
            active: self.active,
            history_packets: self.history.len(),
            history_bytes: self.history.bytes(),
            missing: self.nacks.len(),
            keyframe_pending: self.keyframes.next_due().is_some(),
            listeners: self.listeners.len(),
        }
    }
}
