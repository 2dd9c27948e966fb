//! One tap: packets of a stream into units with their times, and the format they have.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::depacketize::Payload;
use roomtone_frames::timeline::Placed;
use roomtone_frames::{AccessUnit, Format, FrameRate, Timeline};
use roomtone_rtp::{RtpPacket, TimestampUnwrapper};

use super::coding::{Coding, Depacketizer, Found, INGEST_RATE};
use super::order::DecodeTimes;
use super::pressing::{Fill, QueueId, Queued};
use super::raw::Raw;
use super::reorder::Reorder;

/// A source sends until nothing has come for so long.
const FLOWING: Duration = Duration::from_secs(1);
/// A unit that lasted for longer was followed by a hole.
const LONGEST_UNIT: Duration = Duration::from_secs(1);
/// Units that wait for the program to begin; more and the oldest go, counted.
const MAX_HELD: usize = 4096;

/// A stream that a packager is to carry.
#[derive(Debug)]
pub(crate) struct NewTrack {
    pub(crate) packager: u64,
    /// Id of the consumer that brings it.
    pub(crate) track: u64,
    /// Its folder.
    pub(crate) name: String,
    pub(crate) ssrc: u32,
    /// What comes with which payload type, all of one kind and at least one; others are ignored and counted.
    pub(crate) codings: Vec<(u8, Coding)>,
    /// Whether its sender makes a keyframe when it is asked for one.
    pub(crate) makes_keyframes: bool,
}

impl NewTrack {
    /// Pictures, or sound, that come as whole units.
    pub(crate) fn whole(packager: u64, track: u64, is_video: bool) -> Self {
        Self {
            packager,
            track,
            name: if is_video { "video" } else { "audio" }.to_owned(),
            ssrc: 0,
            codings: vec![(0, Coding::Whole { is_video })],
            makes_keyframes: false,
        }
    }
}

/// A unit on its way to the packager.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// What follows does not go on from what came before.
    Broken,
    /// From the next unit on it is coded so.
    Format(Format),
    /// Times are those of the program.
    Unit(AccessUnit),
}

/// What a track has done so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// Packets that were no RTP or of no payload type known.
    pub(super) ignored: u64,
    pub(super) units: u64,
    pub(super) keyframes: u64,
    /// Units that could not wait for the program to begin.
    pub(super) forgotten: u64,
    pub(super) keyframes_asked: u64,
    /// Times it did not go on from what came before.
    pub(super) breaks: u64,
    /// Of depacketizers before this one.
    dropped_before: u64,
    silent_before: u64,
}

/// One stream of a program.
pub(crate) struct Track {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) ssrc: u32,
    pub(super) makes_keyframes: bool,
    codings: Vec<(u8, Coding)>,
    /// What its packets are now, and what puts them together; before the first packet the likeliest.
    coding: Coding,
    depacketizer: Depacketizer,
    pub(super) reorder: Reorder,
    unwrapper: TimestampUnwrapper,
    decode_times: DecodeTimes,
    /// The newest sender report: wall time, and the timestamp it belongs to.
    report: Option<(i64, u32)>,
    /// The newest format, once there was a unit.
    pub(crate) format: Option<Format>,
    held: VecDeque<Raw>,
    /// Its place in the packager, once that has begun.
    pub(crate) place: Option<usize>,
    /// Its place on the timeline.
    pub(super) number: Option<usize>,
    /// Whether it is in the lists, and not only coded anew.
    pub(super) listed: bool,
    /// Whether who codes it anew makes pictures at a pace of their own: it lies where it says, and nothing goes by it.
    pub(super) paced: bool,
    /// Whether lists can have what comes of it now.
    pub(super) listable: bool,
    /// Nothing feeds it.
    pub(super) vacant: bool,
    /// Its next unit does not follow on the one before.
    broken: bool,
    /// Likewise of the next that comes, while others still wait.
    restarted: bool,
    pub(super) first_packet: Option<Instant>,
    pub(crate) last_packet: Option<Instant>,
    pub(super) last_keyframe: Option<Instant>,
    pub(super) last_asked: Option<Instant>,
    pub(super) figures: Figures,
    /// Where in the program the zero of its source's times is, of one whose units come whole.
    pub(super) offset_us: Option<i64>,
    /// When its newest unit is decoded, and how long after the one before, in ticks of the program.
    newest: Option<(i64, i64)>,
}

