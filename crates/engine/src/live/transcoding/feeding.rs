//! What a program does for those who code its tracks anew.

use std::time::{Duration, Instant};

use roomtone_frames::AccessUnit;
use roomtone_frames::exchange::{Output, Said, TIME_RATE};

use super::super::MAX_TRACKS;
use super::super::coding::Coding;
use super::super::program::{Program, Told};
use super::super::track::{NewTrack, Track};
use super::queue::Queue;
use super::{Job, PATIENCE};
use crate::counters::LiveCounters;
use crate::failure::Failure;
use crate::ids;
use crate::values::PackagerWarning;

/// So long a source is waited for its first sender report, which says where its units are.
const TIE: Duration = Duration::from_secs(1);
/// Times above this, three years of 90 kHz, are none.
const MAX_TICKS: i64 = 1 << 43;

impl Program {
    /// Whether tracks of a kind may be coded anew from now on.
    pub(in super::super) fn may_have_job(&self, is_video: bool) -> Result<(), Failure> {
        if self.channel.is_some() {
            return Err(Failure::wrong_state("the packager has begun"));
        }
        if self.jobs.iter().any(|job| job.is_video == is_video) {
            let message = "tracks of this kind are coded anew already";
            return Err(Failure::wrong_state(message));
        }
        Ok(())
    }

    pub(in super::super) fn add_job(&mut self, job: Job) {
        let (listed, paced) = (job.keeps_source, job.paces);
        if let Some(source) = self.source_of(job.is_video) {
            source.listed &= listed;
            source.paced = paced;
        }
        self.jobs.push(job);
    }

    /// Have no track coded anew by this one; which kind it was.
    pub(in super::super) fn remove_job(&mut self, id: u64) -> Option<bool> {
        let at = self.jobs.iter().position(|job| job.id == id)?;
        let job = self.jobs.swap_remove(at);
        let made = |id: u64| job.outputs.iter().any(|(_, track)| *track == Some(id));
        if self.channel.is_none() {
            self.tracks.retain(|track| !made(track.id));
            if let Some(source) = self.source_of(job.is_video) {
                source.listed = source.can_be_listed();
            }
        } else {
            let tracks = self.tracks.iter_mut();
            tracks
                .filter(|track| made(track.id))
                .for_each(|track| track.vacant = true);
        }
        Some(job.is_video)
    }

    /// A new track as it is with those who code it anew.
    pub(in super::super) fn with_its_job(&self, mut track: Track) -> Track {
        let is_source = |job: &&Job| job.is_video == track.is_video();
        let job = self.jobs.iter().find(is_source);
        track.listed = job.is_none_or(|job| job.keeps_source) && track.can_be_listed();
        track.paced = job.is_some_and(|job| job.paces);
        track
    }

    /// Whether a source of this kind may come after the beginning: nothing of it is listed.
    pub(in super::super) fn may_come_late(&self, is_video: bool) -> bool {
        let awaited = |job: &Job| job.paces && job.is_video == is_video;
        let is_source = |track: &Track| track.is_video() == is_video && !track.is_made();
        self.jobs.iter().any(awaited) && !self.tracks.iter().any(is_source)
    }

    /// Whether somebody who codes a track anew has not sent all of what they make, and may yet.
    pub(in super::super) fn awaits_a_job(&self, now: Instant) -> bool {
        let speaks = |id: &u64| {
            let track = self.tracks.iter().find(|track| track.id == *id);
            track.is_none_or(|track| track.format.is_some() && track.has_units())
        };
        self.jobs.iter().any(|job| {
            let is_source = |one: &Track| one.is_video() == job.is_video && !one.is_made();
            let source = self.tracks.iter().find(|track| is_source(track));
            let begun = source.and_then(|track| track.first_packet);
            let begun = begun.or(job.paces.then_some(job.opened));
            let mut made = job.outputs.iter().filter_map(|(_, track)| track.as_ref());
            begun.is_some_and(|begun| begun.max(job.opened) + PATIENCE > now)
                && !(job.declared && made.all(speaks))
        })
    }

