//! Several tracks on one timeline: that of a program.
//!
//! Timestamps of sources begin anywhere, wrap, leap and go at a pace of their own. What leaves here begins a little above
//! zero, rises always, and stays near the arrival of the units, with sound and picture together.

mod offset;
mod track;

use std::time::{Duration, Instant};

use offset::{Arrivals, Offset, late};
use track::{Report, Step, Track};

/// A source's time that leaps by more than this, and arrival does not, is of another clock than before.
const JUMP_NS: i64 = 3_000_000_000;
/// Decode times that go back by more than this are, too; by less, they were sent in the wrong order.
const BACK_NS: i64 = 500_000_000;
/// Nobody wants more at once.
const MAX_POSTPONEMENT: Duration = Duration::from_hours(24);
/// A track that is silent for so long is no longer gone by.
const SILENT_NS: i64 = 5_000_000_000;
/// Wall clocks count from 1900 in 32 bits of seconds (RFC 3550 section 4).
const MAX_WALL_US: i64 = (1 << 32) * 1_000_000;
/// The shortest step behind all that came before a leap.
const STEP_NS: i64 = 1_000_000;

/// How a track's timestamps are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// Whose they are; tracks of one source belong together.
    pub source: u32,
    /// Whether all tracks of the source are stamped by one clock, as in MPEG-TS and RTMP; in RTP each has its own, and
    /// only reports tie them together.
    pub shared: bool,
    /// Ticks a second.
    pub rate: u32,
    /// Bits after which they wrap, at most 48.
    pub bits: u32,
}

/// Timestamps of a unit, as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When it is to be decoded.
    pub dts: u64,
    /// When it is to be shown; the same where nobody says otherwise.
    pub pts: u64,
}

impl Stamp {
    /// Of a unit that is shown in the order of decoding.
    pub fn both(at: u64) -> Self {
        Self { dts: at, pts: at }
    }
}

/// Where a unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// When it is to be decoded, in ticks of the track since the zero of the program; above that of the unit before, as
    /// long as those are as long.
    pub dts: i64,
    /// When it is to be shown.
    pub pts: i64,
    /// Set where what comes now does not follow on what came before.
    pub discontinuity: Option<Discontinuity>,
}

/// Why a unit does not follow on the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discontinuity {
    /// The timestamps leapt.
    Jumped,
    /// Another encoder goes on, as was [said](Timeline::restart).
    Restarted,
    /// All units came too late for a while: the source had stood still.
    Late,
}

/// How a track lies against its source and against the time at which it comes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Alignment {
    /// How much later it lies than the clock says that its source's tracks share, or than its reports say, in nanoseconds;
    /// what it was shifted by not counted. None where nobody says.
    pub error_ns: Option<i64>,
    /// How much faster its source's clock goes than ours, in parts per million, and over how many nanoseconds that was
    /// looked at. None before it was looked at long enough.
    pub drift: Option<(f64, i64)>,
    /// How long after its place on the timeline its newest unit came, but for what all tracks have in common.
    pub late_ns: Option<i64>,
    /// How much later it is placed now since somebody wants it so.
    pub shift_ns: i64,
}

/// What could not be taken as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Units whose decode time was raised above that of the one before.
    pub raised: u64,
    /// Reports that contradict the arrivals by seconds.
    pub refused_reports: u64,
    /// Discontinuities, each track's counted.
    pub discontinuities: u64,
}

/// The timeline of a program.
///
/// Inputs: [`handle_unit`](Self::handle_unit), [`handle_report`](Self::handle_report), [`restart`](Self::restart). Output: [`Placed`], at once.
/// Order: units of a track in the order of decoding. Limits: as many tracks as its owner adds.
#[derive(Debug)]
pub struct Timeline {
    begun: Instant,
    sources: Vec<Source>,
    tracks: Vec<Track>,
    mended: Mended,
}

/// What the tracks of a source have in common: the clock by which they are stamped, or the wall clock of its reports.
#[derive(Debug)]
struct Source {
    id: u32,
    /// From its time to that of the program; none before it is known.
    offset: Option<Offset>,
    /// Rises with each leap of a shared clock; tracks follow one by one.
    epoch: u32,
    /// How often all of its tracks were placed later at once.
    postponed: u32,
    /// The newest timestamp of a shared clock, unwrapped.
    newest: Option<i64>,
    arrivals: Arrivals,
    /// The track that is gone by, when it came last, and its newest time.
    reference: Option<(usize, i64, i64)>,
}

impl Timeline {
    /// Where [`begun`](Self::new) lies on the timeline: what is older than the first unit by less still has a place.
    pub const LEAD: Duration = Duration::from_secs(10);

