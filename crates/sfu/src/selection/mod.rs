//! Which frames of one stream a viewer is given.
//!
//! One rule is above all others: a frame is forwarded only if what it refers to was. What a viewer
//! should have is a spatial and a temporal layer; the way there follows from the rule. Down is
//! where the lower layer can be decoded with what was forwarded: at the next picture, or where
//! spatial layers are predicted from each other at keyframes only (K-SVC) at a keyframe. Up in
//! temporal layers is at the first frame that refers to forwarded ones (VP8 Y, VP9 U, a switch
//! indication); up in spatial layers likewise, which mostly is a keyframe. Frames that are not
//! needed for the layer shown are left out, whole.
//!
//! A decision is made once for a frame, and as far as a picture has come for all its spatial layers
//! at once, so that it is known which of them is the last and bears the marker.

mod fates;
#[cfg(test)]
mod tests;

use crate::producer::{Frame, Frames, MAX_SPATIAL, WINDOW};
use fates::Fates;

/// A frame that is needed and missing for so long will not come.
const PATIENCE_US: u64 = 500_000;
/// Least time between two wishes of one viewer that nothing came of.
const WISH_INTERVAL_US: u64 = 1_000_000;
/// So many pictures without the spatial layer shown: it is not sent any more.
const ABSENCES: u8 = 5;

/// A spatial and a temporal layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
}

/// What is to be done with a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) forward: bool,
    /// Its last packet is the last of the picture for this viewer.
    pub(crate) marks: bool,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing is decided yet.
    Open,
    Forwarded,
    LeftOut,
    /// It is too long ago.
    Forgotten,
}

/// Whether what a frame refers to was forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fine,
    /// Some of it has not come, or not yet.
    Missing(u32),
    /// Some of it was left out.
    Broken,
}

/// The choice of frames for one viewer. What a plain stream reads for each frame comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Selector {
    /// The frame decided last.
    frame: u32,
    /// The newest frame decided.
    newest: u32,
    verdict: Verdict,
    /// A frame that is needed and has not come, and since when.
    missing: Option<(u32, u64)>,
    wish: bool,
    moved: bool,
    absences: u8,
    current: Layer,
    wanted: Layer,
    /// The highest spatial layer wanted that flows.
    ceiling: u8,
    /// The spatial layer whose last packet bears the marker in the picture under way.
    top: u8,
    /// Its timestamp.
    timestamp: Option<u32>,
    /// The frame that forwarding began with; older ones were not forwarded.
    floor: u32,
    wished_us: Option<u64>,
    fates: Fates,
}

impl Default for Selector {
    fn default() -> Self {
        let all = Layer {
            spatial: u8::MAX,
            temporal: u8::MAX,
        };
        Self {
            frame: u32::MAX,
            verdict: Verdict::default(),
            wish: false,
            moved: false,
            absences: 0,
            current: Layer {
                spatial: 0,
                temporal: 0,
            },
            wanted: all,
            ceiling: u8::MAX,
            top: 0,
            timestamp: None,
            floor: 0,
            newest: u32::MAX,
            missing: None,
            wished_us: None,
            fates: Fates::default(),
        }
    }
}

impl Selector {
    /// Where lies what each frame of a plain stream reads, but for its fate.
    #[cfg(test)]
    pub(crate) const HOT: (usize, usize) = (0, std::mem::offset_of!(Self, missing) + 8);

    /// Says what the viewer should have; `None`: the best there is.
    pub(crate) fn want(&mut self, spatial: Option<u8>, temporal: Option<u8>) {
        let wanted = Layer {
            spatial: spatial.unwrap_or(u8::MAX),
            temporal: temporal.unwrap_or(u8::MAX),
        };
        if wanted != self.wanted {
            self.wanted = wanted;
            self.wished_us = None;
        }
    }

    /// Forwarding begins with this frame: it refers to no other.
    pub(crate) fn begin(&mut self, number: u32) {
        let before = number.wrapping_sub(1);
        *self = Self {
            wanted: self.wanted,
            moved: self.moved,
            frame: before,
            newest: before,
            floor: number,
            ..Self::default()
        };
    }

