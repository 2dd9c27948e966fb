//! One packager: its tracks on one timeline, from the first packet to the end of the list.
//!
//! A value without threads and clocks: packets and the time come in, events and requests for keyframes go out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_frames::{AccessUnit, Format, Timeline};
use roomtone_hls::{Channel, EncryptionConfig, Packager, PackagerConfig, Track as PackagerTrack};
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_rtp::{NtpTime, RtpPacket};
use roomtone_sfu::WallClock;

use super::beside::{Beside, Waiting};
use super::coding::OF_INGEST;
use super::cues::Cues;
use super::following::Following;
use super::playing::Playing;
use super::pressing::{Pressing, QueueId, Queued};
use super::standby::Standbys;
use super::track::{NewTrack, Step, Track};
use super::transcoding::Job;
use super::watch::Watch;
use crate::values::{PackagerTrackInfo, PackagerWarning};

/// So long after a track was added it is waited for another, and for reports that tie them together.
const SETTLE: Duration = Duration::from_millis(1_500);
/// A track that says nothing for so long is left out, once another could begin.
const PATIENCE: Duration = Duration::from_secs(6);

/// What a program tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// There is something to put on the shelf.
    Begun,
    /// The first playlist can be read.
    Started(Vec<PackagerTrackInfo>),
    /// The track of this id goes on with what waited for its place, which has this SSRC.
    Switched(u64, u32),
    /// Whose source it lists from now on; none: its own.
    Pointed(Option<u64>),
    /// Something is wrong with a track, by its name, or with all of it.
    Warned(Option<String>, PackagerWarning),
}

/// The packager refused what no packager can take: the program is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpackable;

/// How a program is opened.
#[derive(Debug, Clone)]
pub(crate) struct ProgramConfig {
    /// In all names of its media.
    pub(crate) run: String,
    pub(crate) window_us: u64,
    pub(crate) part_us: Option<u64>,
    pub(crate) encryption: Option<EncryptionConfig>,
    /// What sender reports are written by.
    pub(crate) clock: WallClock,
}

/// A packager and what feeds it.
pub(super) struct Program {
    config: ProgramConfig,
    opened: Instant,
    pub(super) timeline: Timeline,
    pub(super) tracks: Vec<Track>,
    /// What is to go on in places of them.
    pub(super) standbys: Standbys,
    /// Whose units it lists, of an encoder's.
    pub(super) following: Following,
    /// How much later than its source says sound is to lie.
    sound_shift_ns: i64,
    /// Who codes tracks of it anew.
    pub(super) jobs: Vec<Job>,
    /// Once it has begun.
    pub(super) channel: Option<Arc<Channel>>,
    started: bool,
    /// When a track was added last, and when the first could begin.
    added: Option<Instant>,
    ready: Option<Instant>,
    pub(super) watch: Watch,
    pub(super) cues: Cues,
    /// Lines of text and tags.
    pub(super) waiting: Waiting,
    /// Who is given what is listed in other ways.
    pub(super) playing: Playing,
    /// How full its queues are.
    pub(super) pressing: Pressing,
    /// Units that had come too late when last asked.
    late: u64,
    pub(super) told: Vec<Told>,
    /// SSRCs of tracks whose sources are to make a keyframe.
    asked: Vec<u32>,
    /// Packets of tracks that there are not, and what is no RTP.
    pub(super) ignored: u64,
}

impl Program {
    pub(super) fn new(config: ProgramConfig, now: Instant) -> Self {
        Self {
            opened: now,
            timeline: Timeline::new(now),
            config,
            tracks: Vec::new(),
            standbys: Standbys::default(),
            following: Following::default(),
            sound_shift_ns: 0,
            jobs: Vec::new(),
            channel: None,
            started: false,
            added: None,
            ready: None,
            watch: Watch::default(),
            cues: Cues::default(),
            waiting: Waiting::default(),
            playing: Playing::default(),
            pressing: Pressing::default(),
            late: 0,
            told: Vec::new(),
            asked: Vec::new(),
            ignored: 0,
        }
    }

    /// Carry a stream; false where the program has begun without it. One of a vacant track's id goes on in its place.
    pub(super) fn add_track(&mut self, new: NewTrack, now: Instant) -> bool {
        let shows_own = self.shows_own();
        if let Some(track) = self.tracks.iter_mut().find(|one| one.id == new.track) {
            if !shows_own {
                return true; // what it lists is another's
            }
            track.renew(new);
            if track.is_whole() {
                self.timeline.restart(OF_INGEST);
            }
            return true;
        }
        let Some(track) = Track::new(new) else {
            return self.channel.is_none();
        };
        if self.channel.is_some() && !self.may_come_late(track.is_video()) {
            return false;
        }
        self.added = Some(now);
        let track = self.with_its_job(track);
        self.tracks.push(track);
        true
    }