    /// A timeline without tracks; `begun` is when the first unit comes, or before.
    pub fn new(begun: Instant) -> Self {
        Self {
            begun,
            sources: Vec::new(),
            tracks: Vec::new(),
            mended: Mended::default(),
        }
    }

    /// Add a track that leaves in `rate` ticks a second; its number.
    pub fn add_track(&mut self, stamps: Stamps, rate: u32) -> usize {
        let source = self
            .sources
            .iter()
            .position(|source| source.id == stamps.source);
        let source = source.unwrap_or_else(|| {
            self.sources.push(Source::new(stamps.source));
            self.sources.len() - 1
        });
        self.tracks.push(Track::new(stamps, source, rate));
        self.tracks.len() - 1
    }

    /// Have a track leave in `rate` ticks a second from its next unit on.
    pub fn change_rate(&mut self, track: usize, rate: u32) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.change_rate(rate);
        }
    }

    /// Have a track lie so much later, or earlier, than its source says; it goes there by a fiftieth of its time.
    pub fn shift(&mut self, track: usize, wanted_ns: i64) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.wanted_shift = wanted_ns;
        }
    }

    /// How a track lies; none where there is no such track.
    pub fn alignment(&self, track: usize) -> Option<Alignment> {
        let track = self.tracks.get(track)?;
        let source = &self.sources[track.source];
        let (arrivals, error_ns) = if track.stamps.shared {
            let shares = track.epoch == source.epoch;
            let error = source.offset.map(|offset| track.offset.ns - offset.ns);
            (&source.arrivals, error.filter(|_| shares))
        } else {
            let wanted = track.by_report(source.offset);
            (
                &track.arrivals,
                wanted.map(|wanted| track.offset.ns - wanted),
            )
        };
        let last = track.last.as_ref();
        Some(Alignment {
            error_ns,
            drift: arrivals.drift(),
            late_ns: last.map(|last| last.arrival - last.placed),
            shift_ns: track.shift,
        })
    }

    /// What had to be mended so far.
    pub fn mended(&self) -> Mended {
        self.mended
    }

    /// Place a unit of a track that came at `arrival`; none where there is no such track.
    pub fn handle_unit(&mut self, track: usize, stamp: Stamp, arrival: Instant) -> Option<Placed> {
        let now = self.nanoseconds(arrival);
        let one = self.tracks.get_mut(track)?;
        let (mut raw, shared) = (one.near_newest(stamp.dts), one.stamps.shared);
        let moved = std::mem::take(&mut one.moved).then_some(Discontinuity::Late);
        let discontinuity = match one.step(raw, now) {
            Step::GoesOn if shared => self.go_on_shared(track, raw, now).or(moved),
            Step::GoesOn => self.go_on_alone(track, raw, now).or(moved),
            Step::Begins => {
                raw = if shared {
                    self.begin_shared(track, stamp.dts, now)
                } else {
                    self.begin_alone(track, raw, stamp.dts, now)
                };
                None
            }
            Step::Leaps(why) => {
                raw = if shared {
                    self.leap_shared(track, stamp.dts, now)
                } else {
                    self.begin_alone(track, raw, stamp.dts, now)
                };
                Some(why)
            }
        };
        self.mended.discontinuities += u64::from(discontinuity.is_some());
        let (dts, pts, raised) = self.tracks[track].place(raw, stamp.pts, now);
        self.mended.raised += u64::from(raised);
        Some(Placed {
            dts,
            pts,
            discontinuity,
        })
    }

    /// A sender report of a track with a clock of its own (RFC 3550 section 6.4.1): the wall clock of its source showed `wall_us`
    /// microseconds, since any day, when its timestamps were at `stamp`.
    pub fn handle_report(&mut self, track: usize, wall_us: i64, stamp: u64) {
        let Some(track) = self.tracks.get_mut(track).filter(|one| !one.stamps.shared) else {
            return;
        };
        track.report = Some(Report {
            wall: wall_us.clamp(-MAX_WALL_US, MAX_WALL_US) * 1000,
            at: track.nanoseconds(track.near_newest(stamp)),
        });
    }

    /// Another encoder goes on with the tracks of a source: its timestamps have nothing to do with those before.
    pub fn restart(&mut self, source: u32) {
        let wanted = self.sources.iter().position(|one| one.id == source);
        for track in &mut self.tracks {
            if Some(track.source) == wanted && track.last.is_some() {
                track.restarted = true;
                track.report = None;
            }
        }
        if let Some(source) = wanted.map(|at| &mut self.sources[at]) {
            source.epoch = source.epoch.wrapping_add(1);
            source.forget();
        }
    }

    /// Have a track lie so much later from its next unit on, by a day at most, and with it all that its source's clock or reports tie to it:
    /// whoever lists it was ahead of all that came.
    pub fn postpone(&mut self, track: usize, by: Duration) {
        let ns = by.min(MAX_POSTPONEMENT).as_nanos() as i64;
        let Some(one) = self.tracks.get_mut(track) else {
            return;
        };
        let (number, wanted) = (one.source, one.offset.ns + ns);
        let source = &mut self.sources[number];
        if one.stamps.shared && one.epoch == source.epoch {
            source.offset = source.offset.map(|offset| Offset::new(offset.ns + ns));
            source.arrivals.renew();
            source.postponed = source.postponed.wrapping_add(1);
            return;
        }
        let before = source.offset;
        let (Some(by_report), Some(offset)) = (one.by_likely_report(before), before) else {
            return one.move_to(wanted);
        };
        // Reports may have said already that it is later: then it only goes there at once.
        let more = (wanted - by_report).max(0);
        source.offset = Some(Offset::new(offset.ns + more));
        source.arrivals.renew();
        for track in self.tracks.iter_mut().filter(|one| one.source == number) {
            if let Some(by_report) = track.by_likely_report(before) {
                track.move_to(by_report + more);
            }
        }
    }

    /// Another source goes on with one track: its timestamps have nothing to do with those before, and its first unit lies
    /// behind the newest, which lasts for so long. With `leads` that is where it is placed however late its source says that
    /// it is, and the others of its source with it.
    pub fn restart_track(&mut self, track: usize, lasts: Duration, leads: bool) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.restarted = track.last.is_some();
            track.report = None;
            track.apart = lasts.as_nanos() as i64;
            track.leads = leads;
        }
    }

    /// Where something lies that is of this moment, in nanoseconds since the zero of the program.
    pub fn nanoseconds(&self, arrival: Instant) -> i64 {
        let since = arrival.saturating_duration_since(self.begun) + Self::LEAD;
        since.as_nanos() as i64
    }

    /// The first unit of a track: on the clock of those before it, if that is possible. Its timestamp, unwrapped.
    fn begin_shared(&mut self, number: usize, stamp: u64, now: i64) -> i64 {
        let track = &mut self.tracks[number];
        let source = &mut self.sources[track.source];
        let raw = track.stamps.unwrap(stamp, source.newest);
        let at = track.nanoseconds(raw);
        (track.epoch, track.postponed) = (source.epoch, source.postponed);
        match source.offset {
            None => {
                track.offset = Offset::new(now - at);
                source.offset = Some(track.offset);
                source.newest = Some(raw);
            }
            Some(offset) if (at + offset.ns - now).abs() <= JUMP_NS => track.offset = offset,
            Some(_) => {
                // What is said to be one clock is two. The others are left alone.
                track.offset = Offset::new(now - at);
                track.epoch = source.epoch.wrapping_sub(1);
            }
        }
        raw
    }

    /// The next unit of a clock that all tracks share.
    fn go_on_shared(&mut self, number: usize, raw: i64, now: i64) -> Option<Discontinuity> {
        let track = &mut self.tracks[number];
        let source = &mut self.sources[track.source];
        let at = track.nanoseconds(raw);
        if track.epoch != source.epoch {
            // Still of the clock before, or of one that only it has.
            let wanted = track.arrivals.handle(at, now, track.offset.ns);
            return track.follow(wanted, at, now);
        }
        source.newest = Some(raw);
        if let Some(late) = source.handle_arrival(number, at, now) {
            let offset = source.offset.map_or(0, |offset| offset.ns + late);
            source.offset = Some(Offset::new(offset));
            source.arrivals.renew();
            source.postponed = source.postponed.wrapping_add(1);
        }
        track.offset = source.offset?;
        let postponed = std::mem::replace(&mut track.postponed, source.postponed);
        (postponed != source.postponed).then_some(Discontinuity::Late)
    }

    /// The next unit of a clock of its own.
    fn go_on_alone(&mut self, number: usize, raw: i64, now: i64) -> Option<Discontinuity> {
        let track = &mut self.tracks[number];
        let at = track.nanoseconds(raw);
        let source = &mut self.sources[track.source];
        let mut wanted = track.arrivals.handle(at, now, track.offset.ns);
        if let Some(report) = track.report {
            let shift = report.wall - report.at;
            if source.offset.is_none() {
                source.offset = Some(Offset::new(track.offset.ns - shift));
            }
            let _ = source.handle_arrival(number, at + shift, now);
            let by_report = track.by_report(source.offset);
            if by_report.is_some_and(|by| (by - track.offset.ns).abs() > JUMP_NS) {
                // The wall clock was set, or is another for each track. What is said next counts.
                track.report = None;
                source.forget();
                self.mended.refused_reports += 1;
            } else {
                wanted = by_report;
            }
        }
        track.follow(wanted, at, now)
    }

    /// A shared clock is another now: the first track to notice places it, the others follow. Its timestamp, unwrapped.
    fn leap_shared(&mut self, number: usize, stamp: u64, now: i64) -> i64 {
        let its = |track: &&Track| track.source == self.tracks[number].source;
        let begun = self.tracks.iter().filter(its);
        let begun = begun.filter_map(|track| Some((track, track.last.as_ref()?)));
        // The last units of one may have come long after those of the others.
        let place = begun.clone().map(|(track, _)| track.expected(now)).max();
        let place = place.unwrap_or(now);
        let least = begun.map(|(_, last)| last.placed + STEP_NS).max();
        let track = &mut self.tracks[number];
        let source = &mut self.sources[track.source];
        let mut raw = track.stamps.unwrap(stamp, source.newest);
        let at = track.nanoseconds(raw);
        let fits = |offset: &Offset| (at + offset.ns - place).abs() <= JUMP_NS;
        track.offset = match source.offset.filter(fits) {
            Some(offset) if track.epoch != source.epoch => offset,
            _ => {
                raw = track.stamps.unwrap(stamp, None);
                let place = least.map_or(place, |least| least.max(place));
                let offset = Offset::new(place - track.nanoseconds(raw));
                source.begin_anew(offset, raw);
                offset
            }
        };
        (track.epoch, track.postponed) = (source.epoch, source.postponed);
        track.arrivals = Arrivals::default();
        raw
    }

    /// A clock of its own begins, or is another now. `raw` is the timestamp nearest to the one before; the same, to go on
    /// from, comes back.
    fn begin_alone(&mut self, number: usize, raw: i64, stamp: u64, now: i64) -> i64 {
        let track = &mut self.tracks[number];
        let is_first = track.last.is_none();
        let place = track.expected(now);
        let fresh = track.stamps.unwrap(stamp, None);
        let (before, at) = (track.nanoseconds(raw), track.nanoseconds(fresh));
        // A report from before a leap says nothing any more.
        let report = track
            .report
            .filter(|report| is_first || (report.at - before).abs() <= JUMP_NS);
        track.report = report.map(|report| Report {
            at: report.at - before + at,
            ..report
        });
        if std::mem::take(&mut track.leads) {
            self.sources[track.source].go_on_at(place, at, track.report);
        }
        let by_report = track.by_report(self.sources[track.source].offset);
        let by_report = by_report.filter(|offset| (at + offset - place).abs() <= JUMP_NS);
        track.offset = Offset::new(by_report.unwrap_or(place - at));
        if !is_first {
            track.arrivals.renew();
        }
        fresh
    }
}

