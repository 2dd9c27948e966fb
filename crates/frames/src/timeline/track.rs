//! One track's part of a timeline: what came of it last, and ticks made of other ticks.

use super::offset::{Arrivals, Offset, late};
use super::{BACK_NS, Discontinuity, JUMP_NS, Stamps};

const SECOND_NS: i128 = 1_000_000_000;
/// What somebody wants shifted goes by one part in so many of its time: that is not heard.
const SHIFTING: i64 = 50;
/// What a track's units came behind their places rises by one part in so many of its time at most: the last ones of an
/// encoder that is gone may come seconds after all others, and say nothing of what follows.
const RISING: i64 = 8;
/// What is late by no more is made up for by what waits to be played.
const MOMENT_NS: i64 = 500_000_000;
/// More bits than any protocol's timestamps have.
const MAX_BITS: u32 = 48;

#[derive(Debug)]
pub(super) struct Track {
    pub stamps: Stamps,
    /// Place of its source.
    pub source: usize,
    /// Ticks a second in which it leaves.
    rate: u32,
    pub offset: Offset,
    /// How units came, where the clock is its own, or is not that of its source.
    pub arrivals: Arrivals,
    pub report: Option<Report>,
    /// The leap of its source that it has followed.
    pub epoch: u32,
    /// And how often it was placed later with it.
    pub postponed: u32,
    pub restarted: bool,
    /// It lies later from the next unit on.
    pub moved: bool,
    /// How long the newest unit lasts, where another source goes on behind it.
    pub apart: i64,
    /// What its next beginning says counts for its source.
    pub leads: bool,
    /// What it is placed later by, and what that is to become.
    pub shift: i64,
    pub wanted_shift: i64,
    pub last: Option<Last>,
    /// How much later than their places units come.
    delay: Option<i64>,
    /// The newest timestamp, unwrapped.
    newest: Option<i64>,
}

/// How a unit goes on from the one before.
pub(super) enum Step {
    /// It is the first.
    Begins,
    GoesOn,
    Leaps(Discontinuity),
}

/// Wall clock and time of the track that belong together, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub wall: i64,
    pub at: i64,
}

/// The newest unit.
#[derive(Debug)]
pub(super) struct Last {
    /// By its own clock.
    pub at: i64,
    pub arrival: i64,
    /// On the timeline, in nanoseconds and in ticks.
    pub placed: i64,
    pub dts: i64,
}

impl Track {
    pub(super) fn new(stamps: Stamps, source: usize, rate: u32) -> Self {
        Self {
            stamps,
            source,
            rate,
            offset: Offset::new(0),
            arrivals: Arrivals::default(),
            report: None,
            epoch: 0,
            postponed: 0,
            restarted: false,
            moved: false,
            apart: 0,
            leads: false,
            shift: 0,
            wanted_shift: 0,
            last: None,
            delay: None,
            newest: None,
        }
    }

    /// Leave in so many ticks a second from the next unit on.
    pub(super) fn change_rate(&mut self, rate: u32) {
        let before = std::mem::replace(&mut self.rate, rate);
        if let Some(last) = self.last.as_mut().filter(|_| before != rate) {
            last.dts = rescale(last.dts, before.max(1).into(), rate);
        }
    }

    /// The unwrapped timestamp that is nearest to the newest.
    pub(super) fn near_newest(&self, stamp: u64) -> i64 {
        self.stamps.unwrap(stamp, self.newest)
    }

    /// Nanoseconds of the source's clock.
    pub(super) fn nanoseconds(&self, raw: i64) -> i64 {
        self.stamps.nanoseconds(raw)
    }

    /// How a unit goes on from the one before.
    pub(super) fn step(&mut self, raw: i64, now: i64) -> Step {
        let Some(last) = &self.last else {
            return Step::Begins;
        };
        if std::mem::take(&mut self.restarted) {
            return Step::Leaps(Discontinuity::Restarted);
        }
        let (step, since) = (self.nanoseconds(raw) - last.at, now - last.arrival);
        let ahead = step > JUMP_NS && step - since > JUMP_NS;
        if ahead || step < -BACK_NS {
            Step::Leaps(Discontinuity::Jumped)
        } else {
            Step::GoesOn
        }
    }

