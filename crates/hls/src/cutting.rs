//! Where segments end: at keyframes of the leading rendition, and there in all others.

use std::time::Duration;

use roomtone_frames::{AccessUnit, Format};

use crate::boxes::BoxError;
use crate::packager::{Boundary, Packager};
use crate::rendition::MAX_HOLE_US;

/// Boundaries of the leading rendition that one far behind has still to meet. More are not kept, and counted: what so
/// far behind still comes is in segments of other numbers than the leading one's.
const MAX_BOUNDARIES: usize = 64;
/// A segment may be so much longer than the target and still round to it.
const ROUNDING_US: u64 = 400_000;
/// A keyframe is waited for so long behind the target: clocks waver, and groups of whole seconds end just there.
const LEEWAY_US: u64 = 200_000;
/// A picture at which decoding may begin is not waited for longer behind a cut of the leading rendition.
const KEYFRAME_US: i64 = 500_000;

impl Packager {
    pub(crate) fn take_leading(&mut self, unit: AccessUnit) -> Result<(), BoxError> {
        self.bridge_hole(unit.dts)?;
        if let Some(format) = self.lanes[self.lead].format.take() {
            self.change_format(self.lead, format)?;
        }
        let rendition = &self.renditions[self.lead];
        let length = rendition.us(rendition.open_until(unit.dts) as i64) as u64;
        let target = rendition.cadence.target_us();
        let interval = rendition.frame_rate().map_or(0, |rate| (1e6 / rate) as u64);
        let begins = unit.keyframe && rendition.format.is_video();
        if begins {
            if let Some(last) = self.last_keyframe.filter(|&last| last < unit.dts) {
                self.group_us = Some(rendition.us(unit.dts - last) as u64);
            }
            self.last_keyframe = Some(unit.dts);
        }
        let after_gap = !rendition.open.parts.is_empty() && rendition.open.is_gap();
        let leeway = if rendition.format.is_video() {
            LEEWAY_US
        } else {
            0
        };
        let forced = length + interval > target + leeway;
        let breaks = std::mem::take(&mut self.breaks);
        // A segment that is empty, and one of its own already, tells of it; one that ends here tells of the break before.
        let is_empty = !rendition.is_pending() && rendition.end() <= rendition.open.start;
        let is_told = rendition.open.discontinuity && is_empty;
        self.lanes[self.lead].owes_discontinuity |= breaks && !is_told;
        let cut = after_gap
            || forced
            || breaks
            || begins && length + self.group_us.unwrap_or(target) > target + ROUNDING_US;
        self.forced_cuts += u64::from(forced && !begins && rendition.format.is_video());
        let (lead, at) = (self.lead, rendition.us(unit.dts));
        let (shown, independent) = (rendition.us(unit.pts), unit.keyframe);
        let number = rendition.open.number;
        self.renditions[lead].push(unit, cut)?;
        if self.renditions[lead].open.number != number {
            self.spread_boundary(at, shown, independent);
        }
        Ok(())
    }

    /// The unit that now comes is coded otherwise: a segment of its own begins, and a discontinuity, which is one of all
    /// renditions, since players find by their count what belongs together.
    pub(crate) fn change_format(&mut self, track: usize, format: Format) -> Result<(), BoxError> {
        let rendition = &mut self.renditions[track];
        let number = rendition.open.number;
        rendition.change_format(format)?;
        self.version += 1;
        let is_cut = rendition.open.number != number;
        let at = rendition.us(rendition.end());
        if track == self.lead {
            self.spread_discontinuity(is_cut, at);
        } else if is_cut {
            let lane = &mut self.lanes[track];
            let met = lane.boundaries.pop_front();
            lane.ahead += u32::from(met.is_none());
            if !met.is_some_and(|boundary| boundary.discontinuity) {
                self.lanes[self.lead].owes_discontinuity = true;
            }
        }
        Ok(())
    }

    /// The leading rendition has begun a segment with a discontinuity, or its open one, still empty, became one.
    fn spread_discontinuity(&mut self, is_cut: bool, at_us: i64) {
        self.lanes[self.lead].owes_discontinuity = true;
        if is_cut {
            return self.spread_boundary(at_us, at_us, true);
        }
        self.pay_discontinuity(self.lead);
        for (track, lane) in self.lanes.iter_mut().enumerate() {
            let open = &mut self.renditions[track].open;
            match lane.boundaries.back_mut() {
                _ if track == self.lead => {}
                Some(boundary) => boundary.discontinuity = true,
                None if open.parts.is_empty() => open.discontinuity = true,
                None => lane.owes_discontinuity = true,
            }
        }
    }

    /// A segment has begun: where another rendition had a discontinuity, this is one too.
    pub(crate) fn pay_discontinuity(&mut self, track: usize) -> bool {
        let owed = std::mem::take(&mut self.lanes[track].owes_discontinuity);
        self.renditions[track].open.discontinuity |= owed;
        owed
    }

    /// Come to where the leading rendition was cut.
    fn meet(&mut self, track: usize, at_us: i64) -> bool {
        self.pass_boundary(track, |boundary| boundary.at_us <= at_us)
    }

    /// Come with a picture to the one at which the leading rendition was cut.
    fn meet_picture(&mut self, track: usize, shown_us: i64, keyframe: bool) -> bool {
        self.pass_boundary(track, |boundary| {
            let over_us = shown_us - boundary.shown_us;
            over_us >= 0 && (keyframe || !boundary.independent || over_us > KEYFRAME_US)
        })
    }

    fn pass_boundary(&mut self, track: usize, is_met: impl FnOnce(&Boundary) -> bool) -> bool {
        let lane = &mut self.lanes[track];
        match lane.boundaries.front() {
            Some(boundary) if is_met(boundary) => {
                lane.owes_discontinuity |= boundary.discontinuity;
                lane.boundaries.pop_front();
                true
            }
            _ => false,
        }
    }