impl Source {
    /// What its reports say is so much earlier or later from now on that this time lies there.
    fn go_on_at(&mut self, place: i64, at: i64, report: Option<Report>) {
        let (Some(offset), Some(report)) = (&mut self.offset, report) else {
            return;
        };
        let slip = at + offset.ns + report.wall - report.at - place;
        if slip.abs() <= JUMP_NS {
            *offset = Offset::new(offset.ns - slip);
        }
    }

    fn new(id: u32) -> Self {
        Self {
            id,
            offset: None,
            epoch: 0,
            postponed: 0,
            newest: None,
            arrivals: Arrivals::default(),
            reference: None,
        }
    }

    fn forget(&mut self) {
        self.newest = None;
        self.offset = None;
        self.arrivals = Arrivals::default();
        self.reference = None;
    }

    /// Another clock, or the same elsewhere; tracks follow one by one.
    fn begin_anew(&mut self, offset: Offset, newest: i64) {
        self.newest = Some(newest);
        if self.offset.is_some() {
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.offset = Some(offset);
        self.arrivals.renew();
        self.reference = None;
    }

    /// Follow the arrivals of the track that is gone by; how late they all are, where that is too much.
    fn handle_arrival(&mut self, track: usize, at: i64, now: i64) -> Option<i64> {
        let offset = self.offset.as_mut()?;
        let last = match self.reference {
            Some((reference, _, last)) if reference == track => last,
            Some((_, seen, _)) if now - seen <= SILENT_NS => return None,
            Some(_) => {
                self.arrivals.renew();
                at
            }
            None => at,
        };
        self.reference = Some((track, now, at));
        if let Some(wanted) = self.arrivals.handle(at, now, offset.ns) {
            offset.follow_together(wanted, at - last);
        }
        late(&self.arrivals, offset.ns, now)
    }
}
