//! Which layers of which tracks a subscriber's line is given.
//!
//! [`allocate`] is a pure function of what there is to send, what the line carries and what was
//! decided last. Audio is reserved first and never paused. Every video track gets its cheapest
//! layer, then tracks are improved in the order of their rank, step by step; tracks of equal rank
//! take turns. A track whose cheapest layer does not fit is paused, the lowest rank first.
//!
//! Layers must not flap: a step up needs headroom, and some time since the last step down; a step
//! down is taken at once. A step up that did not last makes the next one wait longer.

mod division;
mod holds;
mod ladder;
#[cfg(test)]
mod models;
mod offer;
#[cfg(test)]
mod properties;
mod state;
#[cfg(test)]
mod table;
mod wants;

use std::time::Duration;

pub(crate) use division::allocate;
pub(crate) use ladder::{TrackLimits, pictures_missed};
pub(crate) use offer::{Offer, Window};
pub(crate) use state::{Allotment, Gate, Tally};
pub(crate) use wants::{ALL_TEMPORAL, Want, Wants};

/// A layer of a track: what a viewer of it is given, with all it depends on. Ordered from the
/// lowest to the highest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerTarget {
    /// The simulcast encoding.
    pub encoding: u8,
    /// The spatial layer in it.
    pub spatial: u8,
    /// The highest temporal layer.
    pub temporal: u8,
}

/// The most that a consumer is to be given, by what its viewer can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerLimits {
    /// The width it is shown with, in pixels. The smallest layer that fills the width or the height
    /// is the highest forwarded.
    pub max_width: Option<u32>,
    /// The height it is shown with, in pixels.
    pub max_height: Option<u32>,
    /// Pictures a second. The lowest temporal layer is forwarded all the same.
    pub max_fps: Option<u8>,
    /// Bits per second. The cheapest layer is forwarded all the same.
    pub max_bitrate: Option<u64>,
}

/// How bandwidth is divided among the tracks of a transport.
#[derive(Debug, Clone)]
pub struct AllocationConfig {
    /// Per cent of the estimate that a step up leaves free.
    pub headroom: u8,
    /// A track that stepped down does not step up for this long; to the layer it was on twice as long
    /// where it had stepped up only shortly before, up to sixteen times.
    pub cool_down: Duration,
    /// A step up that is followed by a step down within this time did not last.
    pub relapse: Duration,
    /// After a step up the next one to a larger picture waits for this long.
    pub rise: Duration,
    /// A command and what follows it are taken together for this long.
    pub gather: Duration,
    /// Least time between two allocations because the costs of layers have changed.
    pub interval: Duration,
    /// A peer that was sent media for this long and was never heard of gets the cheapest layers.
    pub unheard: Duration,
    /// A producer counts as a speaker for this long after its last words.
    pub speaker_hold: Duration,
    /// An encoding is told to be unwanted after nobody wanted it for this long.
    pub unwanted_hold: Duration,
    /// An encoding that was wanted for this long and is still silent is not counted on.
    pub start_time: Duration,
}

impl Default for AllocationConfig {
    fn default() -> Self {
        Self {
            headroom: 10,
            cool_down: Duration::from_secs(2),
            relapse: Duration::from_secs(10),
            rise: Duration::from_secs(1),
            gather: Duration::from_millis(5),
            interval: Duration::from_secs(1),
            unheard: Duration::from_secs(1),
            speaker_hold: Duration::from_secs(3),
            unwanted_hold: Duration::from_secs(5),
            start_time: Duration::from_secs(5),
        }
    }
}

/// A layer that can be had, and at what cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) target: LayerTarget,
    pub(crate) bps: u64,
    pub(crate) fps: Option<u8>,
    /// Width and height.
    pub(crate) size: Option<(u32, u32)>,
}

/// Who comes first. Compared field by field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) priority: u8,
    pub(crate) speaker: bool,
    /// How large it is shown, in powers of two of its area: sizes that differ by a little take turns.
    pub(crate) shown: u8,
}

impl Rank {
    /// What nobody told the size of may be shown as large as it is.
    const FULL: u8 = u8::MAX;

    pub(crate) fn new(priority: u8, speaker: bool, limits: &ConsumerLimits) -> Self {
        let area = match (limits.max_width, limits.max_height) {
            (Some(width), Some(height)) => Some(u64::from(width) * u64::from(height)),
            // As if it were 16:9.
            (Some(width), None) => Some(u64::from(width) * u64::from(width) * 9 / 16),
            (None, Some(height)) => Some(u64::from(height) * u64::from(height) * 16 / 9),
            (None, None) => None,
        };
        let shown = area.map_or(Self::FULL, |area| area.max(1).ilog2() as u8);
        Self {
            priority,
            speaker,
            shown,
        }
    }
}

/// What was decided about a track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: it takes no part, or did not yet.
    #[default]
    Absent,
    /// It is paused: the line does not carry its cheapest layer.
    Starved,
    /// It is given this layer.
    Layer(LayerTarget),
}

/// What is remembered of a track from one allocation to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) decision: Decision,
    /// What it was given, with all temporal layers that may come if it was given all there are.
    reach: LayerTarget,
    /// It does not step up before this time.
    calm_until_us: u64,
    /// The layer that did not last; it steps up to that one, or higher, not before this time.
    failed: LayerTarget,
    held_until_us: u64,
    /// When it stepped up last.
    raised_us: Option<u64>,
    /// Steps up in a row that did not last.
    strikes: u8,
}

/// One track toward a subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Track<'a> {
    /// Whether it is reserved first and never paused.
    pub(crate) audio: bool,
    /// Whether it takes no part: paused by command, or its source is silent.
    pub(crate) absent: bool,
    pub(crate) rank: Rank,
    pub(crate) limits: TrackLimits,
    /// What can be had of it.
    pub(crate) layers: &'a [Layer],
    pub(crate) memory: Memory,
}

/// What there is to be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// Everything is given.
    Unlimited,
    /// Bits per second.
    Bps(u64),
    /// Bits per second, and nothing is known that speaks against more: what was given stays.
    AtLeast(u64),
    /// Nothing is known of the line: the cheapest layer of all.
    Cheapest,
}

/// Whether the first of the video tracks is fed in any case, because nothing else would tell when
/// the line is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nobody,
    /// With its cheapest layer.
    Cheapest,
    /// With the cheapest that moves: the estimate is a rough one.
    Moving,
}

/// The terms of one allocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) budget: Budget,
    pub(crate) keep: Keep,
    pub(crate) now_us: u64,
    /// Whether another flow is known to fill the line's queue.
    pub(crate) is_contended: bool,
    /// Different for each subscriber; none: 0.
    pub(crate) salt: u64,
    /// Whether those who share its line are known, and led by one rate with it: they step up together, since all of
    /// them fit, and nobody need wait for others.
    pub(crate) is_led: bool,
}

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// One a track.
    pub(crate) memories: Vec<Memory>,
    /// The cost of what is given, audio included.
    pub(crate) used_bps: u64,
    /// The cost of the best layers of all.
    pub(crate) wanted_bps: u64,
    /// The least budget that would change anything for the better; `None`: there is nothing better.
    pub(crate) next_bps: Option<u64>,
    /// When a step up is possible that has to wait now.
    pub(crate) wake_us: Option<u64>,
}

impl Allocation {
    /// Whether somebody is paused.
    pub(crate) fn starves(&self) -> bool {
        let mut decisions = self.memories.iter().map(|memory| memory.decision);
        decisions.any(|decision| decision == Decision::Starved)
    }
}