    /// Give a job what has come of its source.
    pub(in super::super) fn feed_job(&mut self, id: u64, counters: &LiveCounters, now: Instant) {
        let (tracks, timeline) = (&mut self.tracks, &mut self.timeline);
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return;
        };
        if job.is_time_due(now) {
            let ns = i128::from(timeline.nanoseconds(now));
            job.tell_time((ns * i128::from(TIME_RATE) / 1_000_000_000) as i64, now);
        }
        let source = tracks
            .iter_mut()
            .find(|track| track.is_video() == job.is_video && !track.is_made());
        let Some(source) = source.filter(|track| track.may_be_placed(TIE, now)) else {
            return;
        };
        let before = job.figures;
        let mut is_slow = false;
        source.offer(timeline, |unit, format, breaks| {
            is_slow |= job.offer(&unit, format, breaks);
        });
        counters
            .transcoder_units_sent
            .add(job.figures.sent - before.sent);
        counters
            .transcoder_units_skipped
            .add(job.figures.skipped - before.skipped);
        counters
            .transcoder_groups_dropped
            .add(job.figures.groups - before.groups);
        if is_slow {
            self.warn_of_job(PackagerWarning::TranscoderSlow, now);
        }
    }

    pub(super) fn job_queue(&mut self, id: u64) -> Option<&mut Queue> {
        let job = self.jobs.iter_mut().find(|job| job.id == id)?;
        Some(&mut job.queue)
    }

    /// What is to be sent to a job's process next.
    #[cfg(test)]
    pub(in super::super) fn take_for_job(&mut self, id: u64) -> Option<Vec<u8>> {
        let queue = self.job_queue(id)?;
        let bytes = queue.front()?.to_vec();
        queue.advance(bytes.len());
        Some(bytes)
    }

    /// A process has come for a job.
    pub(in super::super) fn job_connected(&mut self, id: u64) {
        let has_begun = self.channel.is_some();
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            job.connect(!has_begun);
        }
    }

    /// It is gone: what it made goes on when another comes.
    pub(in super::super) fn job_lost(&mut self, id: u64, now: Instant) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return;
        };
        job.disconnect();
        job.queue.begin_anew();
        for track in &mut self.tracks {
            if job.outputs.iter().any(|(_, made)| *made == Some(track.id)) {
                track.break_off();
            }
        }
        self.warn_of_job(PackagerWarning::TranscoderLost, now);
    }

    /// Take what the process of a job sent; how many units that was, or none where it cannot be read.
    pub(in super::super) fn handle_made(
        &mut self,
        id: u64,
        bytes: &[u8],
        now: Instant,
    ) -> Option<u64> {
        let job = self.jobs.iter_mut().find(|job| job.id == id)?;
        let Ok(said) = job.handle_bytes(bytes) else {
            self.warn_of_job(PackagerWarning::TranscoderMalformed, now);
            return None;
        };
        let mut made = 0;
        for one in said {
            match one {
                Said::Outputs(outputs) => self.declare(id, outputs),
                Said::Format(number, format) => {
                    if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
                        job.put_format(number, format);
                    }
                }
                Said::Unit(number, unit) => {
                    made += 1;
                    self.take_made(id, number, unit, now);
                }
                Said::Break(number) => {
                    if let Some(track) = self.made_track(id, number) {
                        track.break_off();
                    }
                }
            }
        }
        Some(made)
    }

    fn take_made(&mut self, id: u64, number: u8, unit: AccessUnit, now: Instant) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return;
        };
        job.figures.made += 1;
        let format = job.take_format(number);
        let is_sane = (0..MAX_TICKS).contains(&unit.dts) && (0..MAX_TICKS).contains(&unit.pts);
        if let Some(track) = self.made_track(id, number).filter(|_| is_sane) {
            track.handle_made(unit, format, now);
        } else {
            self.ignored += 1;
        }
    }

    /// What a process makes: tracks of the program, new or, by their names, those that it made before.
    fn declare(&mut self, id: u64, outputs: Vec<Output>) {
        let Some(at) = self.jobs.iter().position(|job| job.id == id) else {
            return;
        };
        let before: Vec<u64> = self.jobs[at]
            .outputs
            .iter()
            .filter_map(|(_, track)| *track)
            .collect();
        let mut declared = Vec::new();
        for output in outputs {
            let found = self.tracks.iter().find(|track| track.name == output.name);
            let track = match found {
                Some(track) => Some(track.id).filter(|id| before.contains(id)),
                None if self.channel.is_some() || self.tracks.len() >= MAX_TRACKS => None,
                None => Some(self.add_made(&output)),
            };
            self.ignored += u64::from(track.is_none());
            declared.push((output.number, track));
        }
        self.jobs[at].outputs = declared;
        self.jobs[at].declared = true;
    }

    fn add_made(&mut self, output: &Output) -> u64 {
        let id = ids::allocate(ids::INGEST);
        let is_video = output.is_video;
        self.tracks.extend(Track::new(NewTrack {
            packager: 0,
            track: id,
            name: output.name.clone(),
            ssrc: 0,
            codings: vec![(0, Coding::Made { is_video })],
            makes_keyframes: false,
        }));
        id
    }

    fn made_track(&mut self, job: u64, number: u8) -> Option<&mut Track> {
        let job = self.jobs.iter().find(|one| one.id == job)?;
        let (_, id) = job.outputs.iter().find(|(of, _)| *of == number)?;
        let id = (*id)?;
        self.tracks.iter_mut().find(|track| track.id == id)
    }

    fn source_of(&mut self, is_video: bool) -> Option<&mut Track> {
        let mut tracks = self.tracks.iter_mut();
        tracks.find(|track| track.is_video() == is_video && !track.is_made())
    }

    fn warn_of_job(&mut self, warning: PackagerWarning, now: Instant) {
        if self.watch.may_warn(0, warning, now) {
            self.told.push(Told::Warned(None, warning));
        }
    }
}
