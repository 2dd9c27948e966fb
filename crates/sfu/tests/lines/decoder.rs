//! What a decoder behind a jitter buffer shows: a picture as soon as it is whole and all that it
//! refers to was shown; older ones are not shown any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use roomtone_rtp::TimestampUnwrapper;

use super::publisher::Truth;

/// Pictures that wait, at most; the oldest go.
const WAITING: usize = 300;
/// Shown pictures that may be referred to.
const REMEMBERED: usize = 200;

#[derive(Debug)]
struct Picture {
    truth: Truth,
    have: BTreeSet<u16>,
    id: Option<u16>,
    first_sequence: u64,
    last_sequence: u64,
    known_broken: bool,
}

/// The model of a decoder.
#[derive(Debug, Default)]
pub struct Decoder {
    timestamps: TimestampUnwrapper,
    waiting: BTreeMap<u64, Picture>,
    shown: VecDeque<(u8, u32)>,
    /// Pictures of which anything came.
    seen: VecDeque<(u8, u32)>,
    last_timestamp: u64,
    last_picture_id: Option<u16>,
    pub last_shown: Option<Instant>,
    /// The encoding and temporal layer shown last.
    pub layer: Option<(u8, u8)>,
    pub pictures: u64,
    pub keyframes: u64,
    /// Where the last keyframe shown began: what came before it need not be asked for.
    pub keyframe_began: u64,
    /// Whole pictures, with all packets before them there, that refer to what was never sent.
    pub broken: u64,
    /// Pictures whose id did not go on from the one before.
    pub picture_breaks: u64,
}

impl Decoder {
    /// A media packet arrives.
    pub fn packet(
        &mut self,
        (sequence, timestamp): (u64, u32),
        truth: Truth,
        picture_id: Option<u16>,
        now: Instant,
    ) {
        let at = self.timestamps.unwrap(timestamp);
        let name = (truth.encoding, truth.picture);
        if !self.seen.contains(&name) {
            self.seen.push_back(name);
            if self.seen.len() > REMEMBERED {
                self.seen.pop_front();
            }
        }
        if at <= self.last_timestamp {
            return;
        }
        let picture = self.waiting.entry(at).or_insert_with(|| Picture {
            truth,
            have: BTreeSet::new(),
            id: picture_id,
            first_sequence: sequence,
            last_sequence: sequence,
            known_broken: false,
        });
        picture.have.insert(truth.index);
        picture.first_sequence = picture.first_sequence.min(sequence);
        picture.last_sequence = picture.last_sequence.max(sequence);
        if self.waiting.len() > WAITING {
            self.waiting.pop_first();
        }
        self.show(now);
    }

    fn show(&mut self, now: Instant) {
        while let Some(at) = self.next_shown() {
            let picture = self.waiting.remove(&at).expect("it was found");
            self.waiting = self.waiting.split_off(&at);
            self.last_timestamp = at;
            let truth = picture.truth;
            if let (Some(last), Some(this)) = (self.last_picture_id, picture.id) {
                let step = this.wrapping_sub(last) & 0x7fff;
                // Pictures may be missing; what comes must come later, and not by half the space.
                self.picture_breaks += u64::from(step == 0 || step > 0x3fff);
            }
            self.last_picture_id = picture.id;
            self.layer = Some((truth.encoding, truth.temporal));
            self.last_shown = Some(now);
            self.pictures += 1;
            if truth.key {
                self.keyframes += 1;
                self.keyframe_began = picture.first_sequence;
            }
            self.shown.push_back((truth.encoding, truth.picture));
            if self.shown.len() > REMEMBERED {
                self.shown.pop_front();
            }
        }
    }

    fn next_shown(&self) -> Option<u64> {
        let ready = |picture: &Picture| picture.is_whole() && self.has_references(&picture.truth);
        let mut all = self.waiting.iter();
        all.find(|(_, picture)| ready(picture)).map(|(at, _)| *at)
    }

    fn has_references(&self, truth: &Truth) -> bool {
        let shown =
            |picture: &u32| *picture == 0 || self.shown.contains(&(truth.encoding, *picture));
        truth.key || truth.references.iter().all(shown)
    }

    /// Notes whole pictures of whose references nothing was sent: up to `contiguous`, no sequence
    /// number is missing.
    pub fn look_for_broken(&mut self, contiguous: u64) {
        for picture in self.waiting.values_mut() {
            let truth = picture.truth;
            let seen = |reference: &u32| {
                *reference == 0 || self.seen.contains(&(truth.encoding, *reference))
            };
            if picture.is_whole()
                && !picture.known_broken
                && !truth.key
                && picture.last_sequence <= contiguous
                && !truth.references.iter().all(seen)
            {
                picture.known_broken = true;
                self.broken += 1;
            }
        }
    }

    /// Whether pictures wait that cannot be shown.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Picture {
    fn is_whole(&self) -> bool {
        self.have.len() == usize::from(self.truth.count)
    }
}
