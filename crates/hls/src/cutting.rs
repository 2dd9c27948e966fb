//! Where segments end: at keyframes of the leading rendition, and there in all others.

use std::time::Duration;

use roomtone_frames::AccessUnit;

use crate::boxes::BoxError;
use crate::packager::Packager;
use crate::rendition::MAX_HOLE_US;

/// Boundaries of the leading rendition that one far behind has still to meet. More are not kept, and counted: what so
/// far behind still comes is in segments of other numbers than the leading one's.
const MAX_BOUNDARIES: usize = 64;
/// A segment may be so much longer than the target and still round to it.
const ROUNDING_US: u64 = 400_000;

impl Packager {
    pub(crate) fn take_leading(&mut self, unit: AccessUnit) -> Result<(), BoxError> {
        self.bridge_hole(unit.dts)?;
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
        let forced = length + interval > target;
        let cut = after_gap
            || forced
            || begins && length + self.group_us.unwrap_or(target) > target + ROUNDING_US;
        self.forced_cuts += u64::from(forced && !begins && rendition.format.is_video());
        let (lead, at) = (self.lead, rendition.us(unit.dts));
        let number = rendition.open.number;
        self.renditions[lead].push(unit, cut)?;
        if self.renditions[lead].open.number != number {
            self.spread_boundary(at);
        }
        Ok(())
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
            let end = rendition.us(rendition.end());
            if self.lanes[track]
                .boundaries
                .front()
                .is_some_and(|&boundary| boundary <= end)
            {
                self.lanes[track].boundaries.pop_front();
                self.renditions[track].cut()?;
            }
            self.renditions[track].gap(ticks)?;
        }
        self.lanes[track].waits_for_keyframe = self.renditions[track].format.is_video();
        self.lanes[track].listed_at += Duration::from_micros(part);
        self.version += 1;
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
            self.spread_boundary(at);
        }
        self.renditions[self.lead].gap(ticks)
    }

    /// All others are to be cut where the leading rendition was.
    fn spread_boundary(&mut self, at_us: i64) {
        for (track, lane) in self.lanes.iter_mut().enumerate() {
            if track == self.lead {
                continue;
            }
            if lane.ahead > 0 {
                lane.ahead -= 1;
            } else if lane.boundaries.len() < MAX_BOUNDARIES {
                lane.boundaries.push_back(at_us);
            } else {
                self.lost_boundaries += 1;
            }
        }
    }

    pub(crate) fn follows_a_cut(&mut self, track: usize, unit: &AccessUnit) -> bool {
        let (lane, rendition) = (&mut self.lanes[track], &self.renditions[track]);
        if lane
            .boundaries
            .front()
            .is_some_and(|&boundary| boundary <= rendition.us(unit.dts))
        {
            lane.boundaries.pop_front();
            return true;
        }
        // Far ahead of the leading one: the target holds for this playlist too.
        let length = rendition.us(rendition.open_until(unit.dts) as i64) as u64;
        let interval = rendition.frame_rate().map_or(0, |rate| (1e6 / rate) as u64);
        let forced = length + interval > rendition.cadence.target_us() + ROUNDING_US;
        // The leading one may have cut already, at a time that has not come here.
        if forced && lane.boundaries.pop_front().is_none() {
            lane.ahead += 1;
        }
        forced
    }
}
