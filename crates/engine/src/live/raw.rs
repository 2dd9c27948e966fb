//! A unit on its way from its source to its place on the timeline.

use std::time::Instant;

use roomtone_frames::timeline::{Placed, Stamp};
use roomtone_frames::{AccessUnit, Format, Timeline};

use super::coding::Found;

/// A unit as it came out of its packets: times are its source's.
pub(super) struct Raw {
    pub(super) unit: AccessUnit,
    pub(super) format: Option<Format>,
    pub(super) arrival: Instant,
    /// Once it is known.
    pub(super) placed: Option<Placed>,
    /// It does not follow on the one before; known with its place, or before.
    pub(super) breaks: bool,
    /// Whoever codes the track anew has it.
    pub(super) offered: bool,
    /// Lists can have it as it is.
    pub(super) listable: bool,
}

impl Raw {
    /// Put it on the timeline, if it is not there already; false where it has no place.
    pub(super) fn place(
        &mut self,
        timeline: &mut Timeline,
        number: Option<usize>,
        bits: u32,
        broken: &mut bool,
    ) -> bool {
        if self.placed.is_none() {
            if let Some((number, format)) = number.zip(self.format.as_ref()) {
                timeline.change_rate(number, format.clock_rate());
            }
            self.placed =
                number.and_then(|number| place(timeline, number, bits, &self.unit, self.arrival));
            self.breaks |= self
                .placed
                .is_some_and(|placed| placed.discontinuity.is_some() | std::mem::take(broken));
        }
        self.placed.is_some()
    }
}

impl From<Found> for Raw {
    fn from((unit, format, arrival): Found) -> Self {
        Self {
            unit,
            format,
            arrival,
            placed: None,
            breaks: false,
            offered: false,
            listable: true,
        }
    }
}

/// A unit on the timeline, by its timestamps as they came.
fn place(
    timeline: &mut Timeline,
    number: usize,
    bits: u32,
    unit: &AccessUnit,
    arrival: Instant,
) -> Option<Placed> {
    let wire = |ticks: i64| ticks as u64 & ((1 << bits) - 1);
    let stamp = Stamp {
        dts: wire(unit.dts),
        pts: wire(unit.pts),
    };
    timeline.handle_unit(number, stamp, arrival)
}
