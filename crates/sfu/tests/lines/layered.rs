//! A camera that publishes full SVC by dependency descriptor, and what a browser shows of it.
//!
//! Receivers show a picture when its last layer has come and all that this needs, in its own picture and in earlier
//! ones, was shown (libwebrtc's `api/video/frame_buffer.cc`): a lower layer that is there alone is not decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use roomtone_netem::Random;
use roomtone_rtp::TimestampUnwrapper;

#[path = "../decoder/structure.rs"]
pub mod structure;
#[path = "../decoder/wire.rs"]
pub mod wire;

use structure::{Encoder, Mode};
use wire::{Format, Truth, Writer};

/// What each spatial layer adds, in bits per second: 1 Mbit/s as libwebrtc divides it (each layer 0.55 of the next,
/// `svc_rate_allocator.cc`).
pub const RATES: [u64; 3] = [163_000, 297_000, 540_000];
pub const DESCRIPTOR_ID: u8 = 5;
const PAYLOAD: usize = 1_100;
/// A keyframe is so many times the mean: what Chromium's AV1 made of a test card, 4.2, rounded.
const KEYFRAME: f64 = 4.0;
/// What the pictures of one round of temporal layers weigh.
const WEIGHTS: [f64; 4] = [1.6, 0.6, 1.2, 0.6];
const PICTURES_PER_SECOND: f64 = 30.0;
/// Frames decoded that are remembered.
const REMEMBERED: usize = 300;

/// A payload with its descriptor, and whether it ends the picture.
pub struct Packet {
    pub payload: Vec<u8>,
    pub descriptor: Vec<u8>,
    pub marker: bool,
}

/// The encoder.
#[derive(Debug)]
pub struct Layered {
    encoder: Encoder,
    writer: Writer,
}

impl Layered {
    pub fn new(salt: u64) -> Self {
        let mode = Mode::full(RATES.len() as u8, 3);
        Self {
            encoder: Encoder::new(mode),
            writer: Writer::new(Format::Described, mode, salt),
        }
    }

    /// The packets of the next picture.
    pub fn picture(&mut self, key: bool, random: &mut Random) -> Vec<Packet> {
        let turn = if key { 0 } else { self.encoder.turn() };
        let layers = self.encoder.picture(key);
        self.writer.next_picture(&layers);
        let mut out = vec![];
        for layer in &layers {
            let mean = RATES[usize::from(layer.spatial)] as f64 / 8.0 / PICTURES_PER_SECOND;
            let weight = if key { KEYFRAME } else { WEIGHTS[turn] };
            let bytes = (mean * weight * (0.85 + 0.3 * random.unit())) as usize;
            let count = bytes.div_ceil(PAYLOAD).max(1);
            let mut references = [0; 2];
            for (slot, number) in references.iter_mut().zip(layer.references()) {
                *slot = number;
            }
            for index in 0..count {
                let truth = Truth {
                    encoding: 0,
                    spatial: layer.spatial,
                    temporal: layer.temporal,
                    key: layer.key,
                    frame: layer.number,
                    references,
                    index: index as u8,
                    count: count as u8,
                    taken_ms: 0,
                };
                let written = self
                    .writer
                    .packet(&self.encoder, layer, turn, &truth, bytes / count);
                out.push(Packet {
                    payload: written.payload,
                    descriptor: written.descriptor.expect("it is described"),
                    marker: index + 1 == count && layer.spatial + 1 == self.encoder.mode.spatial,
                });
            }
        }
        out
    }
}

#[derive(Debug)]
struct Frame {
    truth: Truth,
    have: BTreeSet<u8>,
    /// It ends its picture.
    last: bool,
}

/// What is shown.
#[derive(Debug, Default)]
pub struct Screen {
    timestamps: TimestampUnwrapper,
    waiting: BTreeMap<u64, BTreeMap<u32, Frame>>,
    decoded: BTreeSet<u32>,
    last: u64,
    pub pictures: u64,
    pub keyframes: u64,
    pub last_shown: Option<Instant>,
    /// The spatial layer shown last.
    pub spatial: Option<u8>,
}

impl Screen {
    /// A packet arrives; says how many pictures are shown for it, and whether one of them is a keyframe.
    pub fn packet(
        &mut self,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        now: Instant,
    ) -> (u64, bool) {
        let (before, keyframes) = (self.pictures, self.keyframes);
        let at = self.timestamps.unwrap(timestamp);
        if at > self.last {
            let truth = Truth::read(payload);
            let picture = self.waiting.entry(at).or_default();
            let frame = picture.entry(truth.frame).or_insert_with(|| Frame {
                truth,
                have: BTreeSet::new(),
                last: false,
            });
            frame.have.insert(truth.index);
            frame.last |= marker;
            while let Some((at, frames)) = self.next_shown() {
                self.show(at, &frames, now);
            }
        }
        (self.pictures - before, self.keyframes > keyframes)
    }

    /// Whether pictures wait that cannot be shown.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn next_shown(&self) -> Option<(u64, Vec<u32>)> {
        let mut all = self.waiting.iter();
        all.find_map(|(at, picture)| Some((*at, self.decodable(picture)?)))
    }

    /// The frames that showing a picture takes, if all of them can be decoded.
    fn decodable(&self, picture: &BTreeMap<u32, Frame>) -> Option<Vec<u32>> {
        let last = picture.values().find(|frame| frame.last)?;
        let (mut needed, mut frames) = (vec![last.truth.frame], vec![]);
        while let Some(number) = needed.pop() {
            let Some(frame) = picture.get(&number) else {
                if self.decoded.contains(&number) {
                    continue;
                }
                return None;
            };
            if frame.have.len() < usize::from(frame.truth.count) {
                return None;
            }
            frames.push(number);
            let references = frame.truth.references;
            needed.extend(references.into_iter().filter(|number| *number != 0));
        }
        Some(frames)
    }

    fn show(&mut self, at: u64, frames: &[u32], now: Instant) {
        let picture = self.waiting.remove(&at).expect("it was found");
        self.waiting = self.waiting.split_off(&at);
        self.last = at;
        self.pictures += 1;
        self.keyframes += u64::from(picture[&frames[0]].truth.key);
        self.spatial = Some(picture[&frames[0]].truth.spatial);
        self.last_shown = Some(now);
        self.decoded.extend(frames);
        while self.decoded.len() > REMEMBERED {
            self.decoded.pop_first();
        }
    }
}
