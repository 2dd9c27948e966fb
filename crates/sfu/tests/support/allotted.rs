//! Publishers of simulcast and viewers whose lines are what a test says.
#![allow(dead_code, unreachable_pub)] // Each suite uses its part.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_sfu::*;

use crate::support::*;

pub const OTHER: ProducerId = ProducerId(12);
pub const OTHER_OUT: ConsumerId = ConsumerId(22);
/// The model source: 150, 500 and 1,700 kbit/s at 30 pictures a second.
pub const MODEL: [u32; 3] = [150, 500, 1_700];
/// Encodings and their SSRCs.
pub const FIRST: [u32; 3] = [1_000, 1_010, 1_020];
pub const SECOND: [u32; 3] = [2_000, 2_010, 2_020];

/// An estimator that believes what it is told; 0: it has not heard anything.
#[derive(Debug)]
pub struct Told {
    pub bps: Arc<AtomicU64>,
    pub paces: bool,
    pub wanted: Arc<AtomicU64>,
    pub next: Instant,
}

impl BandwidthEstimator for Told {
    fn estimate(&self) -> Estimate {
        let bps = self.bps.load(Ordering::Relaxed);
        Estimate {
            bps,
            pacing_bps: self.paces.then_some(bps),
            confirmed: bps > 0,
            at_least: false,
            state: LineState::Normal,
        }
    }

    fn tracks_packets(&self) -> bool {
        true
    }

    fn set_wanted(&mut self, bps: u64, _now: Instant) {
        self.wanted.store(bps, Ordering::Relaxed);
    }

    fn next_timeout(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.next = now + Duration::from_millis(50);
    }
}

/// One encoding of a publisher that answers keyframe requests.
pub struct Encoding {
    pub ssrc: u32,
    pub kbps: u32,
    pub sequence: u16,
    pub key: bool,
    pub on: bool,
}

pub struct Scene {
    pub rig: Rig,
    pub encodings: Vec<Encoding>,
    pub audio: Option<u16>,
    pub bps: Arc<AtomicU64>,
    pub wanted: Arc<AtomicU64>,
    pub frames: u32,
    /// Keyframe requests by SSRC.
    pub requests: Vec<u32>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(RouterConfig::default(), false)
    }

    pub fn with(config: RouterConfig, paces: bool) -> Self {
        let mut rig = Rig::with(config);
        let (bps, wanted) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let told = Told {
            bps: bps.clone(),
            paces,
            wanted: wanted.clone(),
            next: rig.now,
        };
        rig.router
            .set_estimator(SUBSCRIBER, Box::new(told), rig.now)
            .unwrap();
        Self {
            rig,
            encodings: vec![],
            audio: None,
            bps,
            wanted,
            frames: 0,
            requests: vec![],
        }
    }

    /// With one track of three encodings, and its viewer.
    pub fn simulcast() -> Self {
        let mut scene = Self::new();
        scene.publish(VIDEO, &FIRST, &MODEL);
        scene.rig.consume_video(VIDEO_OUT, Some(VIDEO));
        scene
    }

    pub fn publish(&mut self, id: ProducerId, ssrcs: &[u32], kbps: &[u32]) {
        let mut params = video_params(&ssrcs.iter().copied().map(Some).collect::<Vec<_>>());
        params.mid = Some(id.0.to_string());
        self.rig
            .router
            .produce(PUBLISHER, id, params, self.rig.now)
            .unwrap();
        for (ssrc, kbps) in ssrcs.iter().zip(kbps) {
            self.encodings.push(Encoding {
                ssrc: *ssrc,
                kbps: *kbps,
                sequence: 1,
                key: true,
                on: true,
            });
        }
    }

    pub fn line(&mut self, kbps: u64) {
        self.bps.store(kbps * 1_000, Ordering::Relaxed);
    }

    /// A picture of each encoding, and what comes until the next one.
    pub fn picture(&mut self) {
        let timestamp = self.frames * 3_000;
        for at in 0..self.encodings.len() {
            let encoding = &mut self.encodings[at];
            if !encoding.on {
                continue;
            }
            let bytes = encoding.kbps as usize * 1_000 / 8 / 30;
            let count = bytes.div_ceil(1_100);
            for part in 0..count {
                let (first, last) = (part == 0, part + 1 == count);
                let mut packet = vp8(
                    encoding.sequence,
                    timestamp,
                    first,
                    encoding.key,
                    last,
                    bytes / count - 12,
                );
                packet.ssrc = encoding.ssrc;
                encoding.sequence = encoding.sequence.wrapping_add(1);
                self.rig
                    .router
                    .handle_rtp(PUBLISHER, &packet.bytes(), self.rig.now)
                    .unwrap();
            }
            encoding.key = false;
            self.rig.drain();
        }
        if let Some(sequence) = &mut self.audio {
            *sequence += 1;
            let packet = opus(*sequence, self.frames * 1_600, 127);
            self.rig.rtp(&packet.bytes()).unwrap();
        }
        self.frames += 1;
        self.rig.pass(Duration::from_micros(33_333));
        for compound in self.rig.control(PUBLISHER) {
            for packet in parse_compound(&compound).filter_map(Result::ok) {
                if let RtcpPacket::Pli(pli) = packet {
                    self.requests.push(pli.media_ssrc);
                    for encoding in &mut self.encodings {
                        encoding.key |= encoding.ssrc == pli.media_ssrc;
                    }
                }
            }
        }
    }

    pub fn pictures(&mut self, count: usize) {
        for _ in 0..count {
            self.picture();
        }
    }

    pub fn seconds(&mut self, seconds: usize) {
        self.pictures(seconds * 30);
    }

    pub fn stats(&self, id: ConsumerId) -> ConsumerStats {
        self.rig.router.consumer_stats(id).unwrap()
    }

    pub fn current(&self, id: ConsumerId) -> Option<u8> {
        self.stats(id).layers.current_spatial
    }

    /// Takes the events about allocation so far.
    pub fn events(&mut self) -> Vec<RouterEvent> {
        let told = |event: &RouterEvent| {
            matches!(
                event,
                RouterEvent::LayersTargeted { .. }
                    | RouterEvent::ConsumerStarved { .. }
                    | RouterEvent::ConsumerFed { .. }
                    | RouterEvent::EncodingsWanted { .. }
            )
        };
        let events = std::mem::take(&mut self.rig.events);
        events.into_iter().filter(told).collect()
    }
}

pub fn targeted(consumer: ConsumerId, spatial: u8) -> RouterEvent {
    RouterEvent::LayersTargeted {
        consumer,
        spatial: Some(spatial),
        temporal: None,
    }
}