impl Track {
    /// None where nothing it may carry is given.
    pub(crate) fn new(new: NewTrack) -> Option<Self> {
        let (_, coding) = *new.codings.first()?;
        Some(Self {
            id: new.track,
            name: new.name,
            ssrc: new.ssrc,
            makes_keyframes: new.makes_keyframes,
            codings: new.codings,
            coding,
            depacketizer: Depacketizer::new(coding),
            reorder: Reorder::default(),
            unwrapper: TimestampUnwrapper::new(),
            decode_times: DecodeTimes::default(),
            report: None,
            format: None,
            held: VecDeque::new(),
            place: None,
            number: None,
            listed: true,
            paced: false,
            listable: true,
            vacant: false,
            broken: false,
            restarted: false,
            first_packet: None,
            last_packet: None,
            last_keyframe: None,
            last_asked: None,
            figures: Figures::default(),
            offset_us: None,
            newest: None,
        })
    }

    /// It is coded so until a unit says otherwise.
    pub(super) fn coded(self, format: Option<Format>) -> Self {
        Self { format, ..self }
    }

    /// Take parameter sets that a description of the stream gave.
    pub(crate) fn handle_parameter_sets(&mut self, sets: &[Bytes]) {
        for set in sets {
            self.depacketizer.handle_parameter_set(set);
        }
    }

    /// Another sender goes on with it: its numbers and timestamps have nothing to do with those before. What was known of
    /// how it is coded counts until that is said anew.
    pub(crate) fn restart(&mut self, described: &[Bytes]) {
        self.put_together(self.coding);
        self.handle_parameter_sets(described);
        if let Some(format) = self.format.clone() {
            for set in format.parameter_sets() {
                self.depacketizer.handle_parameter_set(set);
            }
        }
        self.reorder.restart();
        self.unwrapper = TimestampUnwrapper::new();
        self.decode_times = DecodeTimes::default();
        self.report = None;
        self.break_before_next();
    }

    /// The next unit that comes does not go on from what came before, if anything did.
    pub(super) fn break_before_next(&mut self) {
        self.restarted = self.format.is_some();
    }

    /// Another source goes on where the one before has ended.
    pub(super) fn renew(&mut self, new: NewTrack) {
        if let Some((_, coding)) = new.codings.first() {
            self.put_together(*coding);
        }
        self.codings = new.codings;
        self.ssrc = new.ssrc;
        self.makes_keyframes = new.makes_keyframes;
        (self.report, self.offset_us) = (None, None);
        self.vacant = false;
        self.broken = true;
        (self.first_packet, self.last_keyframe, self.last_asked) = (None, None, None);
    }

    /// When the first of its units came from which on it can be shown; none before there is one.
    pub(super) fn shown_from(&self) -> Option<Instant> {
        let mut held = self.held.iter();
        held.find(|raw| raw.unit.keyframe).map(|raw| raw.arrival)
    }

    /// Go on with what another has brought since then, in the same place, and with what it brings.
    pub(super) fn give_way_to(
        &mut self,
        mut next: Self,
        since: Option<Instant>,
        leads: bool,
        timeline: &mut Timeline,
    ) {
        next.held
            .retain(|raw| since.is_none_or(|since| raw.arrival >= since));
        if let Some(first) = next.held.front_mut() {
            // It came with the first of them, which may be gone.
            first.format = first.format.take().or_else(|| next.format.clone());
        }
        let mut held = std::mem::take(&mut self.held);
        held.append(&mut next.held);
        let mut figures = self.figures;
        figures.packets += next.figures.packets;
        figures.bytes += next.figures.bytes;
        figures.dropped_before = self.dropped();
        figures.silent_before = self.silent_frames();
        if let Some(number) = self.number {
            timeline.restart_track(number, self.lasts(), leads && !self.paced);
            if let Some((wall_us, stamp)) = next.report {
                timeline.handle_report(number, wall_us, stamp.into());
            }
        }
        *self = Self {
            name: std::mem::take(&mut self.name),
            format: self.format.take(),
            place: self.place,
            number: self.number,
            listed: self.listed,
            paced: self.paced,
            broken: true,
            held,
            figures,
            newest: self.newest,
            ..next
        };
    }