    /// The frame decided last.
    #[inline]
    pub(crate) fn frame(&self) -> u32 {
        self.frame
    }

    /// What was decided about it.
    #[inline]
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The layers forwarded now.
    pub(crate) fn current(&self) -> Layer {
        self.current
    }

    /// Whether a keyframe is wished for, told once.
    pub(crate) fn take_wish(&mut self) -> bool {
        std::mem::take(&mut self.wish)
    }

    /// Whether the spatial layer changed, told once.
    pub(crate) fn take_move(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Whether a frame's last packet was given the marker.
    pub(crate) fn is_marked(&self, number: u32) -> bool {
        self.is_within(number) && self.fates.is_marked(number)
    }

    /// What was decided about a frame.
    pub(crate) fn fate(&self, number: u32) -> Fate {
        if !self.is_within(number) {
            Fate::Forgotten
        } else if !self.fates.is_decided(number) {
            Fate::Open
        } else if self.fates.is_forwarded(number) {
            Fate::Forwarded
        } else {
            Fate::LeftOut
        }
    }

    /// Leaves out a frame about which nothing is decided yet; says whether it did.
    pub(crate) fn leave_out(&mut self, number: u32) -> bool {
        self.advance(number);
        if !self.is_within(number) || self.fates.is_decided(number) {
            return false;
        }
        self.fates.decide(number, false);
        true
    }

    /// Leaves out the rest of the frame decided last.
    pub(crate) fn cut_short(&mut self) {
        if self.is_within(self.frame) {
            self.fates.cut(self.frame);
        }
        self.verdict = Verdict::default();
    }

    /// Decides in the plain case: the next frame of a stream without layers, which refers to the last
    /// one. Says whether it was that case.
    #[inline]
    pub(crate) fn follow(&mut self, frames: &Frames, number: u32) -> bool {
        let next = self.frame.wrapping_add(1);
        if number != next
            || self.newest != self.frame
            || !self.verdict.forward
            || self.missing.is_some()
            || !frames.get(number).is_some_and(|frame| frame.plain)
        {
            return false;
        }
        self.newest = number;
        self.frame = number;
        self.fates.follow(number);
        true
    }

    /// Decides about a frame when the first of its packets is met, and remembers it for the others.
    pub(crate) fn decide(&mut self, frames: &Frames, number: u32, now_us: u64) {
        self.verdict = self.look(frames, number, now_us);
        self.frame = number;
    }

    fn look(&mut self, frames: &Frames, number: u32, now_us: u64) -> Verdict {
        let newer = self.advance(number);
        if !self.is_within(number) {
            return Verdict::default();
        }
        if !self.fates.is_decided(number) {
            let Some(frame) = frames.get(number) else {
                // It has left the window before it was its turn.
                self.fates.decide(number, false);
                return Verdict::default();
            };
            if newer && Some(frame.timestamp) != self.timestamp {
                self.open_picture(frames, frame, now_us);
            } else {
                // The marker of its picture may be out: no way up in spatial layers here.
                self.ceiling = self.ceiling.min(self.current.spatial);
                self.settle(frames, frame, now_us);
                if frame.spatial == self.top && frames.is_layered() {
                    self.fates.mark(number);
                }
            }
        }
        Verdict {
            forward: self.fates.is_forwarded(number),
            marks: self.fates.is_marked(number),
        }
    }

    /// Makes room for a number; says whether it is newer than all before.
    fn advance(&mut self, number: u32) -> bool {
        let ahead = number.wrapping_sub(self.newest);
        let newer = ahead.cast_signed() > 0;
        if newer {
            self.fates.forget(self.newest.wrapping_add(1), ahead);
            self.newest = number;
        }
        newer
    }

    /// Whether the fate of a number is remembered.
    fn is_within(&self, number: u32) -> bool {
        number.wrapping_sub(self.floor).cast_signed() >= 0
            && self.newest.wrapping_sub(number) < WINDOW
    }

    /// The first frame of a picture.
    fn open_picture(&mut self, frames: &Frames, first: &Frame, now_us: u64) {
        self.timestamp = Some(first.timestamp);
        self.current.temporal = self.current.temporal.min(self.wanted.temporal);
        self.check_missing(now_us);
        if frames.is_layered() {
            self.plan(frames, first, now_us);
        } else {
            self.ceiling = 0;
            self.settle(frames, first, now_us);
        }
    }

    /// Decides about all frames of a picture that have come.
    fn plan(&mut self, frames: &Frames, first: &Frame, now_us: u64) {
        let before = self.current.spatial;
        let key = first.keyframe && first.spatial == 0;
        let flowing = if key {
            frames.announced_spatial(now_us)
        } else {
            frames.top_spatial(now_us)
        };
        let ceiling = self.wanted.spatial.min(flowing);
        self.ceiling = ceiling;
        if key {
            self.current.spatial = ceiling;
        } else if self.ceiling < before {
            self.step_down(frames, first, now_us);
        }
        let (mut complete, mut present, mut highest) = (false, 0, None);
        for frame in picture(frames, first) {
            self.advance(frame.number);
            if !self.fates.is_decided(frame.number) {
                self.settle(frames, frame, now_us);
            }
            complete |= frame.ends_picture;
            present = frame.spatial;
            if self.fates.is_forwarded(frame.number) {
                highest = Some(frame.spatial);
            }
        }
        if let Some(highest) = highest.filter(|_| complete && key) {
            self.current.spatial = highest;
        }
        self.top = highest.filter(|_| complete).unwrap_or(self.current.spatial);
        for frame in picture(frames, first).filter(|frame| frame.spatial == self.top) {
            self.fates.mark(frame.number);
        }
        self.note_absence(
            complete && first.leaf && present < self.current.spatial,
            present,
        );
        if self.current.spatial < ceiling && !key {
            self.wish_keyframe(now_us);
        }
        self.moved |= self.current.spatial != before;
    }

    /// A lower spatial layer is wanted, or is all there is.
    fn step_down(&mut self, frames: &Frames, first: &Frame, now_us: u64) {
        let lower = picture(frames, first).find(|frame| frame.spatial == self.ceiling);
        let decodable = match lower {
            // What it refers to in its own picture will be forwarded with it.
            Some(lower) => lower.references().iter().all(|distance| {
                let number = lower.number.wrapping_sub(u32::from(*distance));
                number.wrapping_sub(first.number).cast_signed() >= 0
                    || self.stands(number) == Standing::Fine
            }),
            // Where lower layers are forwarded all the time, so was that one.
            None => !first.leaf && first.spatial < self.ceiling,
        };
        if decodable {
            self.current.spatial = self.ceiling;
        } else {
            self.wish_keyframe(now_us);
        }
    }

    /// The spatial layer shown is not sent any more, and the lower ones were not forwarded.
    fn note_absence(&mut self, absent: bool, present: u8) {
        self.absences = if absent { self.absences + 1 } else { 0 };
        if self.absences >= ABSENCES {
            self.absences = 0;
            self.current.spatial = present;
        }
    }

    /// Decides about one frame.
    fn settle(&mut self, frames: &Frames, frame: &Frame, now_us: u64) {
        let forward = frame.temporal <= self.wanted.temporal && self.admits(frame, now_us);
        self.fates.decide(frame.number, forward);
        if forward {
            self.current.temporal = self.current.temporal.max(frame.temporal);
            if frame.structure != 0 && frame.temporal == 0 {
                self.follow_chain(frames, frame, now_us);
            }
        }
    }

    /// Whether a frame of a wanted temporal layer is forwarded.
    fn admits(&mut self, frame: &Frame, now_us: u64) -> bool {
        if frame.keyframe && frame.spatial == 0 {
            self.missing = None;
            return true;
        }
        let standing = self.standing(frame);
        if frame.spatial > self.current.spatial {
            let up = frame.spatial <= self.ceiling && standing == Standing::Fine;
            if up {
                self.current.spatial = frame.spatial;
            }
            return up;
        }
        if frame.spatial < self.current.spatial && frame.leaf {
            return false;
        }
        let raises = frame.temporal > self.current.temporal;
        match standing {
            Standing::Fine => true,
            Standing::Missing(_) if raises => false,
            Standing::Missing(number) => {
                if frame.temporal == 0 && self.missing.is_none() {
                    self.missing = Some((number, now_us));
                }
                true
            }
            Standing::Broken => {
                if frame.temporal == 0 {
                    self.on_broken(frame, now_us);
                }
                false
            }
        }
    }

    /// The lowest temporal layer of a spatial one cannot be decoded any more.
    fn on_broken(&mut self, frame: &Frame, now_us: u64) {
        if let Some(below) = frame.spatial.checked_sub(1) {
            self.current.spatial = self.current.spatial.min(below);
        }
        self.wish_keyframe(now_us);
    }

    fn standing(&self, frame: &Frame) -> Standing {
        let mut standing = Standing::Fine;
        for distance in frame.references() {
            match self.stands(frame.number.wrapping_sub(u32::from(*distance))) {
                Standing::Broken => return Standing::Broken,
                Standing::Missing(number) => standing = Standing::Missing(number),
                Standing::Fine => {}
            }
        }
        standing
    }

    /// Whether one frame was forwarded. Of those older than the window only the oldest layers are
    /// referred to, and these always were.
    fn stands(&self, number: u32) -> Standing {
        if number.wrapping_sub(self.floor).cast_signed() < 0 {
            Standing::Broken
        } else if self.newest.wrapping_sub(number) >= WINDOW || self.fates.is_forwarded(number) {
            Standing::Fine
        } else if self.fates.is_decided(number) {
            Standing::Broken
        } else {
            Standing::Missing(number)
        }
    }

    /// The chain of the spatial layer shown tells of lost frames that this one does not refer to.
    fn follow_chain(&mut self, frames: &Frames, frame: &Frame, now_us: u64) {
        let Some(structure) = frames.structure().filter(|_| {
            frame.structure == frames.version() && frame.spatial <= self.current.spatial
        }) else {
            return;
        };
        let targets = 0..usize::from(structure.decode_targets());
        let target = targets
            .rev()
            .find(|target| structure.layers_of(*target).map(|l| l.0) == Some(self.current.spatial));
        let chain = target.and_then(|target| structure.protected_by(target));
        let Some(distance) = chain
            .and_then(|chain| frame.chain(chain))
            .filter(|d| *d > 0)
        else {
            return;
        };
        match self.stands(frame.number.wrapping_sub(u32::from(distance))) {
            Standing::Fine => {}
            Standing::Missing(number) => {
                self.missing.get_or_insert((number, now_us));
            }
            Standing::Broken => self.wish_keyframe(now_us),
        }
    }

    /// What is missing too long does not come any more.
    fn check_missing(&mut self, now_us: u64) {
        let Some((number, since_us)) = self.missing else {
            return;
        };
        if !self.is_within(number) || self.fates.is_decided(number) {
            self.missing = None;
        } else if now_us.saturating_sub(since_us) >= PATIENCE_US {
            self.missing = None;
            self.wish_keyframe(now_us);
        }
    }

    fn wish_keyframe(&mut self, now_us: u64) {
        let lately = |wished: u64| now_us < wished + WISH_INTERVAL_US;
        if !self.wished_us.is_some_and(lately) {
            self.wished_us = Some(now_us);
            self.wish = true;
        }
    }
}

/// The frames of a picture that have come, from one of them on.
fn picture<'a>(frames: &'a Frames, first: &Frame) -> impl Iterator<Item = &'a Frame> + use<'a> {
    let (number, timestamp) = (first.number, first.timestamp);
    (0..MAX_SPATIAL as u32)
        .filter_map(move |step| frames.get(number.wrapping_add(step)))
        .filter(move |frame| frame.timestamp == timestamp)
}
