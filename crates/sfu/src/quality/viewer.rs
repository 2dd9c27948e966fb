//! What is remembered of a subscriber's reports about one stream.

use roomtone_rtp::rtcp::VoipMetrics;
use roomtone_rtp::{Codec, MediaKind};

use super::emodel::{Hop, burst_ratio};
use super::gauge::{Gauge, Reading};
use super::video;
use super::watch::hear;

/// What a window is measured with besides the watch itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) kind: MediaKind,
    pub(crate) codec: Codec,
    /// Report blocks received, all told.
    pub(crate) reports: u64,
    /// Share lost as the last of them says, before what was sent again came.
    pub(crate) loss: f64,
    pub(crate) jitter_ms: f64,
    pub(crate) round_trip_ms: f64,
    /// Packets sent and sent again, all told.
    pub(crate) sent: u64,
    pub(crate) sent_again: u64,
    /// Requests for a keyframe, all told.
    pub(crate) complaints: u64,
    /// Nothing is forwarded until a keyframe comes.
    pub(crate) waiting: bool,
    pub(crate) layers_missed: f64,
    /// Missing packets and their runs by transport feedback.
    pub(crate) runs: (u64, u64),
    pub(crate) loaded: bool,
}

/// One subscriber's stream between two looks.
#[derive(Debug, Default)]
pub(crate) struct ViewerWatch {
    pub(crate) gauge: Gauge,
    /// Share missing after what was sent again.
    pub(crate) loss: f64,
    reports: u64,
    sent: u64,
    sent_again: u64,
    complaints: u64,
    waiting: bool,
    voip: Option<Voip>,
}

/// What the receiver measured itself (RFC 3611 section 4.7).
#[derive(Debug, Clone, Copy)]
struct Voip {
    discard: f64,
    buffer_ms: f64,
}

/// A viewer that asks for one keyframe in a window has seen a broken picture.
const COMPLAINT: f64 = 0.35;

impl ViewerWatch {
    /// Packets sent up to the last window.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The subscriber's own measurements came.
    pub(crate) fn on_voip_metrics(&mut self, metrics: &VoipMetrics) {
        self.voip = Some(Voip {
            discard: f64::from(metrics.discard_rate) / 256.0,
            buffer_ms: f64::from(metrics.jitter_buffer_nominal_ms),
        });
    }

    /// Closes a window; `None`: nothing new was reported, or nothing is sent.
    pub(crate) fn close(&mut self, reported: &Reported) -> Option<Reading> {
        let fresh = reported.reports != self.reports;
        let sent = reported.sent.saturating_sub(self.sent);
        let again = reported.sent_again.saturating_sub(self.sent_again);
        let complaints = reported.complaints.saturating_sub(self.complaints);
        // A subscriber that has just begun waits for a keyframe without anything being wrong.
        let stuck = reported.waiting && self.waiting && self.sent > 0;
        self.reports = reported.reports;
        self.sent = reported.sent;
        self.sent_again = reported.sent_again;
        self.complaints = reported.complaints;
        self.waiting = reported.waiting;
        if !stuck && (!fresh || sent == 0) {
            return None;
        }
        if sent > 0 {
            // What was sent again was lost with the same chance.
            let mended =
                again as f64 * (1.0 - reported.loss) / (sent - again.min(sent)).max(1) as f64;
            self.loss = (reported.loss - mended).max(0.0);
        }
        Some(match reported.kind {
            MediaKind::Audio => self.hear(reported),
            _ => self.see(reported, complaints, stuck),
        })
    }

    fn hear(&self, reported: &Reported) -> Reading {
        let voip = self.voip;
        let jitter_ms = voip.map_or(reported.jitter_ms, |voip| {
            reported.jitter_ms.max(voip.buffer_ms / 2.0)
        });
        let hop = Hop {
            loss: (self.loss + voip.map_or(0.0, |voip| voip.discard)).min(1.0),
            burst_ratio: burst_ratio(reported.runs.0, reported.runs.1, self.loss),
            round_trip_ms: reported.round_trip_ms,
            jitter_ms,
        };
        hear(reported.codec, &hop)
    }

    fn see(&self, reported: &Reported, complaints: u64, stuck: bool) -> Reading {
        let complained = if complaints > 0 { COMPLAINT } else { 0.0 };
        video::read(&video::Window {
            loss: self.loss,
            jitter_ms: reported.jitter_ms,
            frame_share: None,
            bitrate_share: None,
            frozen: 0.0,
            broken: if stuck { 0.9 } else { complained },
            layers_missed: reported.layers_missed,
            dry: false,
            loaded: reported.loaded,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Degradation;

    const FINE: Reported = Reported {
        kind: MediaKind::Video,
        codec: Codec::Vp8,
        reports: 1,
        loss: 0.0,
        jitter_ms: 5.0,
        round_trip_ms: 40.0,
        sent: 100,
        sent_again: 0,
        complaints: 0,
        waiting: false,
        layers_missed: 0.0,
        runs: (0, 0),
        loaded: false,
    };

    #[test]
    fn what_was_sent_again_is_not_missing() {
        let mut watch = ViewerWatch::default();
        let reading = watch
            .close(&Reported {
                loss: 0.08,
                sent: 110,
                sent_again: 10,
                ..FINE
            })
            .unwrap();
        assert!(watch.loss < 1e-9 && reading.score > 0.99, "{reading:?}");
        let lost = Reported {
            loss: 0.08,
            reports: 2,
            sent: 210,
            sent_again: 10,
            ..FINE
        };
        let reading = watch.close(&lost).unwrap();
        assert!((watch.loss - 0.08).abs() < 1e-9);
        assert_eq!(reading.degradation, Some(Degradation::Loss));
    }

    #[test]
    fn without_a_new_report_nothing_is_said_except_of_a_viewer_that_is_stuck() {
        let mut watch = ViewerWatch::default();
        let waiting = |reports, sent| Reported {
            waiting: true,
            reports,
            sent,
            ..FINE
        };
        assert_eq!(watch.close(&waiting(0, 0)), None, "it begins");
        assert_eq!(watch.close(&waiting(0, 0)), None);
        assert!(watch.close(&FINE).is_some());
        assert_eq!(watch.close(&FINE), None);
        assert_eq!(watch.close(&waiting(1, 100)), None, "a moment is no freeze");
        let stuck = watch.close(&waiting(1, 100)).unwrap();
        assert!((stuck.score - 0.1).abs() < 1e-9, "{stuck:?}");
        assert_eq!(stuck.degradation, Some(Degradation::Corruption));
    }

    #[test]
    fn a_listeners_own_measurements_count() {
        let audio = Reported {
            kind: MediaKind::Audio,
            codec: Codec::Opus,
            ..FINE
        };
        let mut watch = ViewerWatch::default();
        let good = watch.close(&audio).unwrap();
        watch.on_voip_metrics(&VoipMetrics {
            discard_rate: 13,
            jitter_buffer_nominal_ms: 200,
            ..VoipMetrics::default()
        });
        let bad = watch
            .close(&Reported {
                reports: 2,
                sent: 200,
                ..audio
            })
            .unwrap();
        assert!(
            good.mos.unwrap() > 4.3 && bad.mos.unwrap() < 3.4,
            "{good:?} {bad:?}"
        );
    }
}