    /// Where a unit that comes now would lie if time had gone on as the arrivals did.
    ///
    /// Another source goes on close behind, though the newest unit was late: what stood still for a moment, and both with it,
    /// leaves no hole.
    pub(super) fn expected(&self, now: i64) -> i64 {
        match (&self.last, self.delay) {
            (Some(last), Some(delay))
                if self.apart > 0 && last.arrival - last.placed - delay <= MOMENT_NS =>
            {
                last.placed + (now - last.arrival).max(self.apart)
            }
            (Some(last), Some(delay)) => (last.placed + self.apart).max(now - delay),
            _ => now,
        }
    }

    /// Go towards the offset that it should have, where that is known, with a unit of this time; where all have been late for
    /// too long, lie later at once.
    pub(super) fn follow(
        &mut self,
        wanted: Option<i64>,
        at: i64,
        now: i64,
    ) -> Option<Discontinuity> {
        let last = self.last.as_ref()?.at;
        if let Some(wanted) = wanted {
            self.offset.follow(wanted, at - last);
        }
        let late = late(&self.arrivals, self.offset.ns, now)?;
        self.offset = Offset::new(self.offset.ns + late);
        self.arrivals.renew();
        Some(Discontinuity::Late)
    }

    /// The offset that reports say it has; none where nothing ties its source's wall clock to the timeline.
    pub(super) fn by_report(&self, source: Option<Offset>) -> Option<i64> {
        let (report, offset) = (self.report?, source?);
        Some(offset.ns.saturating_add(report.wall - report.at))
    }

    /// The same, where arrivals do not contradict it.
    pub(super) fn by_likely_report(&self, source: Option<Offset>) -> Option<i64> {
        let by_report = self.by_report(source);
        by_report.filter(|by_report| by_report.abs_diff(self.offset.ns) <= JUMP_NS as u64)
    }

    /// Lie there from the next unit on.
    pub(super) fn move_to(&mut self, ns: i64) {
        self.offset = Offset::new(ns);
        self.arrivals.renew();
        self.moved = self.last.is_some();
    }

    /// Decode and presentation time of a unit, in ticks; and whether the first had to be raised. `raw` is its unwrapped
    /// decode time, `pts` the other as it came.
    pub(super) fn place(&mut self, raw: i64, pts: u64, now: i64) -> (i64, i64, bool) {
        (self.newest, self.apart) = (Some(raw), 0);
        let shown = self.near_newest(pts);
        let at = self.nanoseconds(raw);
        let elapsed = self.last.as_ref().map_or(0, |last| at - last.at);
        let most = elapsed.clamp(0, JUMP_NS) / SHIFTING;
        self.shift += (self.wanted_shift - self.shift).clamp(-most, most);
        let offset = rescale(self.offset.ns + self.shift, SECOND_NS, self.rate);
        let ticks = |raw| rescale(raw, self.stamps.rate.max(1).into(), self.rate) + offset;
        let (mut dts, mut pts) = (ticks(raw), ticks(shown));
        let least = self.last.as_ref().map_or(0, |last| last.dts + 1);
        let raised = dts < least;
        if raised {
            (dts, pts) = (least, pts.max(least));
        }
        let placed = at + self.offset.ns;
        let risen = |delay| delay + elapsed.clamp(0, JUMP_NS) / RISING;
        let delay = self.delay.map_or(i64::MAX, risen).min(now - placed);
        self.delay = Some(delay);
        self.last = Some(Last {
            at,
            arrival: now,
            placed,
            dts,
        });
        (dts, pts, raised)
    }
}

impl Stamps {
    /// The timestamp that is nearest to another that does not wrap; without one, as it came.
    pub(super) fn unwrap(&self, stamp: u64, newest: Option<i64>) -> i64 {
        let span = 1_i64 << self.bits.clamp(1, MAX_BITS);
        let stamp = (stamp & (span as u64 - 1)) as i64;
        let Some(newest) = newest else {
            return stamp;
        };
        let ahead = (stamp - newest).rem_euclid(span);
        newest
            + if ahead < span / 2 {
                ahead
            } else {
                ahead - span
            }
    }

    /// Nanoseconds of the source's clock.
    pub(super) fn nanoseconds(&self, raw: i64) -> i64 {
        let ns = i128::from(raw) * SECOND_NS / i128::from(self.rate.max(1));
        i64::try_from(ns).unwrap_or(i64::MAX / 4)
    }
}

/// Ticks of one rate in ticks of another, to the nearest.
fn rescale(ticks: i64, from: i128, to: u32) -> i64 {
    let scaled = i128::from(ticks) * i128::from(to);
    (scaled + from / 2).div_euclid(from) as i64
}