    /// How long its newest unit lasts, as the one before did.
    fn lasts(&self) -> Duration {
        let rate = self.format.as_ref().map_or(90_000, Format::clock_rate);
        let ticks = self.newest.map_or(0, |(_, ticks)| ticks);
        Duration::from_micros(us(ticks, rate).max(0) as u64).min(LONGEST_UNIT)
    }

    /// What comes now is coded otherwise, or of another source.
    fn put_together(&mut self, coding: Coding) {
        self.figures.dropped_before = self.dropped();
        self.figures.silent_before = self.silent_frames();
        self.depacketizer = Depacketizer::new(coding);
        self.coding = coding;
    }

    /// Whether units come whole, from an ingest.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.coding, Coding::Whole { .. })
    }

    pub(super) fn is_video(&self) -> bool {
        self.coding.is_video()
    }

    /// Whether packets come.
    pub(super) fn flows(&self, now: Instant) -> bool {
        self.last_packet.is_some_and(|at| at + FLOWING > now)
    }

    /// Whether nothing can be shown before a keyframe comes.
    pub(crate) fn wants_keyframe(&self) -> bool {
        self.depacketizer.wants_keyframe()
    }

    /// Units that could not be put together.
    pub(crate) fn dropped(&self) -> u64 {
        self.figures.dropped_before + self.depacketizer.dropped()
    }

    /// Take an RTP packet.
    pub(crate) fn handle_rtp(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        if self.coding_of(packet).is_none() {
            self.figures.ignored += 1;
            return;
        }
        self.figures.packets += 1;
        self.figures.bytes += packet.payload().len() as u64;
        self.first_packet.get_or_insert(now);
        self.last_packet = Some(now);
        if let Some(sequence) = self.reorder.take(packet.sequence(), packet.bytes(), now) {
            self.depacketize(packet, sequence, now);
        }
        self.handle_timeout(now);
    }

    /// Go on behind holes that nobody waits for any more.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(turn) = self.reorder.pop(now) {
            let Ok(packet) = RtpPacket::parse(&turn.packet) else {
                continue;
            };
            self.depacketize(&packet, turn.sequence, turn.arrival);
        }
    }

    /// Take units that come whole.
    pub(super) fn handle_unit(&mut self, found: Found) {
        let (unit, _, arrival) = &found;
        self.figures.bytes += unit.data.len() as u64;
        self.first_packet.get_or_insert(*arrival);
        self.last_packet = Some(*arrival);
        if unit.keyframe {
            self.last_keyframe = Some(*arrival);
        }
        if let Some(format) = &found.1 {
            self.listable = !matches!(format, Format::Carried(_));
        }
        let mut raw = Raw::from(found);
        raw.breaks = std::mem::take(&mut self.restarted);
        raw.listable = self.listable;
        self.held.push_back(raw);
        self.note_news();
    }

    fn coding_of(&self, packet: &RtpPacket<'_>) -> Option<Coding> {
        let mut known = self.codings.iter();
        known
            .find(|(payload_type, _)| *payload_type == packet.payload_type())
            .map(|(_, coding)| *coding)
    }

    fn depacketize(&mut self, packet: &RtpPacket<'_>, sequence: u64, arrival: Instant) {
        let payload = Payload {
            sequence,
            timestamp: self.unwrapper.unwrap(packet.timestamp()) as i64,
            marker: packet.marker(),
            bytes: packet.payload(),
        };
        if let Some(coding) = self
            .coding_of(packet)
            .filter(|coding| *coding != self.coding)
        {
            self.put_together(coding);
        }
        self.depacketizer.handle_payload(payload, arrival, |found| {
            let mut raw = Raw::from(found);
            raw.breaks = std::mem::take(&mut self.restarted);
            if raw.unit.keyframe {
                self.last_keyframe = Some(arrival);
            }
            if let Some(format) = raw.format.as_ref().filter(|format| format.is_video()) {
                let rate = format.frame_rate().map(FrameRate::per_second);
                self.decode_times
                    .renew(format.max_reorder().unwrap_or(0), rate);
            }
            raw.unit.dts = self.decode_times.next(raw.unit.pts);
            self.held.push_back(raw);
        });
        self.note_news();
    }

    /// Sound that does not come while pictures do is silence.
    pub(super) fn fill_pause(&mut self, now: Instant) {
        self.depacketizer
            .fill_pause(now, |found| self.held.push_back(Raw::from(found)));
        self.note_news();
    }

    /// Frames of silence put where nothing came.
    pub(super) fn silent_frames(&self) -> u64 {
        self.figures.silent_before + self.depacketizer.silent_frames()
    }

    /// Look at the units that have just come.
    fn note_news(&mut self) {
        if self.format.is_none() {
            self.format = self.held.back().and_then(|raw| raw.format.clone());
            self.listed &= self.can_be_listed();
        }
        while self.held.len() > MAX_HELD {
            self.held.pop_front();
            self.figures.forgotten += 1;
        }
    }

    /// What waits for its place.
    pub(super) fn queued(&self) -> Queued {
        let bytes = self.held.iter().map(|raw| raw.unit.data.len() as u64);
        Queued {
            id: QueueId::Track(self.id),
            fill: Fill {
                bytes: bytes.sum(),
                bytes_limit: None,
                units: self.held.len() as u64,
                units_limit: Some(MAX_HELD as u64),
            },
            units_dropped: self.figures.forgotten,
            groups_dropped: 0,
            slows: false,
        }
    }

    /// Whether there are units that wait.
    pub(crate) fn has_units(&self) -> bool {
        !self.held.is_empty()
    }

    /// Forget what waits, since nobody will take it.
    pub(super) fn forget(&mut self) {
        self.figures.forgotten += self.held.len() as u64;
        self.held.clear();
    }

    /// Forget what waits since before that, since what comes now begins behind it; how it is coded counts on.
    pub(super) fn forget_older(&mut self, kept: Duration, now: Instant) {
        while let Some(raw) = self.held.pop_front_if(|raw| raw.arrival + kept <= now) {
            self.format = raw.format.or(self.format.take());
        }
    }

    /// Its place in the packager; from now on units are placed.
    pub(crate) fn begin(&mut self, place: usize, timeline: &mut Timeline) {
        self.place = Some(place);
        if !self.is_made() {
            self.tie(timeline);
        }
    }

    /// Its place on the timeline.
    fn tie(&mut self, timeline: &mut Timeline) -> usize {
        if let Some(number) = self.number {
            return number;
        }
        let stamps = self.coding.stamps();
        let rate = self.format.as_ref().map_or(stamps.rate, Format::clock_rate);
        let number = timeline.add_track(stamps, rate);
        self.number = Some(number);
        if let Some((wall_us, stamp)) = self.report {
            timeline.handle_report(number, wall_us, stamp.into());
        }
        number
    }

    /// Whether lists can have it as it is.
    pub(super) fn can_be_listed(&self) -> bool {
        self.coding.is_carried() && self.listable
    }

    /// Whether its units can be placed: its clock is tied to those of others, or was waited for.
    pub(super) fn may_be_placed(&self, patience: Duration, now: Instant) -> bool {
        let waited = self
            .first_packet
            .is_some_and(|first| first + patience <= now);
        self.has_units() && self.format.is_some() && (self.is_tied() || waited)
    }

    /// Whether it is made in this place, of another track.
    pub(super) fn is_made(&self) -> bool {
        matches!(self.coding, Coding::Made { .. })
    }

    /// Show units that have come since last asked to who codes them anew, with times of the program: each with its format
    /// where that may be another, and whether it does not follow on the one before. What is in no list goes with that.
    pub(super) fn offer(
        &mut self,
        timeline: &mut Timeline,
        mut take: impl FnMut(AccessUnit, Option<&Format>, bool),
    ) {
        let (number, bits) = (self.tie(timeline), self.coding.stamps().bits);
        for raw in self.held.iter_mut().filter(|raw| !raw.offered) {
            raw.offered = true;
            raw.place(timeline, Some(number), bits, &mut self.broken);
            if let Some(placed) = raw.placed {
                let unit = AccessUnit {
                    dts: placed.dts,
                    pts: placed.pts,
                    ..raw.unit.clone()
                };
                take(unit, raw.format.as_ref(), raw.breaks);
            }
        }
        if !self.listed {
            self.figures.units += self.held.len() as u64;
            self.held.clear();
        }
    }

    /// Take a unit that was made of another track's; its times are those of the program.
    pub(super) fn handle_made(&mut self, unit: AccessUnit, format: Option<Format>, now: Instant) {
        self.figures.bytes += unit.data.len() as u64;
        self.first_packet.get_or_insert(now);
        self.last_packet = Some(now);
        if unit.keyframe {
            self.last_keyframe = Some(now);
        }
        let placed = Placed {
            dts: unit.dts,
            pts: unit.pts,
            discontinuity: None,
        };
        let mut raw = Raw::from((unit, format, now));
        (raw.placed, raw.breaks) = (Some(placed), std::mem::take(&mut self.broken));
        self.held.push_back(raw);
        self.note_news();
    }

    /// What is made of another track goes on anew.
    pub(super) fn break_off(&mut self) {
        self.broken = self.format.is_some();
    }

    /// A sender report: at this wall time its timestamps were there.
    pub(crate) fn handle_report(&mut self, wall_us: i64, stamp: u32, timeline: &mut Timeline) {
        self.report = Some((wall_us, stamp));
        if let Some(number) = self.number {
            timeline.handle_report(number, wall_us, stamp.into());
        }
    }

    /// Whether a report has tied it to wall time, or its clock is that of the others anyway.
    pub(crate) fn is_tied(&self) -> bool {
        self.report.is_some() || self.coding.stamps().shared
    }

    /// The next step towards the packager.
    pub(crate) fn next_step(&mut self, timeline: &mut Timeline) -> Option<Step> {
        self.place?;
        while self.held.pop_front_if(|raw| !raw.listable).is_some() {
            self.figures.forgotten += 1;
        }
        let raw = self.held.front_mut()?;
        if let Some(format) = raw.format.take()
            && self.format.as_ref() != Some(&format)
        {
            if let Some(number) = self.number.filter(|_| raw.placed.is_none()) {
                timeline.change_rate(number, format.clock_rate());
            }
            self.format = Some(format.clone());
            return Some(Step::Format(format));
        }
        let bits = self.coding.stamps().bits;
        raw.place(timeline, self.number, bits, &mut self.broken);
        let placed = raw.placed?;
        if std::mem::take(&mut raw.breaks) {
            self.figures.breaks += 1;
            return Some(Step::Broken);
        }
        let mut unit = self.held.pop_front()?.unit;
        if self.is_whole() {
            let rate = self.format.as_ref().map_or(90_000, Format::clock_rate);
            let (placed_us, source_us) = (us(placed.dts, rate), us(unit.dts, INGEST_RATE));
            self.offset_us = Some(placed_us - source_us);
        }
        (unit.dts, unit.pts) = (placed.dts, placed.pts);
        let lasted = self.newest.map_or(0, |(before, _)| unit.dts - before);
        self.newest = Some((unit.dts, lasted));
        self.figures.units += 1;
        self.figures.keyframes += u64::from(unit.keyframe && self.is_video());
        Some(Step::Unit(unit))
    }
}

/// Microseconds of ticks.
fn us(ticks: i64, rate: u32) -> i64 {
    (i128::from(ticks) * 1_000_000 / i128::from(rate.max(1))) as i64
}