    /// Have a stream go on in the place of the track whose id it has, once it can be shown.
    pub(super) fn stand_by(&mut self, new: NewTrack) {
        self.standbys.add(new);
    }

    /// Nothing feeds this track any more; before the beginning it is gone with that.
    pub(super) fn remove_track(&mut self, id: u64) {
        if !self.shows_own() {
            return; // what it lists is another's
        }
        // What waits of another encoder goes on to wait.
        if !self.awaits_another() {
            self.standbys.remove(id);
        }
        // Its times are another's when the next one comes.
        self.place_beside();
        if self.channel.is_none() {
            self.tracks.retain(|track| track.id != id);
        } else if let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) {
            track.vacant = true;
        }
    }

    /// What comes of a track from now on does not go on from what came before.
    pub(super) fn break_track(&mut self, id: u64) {
        if !self.shows_own() {
            return; // what it lists is another's
        }
        if let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) {
            track.break_before_next();
        }
    }

    /// Take a packet of a tap.
    pub(super) fn handle_packet(&mut self, packet: &[u8], rtcp: bool, now: Instant) {
        if rtcp {
            return self.handle_rtcp(packet);
        }
        let Ok(packet) = RtpPacket::parse(packet) else {
            self.ignored += 1;
            return;
        };
        match self
            .tracks
            .iter_mut()
            .find(|track| track.ssrc == packet.ssrc())
        {
            Some(track) => track.handle_rtp(&packet, now),
            None if self.standbys.handle_packet(&packet, now) => {}
            None => self.ignored += 1,
        }
    }

    fn handle_rtcp(&mut self, packet: &[u8]) {
        for report in parse_compound(packet) {
            let Ok(RtcpPacket::SenderReport(report)) = report else {
                continue;
            };
            let wall_us = unix_us(report.ntp.0);
            let (stamp, timeline) = (report.rtp_timestamp, &mut self.timeline);
            if let Some(track) = self.tracks.iter_mut().find(|one| one.ssrc == report.ssrc) {
                track.handle_report(wall_us, stamp, timeline);
            } else {
                let standbys = &mut self.standbys;
                standbys.handle_report(report.ssrc, wall_us, stamp, timeline);
            }
        }
    }

    /// Begin when it is time, and give the packager what has come; `may_begin` says whether so many tracks are all there
    /// are.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        may_begin: impl FnOnce(usize) -> bool,
    ) -> Result<(), Unpackable> {
        let pictures_flow = self
            .tracks
            .iter()
            .any(|track| track.is_video() && track.flows(now));
        for track in &mut self.tracks {
            track.handle_timeout(now);
            if pictures_flow {
                track.fill_pause(now);
            }
            if let Some(number) = track.number.filter(|_| !track.is_video()) {
                self.timeline.shift(number, self.sound_shift_ns);
            }
        }
        let added = self.tracks.iter().filter(|track| !track.is_made()).count();
        if self.channel.is_none() && self.is_ready(now) && may_begin(added) {
            self.begin()?;
        }
        self.feed(now)?;
        self.postpone_the_late(now);
        self.tell_unlisted(now);
        // Behind all that came before it, which is in its place now.
        let (standbys, timeline) = (&mut self.standbys, &mut self.timeline);
        let switched = standbys.promote(&mut self.tracks, timeline, now);
        if !switched.is_empty() {
            let shown = self.settle_following();
            self.told.extend(shown);
        }
        let switched = switched.into_iter();
        self.told
            .extend(switched.map(|(id, ssrc)| Told::Switched(id, ssrc)));
        self.standbys.ask(&mut self.asked, now);
        if self.standbys.is_overdue(now) {
            self.warn(PackagerWarning::SourceAwaited, now);
        }
        let open_us = self.open_us();
        self.watch.look(
            &mut self.tracks,
            open_us,
            now,
            &mut self.asked,
            &mut self.told,
        );
        Ok(())
    }

    /// No more comes: what there is is listed, and then the end.
    pub(super) fn end(&mut self, now: Instant) -> Result<(), Unpackable> {
        let has_any = |track: &Track| track.listed && track.format.is_some();
        if self.channel.is_none() && self.tracks.iter().any(has_any) {
            self.begin()?;
        }
        self.feed(now)?;
        if let Some(channel) = &self.channel {
            channel
                .with(|packager| packager.end(now))
                .map_err(|_| Unpackable)?;
        }
        Ok(())
    }

    /// Tell that something is wrong with all of it, now and then.
    pub(super) fn warn(&mut self, warning: PackagerWarning, now: Instant) {
        if self.watch.may_warn(0, warning, now) {
            self.told.push(Told::Warned(None, warning));
        }
    }

    /// What lists cannot have, and nobody makes anew, is told of.
    fn tell_unlisted(&mut self, now: Instant) {
        for track in &mut self.tracks {
            let is_its = |job: &Job| job.is_video == track.is_video();
            let is_unlisted = !track.can_be_listed() && track.flows(now);
            if track.is_made() || !is_unlisted || self.jobs.iter().any(is_its) {
                continue;
            }
            let waits = |first: Instant| first + SETTLE > now;
            if track.first_packet.is_none_or(waits) {
                continue;
            }
            if track.place.is_none() {
                track.forget();
            }
            if self
                .watch
                .may_warn(track.id, PackagerWarning::NotListed, now)
            {
                let told = Told::Warned(Some(track.name.clone()), PackagerWarning::NotListed);
                self.told.push(told);
            }
        }
    }

    /// Encrypt so from the next segment on, or from the first; an error where a track cannot be.
    pub(super) fn encrypt(
        &mut self,
        encryption: Option<EncryptionConfig>,
    ) -> Result<(), roomtone_hls::BoxError> {
        if let Some(channel) = &self.channel {
            channel.with(|packager| packager.change_encryption(encryption.as_ref()))?;
        }
        self.config.encryption = encryption;
        Ok(())
    }

    /// Have sound lie so much later, or earlier, than its source says.
    pub(super) fn shift_sound(&mut self, offset_ns: i64) {
        self.sound_shift_ns = offset_ns;
    }

    /// What has happened since last asked.
    pub(super) fn drain_told(&mut self) -> impl Iterator<Item = Told> {
        self.told.drain(..)
    }

    /// SSRCs of tracks whose sources are to make a keyframe now.
    pub(super) fn drain_asked(&mut self) -> impl Iterator<Item = u32> {
        self.asked.drain(..)
    }

    /// Its own queues: tracks that wait for their place, and who codes them anew.
    pub(super) fn queues(&self) -> Vec<Queued> {
        let tracks = self.tracks.iter().map(Track::queued);
        let jobs = self
            .jobs
            .iter()
            .map(|job| job.queued(QueueId::Transcoder(job.id)));
        tracks.chain(jobs).collect()
    }

    fn is_ready(&mut self, now: Instant) -> bool {
        let speaks = |track: &Track| track.format.is_some() && track.has_units();
        let listed = || self.tracks.iter().filter(|track| track.listed);
        if !listed().any(speaks) || self.awaits_a_job(now) {
            self.ready = None;
            return false;
        }
        let ready = *self.ready.get_or_insert(now);
        let settled = self.added.is_none_or(|added| added + SETTLE <= now);
        let tied = self.tracks.len() < 2 || self.tracks.iter().all(Track::is_tied);
        if listed().all(speaks) && settled && (tied || ready + SETTLE <= now) {
            return true;
        }
        ready + PATIENCE <= now
    }

    fn begin(&mut self) -> Result<(), Unpackable> {
        let mut listed = Vec::new();
        let mut made = Vec::new();
        for track in self.tracks.iter_mut().filter(|track| track.listed) {
            let Some(format) = track.format.clone() else {
                track.forget();
                let told = Told::Warned(Some(track.name.clone()), PackagerWarning::TrackLeftOut);
                self.told.push(told);
                continue;
            };
            track.begin(listed.len(), &mut self.timeline);
            made.extend(track.is_made().then_some(listed.len()));
            listed.push(PackagerTrack {
                name: track.name.clone(),
                format,
            });
        }
        let config = PackagerConfig {
            run: self.config.run.clone(),
            part_us: self.config.part_us,
            window_us: self.config.window_us,
            zero_us: self.unix_zero_us(),
        };
        self.playing.begin(listed.iter().map(|track| &track.format));
        let mut packager = Packager::new(config, listed);
        if let Some(encryption) = &self.config.encryption {
            packager.encrypt(encryption).map_err(|_| Unpackable)?;
        }
        for track in made {
            packager.be_patient_with(track);
        }
        self.channel = Some(Arc::new(Channel::new(packager)));
        self.told.push(Told::Begun);
        Ok(())
    }

    /// All tracks' units in the order of their times, so that none runs ahead of the others.
    fn feed(&mut self, now: Instant) -> Result<(), Unpackable> {
        let Some(channel) = self.channel.clone() else {
            return Ok(());
        };
        let mut steps: Vec<(i64, usize, Step)> = Vec::new();
        for track in &mut self.tracks {
            let Some(place) = track.place else {
                if track.listed {
                    track.forget();
                }
                continue;
            };
            let mut at_us = 0;
            let begin = steps.len();
            while let Some(step) = track.next_step(&mut self.timeline) {
                if let Step::Unit(unit) = &step {
                    at_us = unit_us(unit, track.format.as_ref());
                }
                steps.push((at_us, place, step));
            }
            // A format goes with the unit behind it.
            let mut next_us = i64::MAX;
            for (at_us, _, step) in steps[begin..].iter_mut().rev() {
                match step {
                    Step::Unit(_) => next_us = *at_us,
                    Step::Format(_) | Step::Broken => *at_us = next_us,
                }
            }
        }
        steps.sort_by_key(|(at_us, ..)| *at_us);
        let offset_us = self.tracks.iter().find_map(|track| track.offset_us);
        let ranges = offset_us.map_or_else(Vec::new, |offset_us| self.cues.take(offset_us));
        self.place_beside();
        let placed = steps.iter().map(|(_, place, step)| (*place, step));
        self.playing.handle_steps(placed);
        let fed = channel.with(|packager| {
            for range in ranges {
                packager.handle_date_range(range);
            }
            for (_, place, step) in steps {
                match step {
                    Step::Broken => packager.handle_discontinuity(place),
                    Step::Format(format) => packager.handle_format(place, format),
                    Step::Unit(unit) => packager.handle_unit(place, unit, now)?,
                }
            }
            packager.handle_timeout(now)?;
            let readable = packager.cadence().is_some();
            Ok::<_, roomtone_hls::BoxError>((readable, packager.late()))
        });
        let Ok((readable, late)) = fed else {
            let told = Told::Warned(None, PackagerWarning::Unpackable);
            self.told.push(told);
            return Err(Unpackable);
        };
        if std::mem::replace(&mut self.late, late) < late {
            self.warn(PackagerWarning::UnitsLate, now);
        }
        if readable && !std::mem::replace(&mut self.started, true) {
            let tracks = self.tracks.iter().filter(|track| track.place.is_some());
            self.told
                .push(Told::Started(tracks.filter_map(info).collect()));
        }
        Ok(())
    }

    /// Take what its source sends beside its media.
    pub(super) fn handle_beside(&mut self, what: Beside) {
        match what {
            Beside::Cue(splice) => self.cues.push(splice),
            Beside::Line(line) => self.waiting.push_line(line),
            Beside::Tag(tag) => self.waiting.push_tag(tag),
        }
    }

    /// Lines and tags that have a place in the program go there.
    fn place_beside(&mut self) {
        let offset_us = self.tracks.iter().find_map(|track| track.offset_us);
        if let (Some(offset_us), Some(channel)) = (offset_us, &self.channel)
            && !self.waiting.is_empty()
        {
            let placed = self.waiting.take(offset_us);
            channel.with(|packager| placed.give_to(packager));
        }
    }

    /// What the lists have been ahead of for seconds is placed later, since they do not wait and it does not catch up. One
    /// track at a time: what its source ties to it goes along. What is made here is as late as its maker.
    fn postpone_the_late(&mut self, now: Instant) {
        let Some(channel) = &self.channel else {
            return;
        };
        let tracks = self.tracks.iter().filter(|track| !track.is_made());
        let placed = tracks.filter_map(|track| track.place.zip(track.number));
        let lateness = channel.with(|packager| {
            let late = placed.filter_map(|(place, number)| {
                let by = packager.take_lateness(place, now)?;
                Some((by, number))
            });
            late.max()
        });
        if let Some((by, number)) = lateness {
            self.timeline.postpone(number, by);
        }
    }

    /// How long the open segment is; none before the first playlist.
    fn open_us(&self) -> Option<u64> {
        let channel = self.channel.as_ref()?;
        channel.with(|packager| packager.cadence().map(|_| packager.open_us()))
    }

    /// Wall time at the zero of the timeline.
    fn unix_zero_us(&self) -> i64 {
        let clock = &self.config.clock;
        let since = self.opened.saturating_duration_since(clock.at);
        unix_us(clock.ntp) + since.as_micros() as i64 - Timeline::LEAD.as_micros() as i64
    }
}

/// Microseconds since 1970 of seconds since 1900, 32.32.
pub(crate) fn unix_us(ntp: u64) -> i64 {
    let seconds = (ntp >> 32) as i64 - NtpTime::UNIX_EPOCH_SECONDS as i64;
    let micros = ((ntp & 0xffff_ffff) * 1_000_000) >> 32;
    seconds * 1_000_000 + micros as i64
}

fn unit_us(unit: &AccessUnit, format: Option<&Format>) -> i64 {
    let rate = format.map_or(90_000, Format::clock_rate);
    unit.dts * 1_000_000 / i64::from(rate)
}

/// What a track is, for whoever asked for it.
fn info(track: &Track) -> Option<PackagerTrackInfo> {
    let format = track.format.as_ref()?;
    let size = format.size();
    Some(PackagerTrackInfo {
        track: track.id,
        name: track.name.clone(),
        codec: format.codec_string(),
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        channels: format.channels(),
    })
}