    /// What is missing gets segments of its own, so that none is half there.
    fn bridge_hole(&mut self, until: i64) -> Result<(), BoxError> {
        let limit = self.renditions[self.lead].cadence.part_target_us as i64;
        let rendition = &mut self.renditions[self.lead];
        let hole = rendition.us(until - rendition.end());
        if hole <= limit || hole > MAX_HOLE_US {
            return Ok(());
        }
        rendition.flush()?;
        while self.renditions[self.lead].end() < until {
            let rendition = &self.renditions[self.lead];
            let left = (until - rendition.end()) as u64;
            let part = rendition.ticks(rendition.cadence.part_target_us);
            self.lead_gap(left.min(part))?;
        }
        Ok(())
    }

    pub(crate) fn lose_a_part(&mut self, track: usize) -> Result<(), BoxError> {
        let part = self.renditions[track].cadence.part_target_us;
        let rendition = &mut self.renditions[track];
        rendition.flush()?;
        let ticks = rendition.ticks(part);
        if track == self.lead {
            self.lead_gap(ticks)?;
        } else {
            self.follow_gap(track, ticks)?;
        }
        self.lanes[track].waits_for_keyframe = self.renditions[track].format.is_video();
        self.lanes[track].listed_at += Duration::from_micros(part);
        self.version += 1;
        Ok(())
    }

    /// What of another rendition is missing before a unit, so that no segment is longer for it.
    pub(crate) fn bridge_behind(&mut self, track: usize, until: i64) -> Result<(), BoxError> {
        let rendition = &mut self.renditions[track];
        let hole = until - rendition.end();
        let lasts = rendition.is_pending()
            && hole <= rendition.ticks(rendition.cadence.part_target_us) as i64;
        if hole <= 0 || lasts || rendition.us(hole) > MAX_HOLE_US {
            return Ok(());
        }
        rendition.flush()?;
        let left = until - self.renditions[track].end();
        self.follow_gap(track, left.max(0) as u64)
    }

    /// Nothing of another rendition for so long: cut where the leading one was.
    fn follow_gap(&mut self, track: usize, ticks: u64) -> Result<(), BoxError> {
        let part = self.renditions[track].ticks(self.renditions[track].cadence.part_target_us);
        let until = self.renditions[track].end() + ticks as i64;
        while self.renditions[track].end() < until {
            let rendition = &self.renditions[track];
            let end = rendition.end();
            let mut to = until.min(end + part as i64);
            if self.meet(track, rendition.us(end)) || self.cuts_alone(track, to) {
                self.renditions[track].cut()?;
                self.pay_discontinuity(track);
            }
            if let Some(boundary) = self.lanes[track].boundaries.front() {
                let rendition = &self.renditions[track];
                let at = rendition.ticks(boundary.at_us.max(0) as u64) as i64 + 1;
                to = to.min(at.max(end + 1));
            }
            self.renditions[track].gap((to - end) as u64)?;
        }
        Ok(())
    }

    /// Nothing of the leading rendition for so long: behind what there was, in segments of their own.
    fn lead_gap(&mut self, ticks: u64) -> Result<(), BoxError> {
        let rendition = &mut self.renditions[self.lead];
        let target = rendition.ticks(rendition.cadence.target_us());
        let holds_media = !rendition.open.parts.is_empty() && !rendition.open.is_gap();
        if holds_media || rendition.open.duration() + ticks > target {
            rendition.cut()?;
            let at = rendition.us(rendition.end());
            self.spread_boundary(at, at, false);
        }
        self.renditions[self.lead].gap(ticks)
    }

    /// All others are to be cut where the leading rendition was.
    fn spread_boundary(&mut self, at_us: i64, shown_us: i64, independent: bool) {
        let discontinuity = self.pay_discontinuity(self.lead);
        for (track, lane) in self.lanes.iter_mut().enumerate() {
            if track == self.lead {
                continue;
            }
            if lane.ahead > 0 {
                lane.ahead -= 1;
                // One that came with what it had cut by itself is paid.
                lane.owes_discontinuity |= discontinuity && lane.boundaries.is_empty();
            } else if lane.boundaries.len() < MAX_BOUNDARIES {
                lane.boundaries.push_back(Boundary {
                    at_us,
                    shown_us,
                    independent,
                    discontinuity,
                });
            } else {
                self.lost_boundaries += 1;
            }
        }
    }

    pub(crate) fn follows_a_cut(&mut self, track: usize, unit: &AccessUnit) -> bool {
        let rendition = &self.renditions[track];
        let met = if rendition.format.is_video() {
            self.meet_picture(track, rendition.us(unit.pts), unit.keyframe)
        } else {
            self.meet(track, rendition.us(unit.dts))
        };
        if met {
            return true;
        }
        self.cuts_alone(track, unit.dts)
    }

    /// Far ahead of the leading one: the target holds for this playlist too.
    fn cuts_alone(&mut self, track: usize, until: i64) -> bool {
        let (lane, rendition) = (&mut self.lanes[track], &self.renditions[track]);
        let length = rendition.us(rendition.open_until(until) as i64) as u64;
        let interval = rendition.frame_rate().map_or(0, |rate| (1e6 / rate) as u64);
        let forced = length + interval > rendition.cadence.target_us() + ROUNDING_US;
        // The leading one may have cut already, at a time that has not come here.
        if forced {
            match lane.boundaries.pop_front() {
                Some(boundary) => lane.owes_discontinuity |= boundary.discontinuity,
                None => lane.ahead += 1,
            }
        }
        forced
    }
}
