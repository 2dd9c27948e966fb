//! What the live thread is asked about transcoders.

use std::time::Instant;

use super::super::thread::LiveThread;
use super::{Job, Link, Maker, Making};
use crate::failure::Failure;
use crate::ids;
use crate::values::{CommandResult, ErrorCode, MediaKind, StreamTranscoding};

/// Tracks coded anew for routers at a time; one more is refused.
const MAX_MAKINGS: usize = 256;

impl LiveThread {
    pub(in super::super) fn open_transcoder(
        &mut self,
        wish: &StreamTranscoding,
        now: Instant,
    ) -> Result<CommandResult, Failure> {
        let (is_video, keep) = (wish.kind == MediaKind::Video, wish.keep);
        if wish.paces && (keep || !is_video) {
            let message = "only pictures that are not kept are made at a pace of their own";
            return Err(Failure::invalid(message));
        }
        let running = self
            .running
            .get_mut(&wish.packager)
            .ok_or_else(|| Failure::not_found("packager", wish.packager))?;
        running.program.may_have_job(is_video)?;
        let id = ids::allocate(ids::INGEST);
        let link = listen(id, &wish.path)?;
        running.board.set_transcoded(is_video, !keep);
        running.links.push(link);
        let job = if wish.paces {
            running.board.set_paced(true);
            Job::paced(id, now)
        } else {
            Job::new(id, is_video, keep, now)
        };
        running.program.add_job(job);
        Ok(CommandResult::TranscoderOpened { transcoder: id })
    }

    pub(in super::super) fn close_transcoder(
        &mut self,
        packager: u64,
        transcoder: u64,
    ) -> Result<CommandResult, Failure> {
        let running = self
            .running
            .get_mut(&packager)
            .ok_or_else(|| Failure::not_found("packager", packager))?;
        let is_video = running
            .program
            .remove_job(transcoder)
            .ok_or_else(|| Failure::not_found("transcoder", transcoder))?;
        running.board.set_transcoded(is_video, false);
        if is_video {
            running.board.set_paced(false);
        }
        running.links.retain(|link| link.id() != transcoder);
        Ok(CommandResult::Done {})
    }

    pub(in super::super) fn open_track_transcoder(
        &mut self,
        track: u64,
        path: &str,
        now: Instant,
    ) -> Result<CommandResult, Failure> {
        let outlets = &self.shared.outlets;
        let source = outlets.find(track);
        let source = source.ok_or_else(|| Failure::not_found("track", track))?;
        if source.promised {
            return Err(Failure::wrong_state("the track is made of another"));
        }
        if self.makings.len() >= MAX_MAKINGS {
            let message = format!("{MAX_MAKINGS} tracks are coded anew for routers");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        let id = ids::allocate(ids::INGEST);
        let link = listen(id, path)?;
        let made = outlets.promise(ids::allocate(ids::INGEST), &source);
        let track = made.id;
        let maker = Maker::new(id, made, now);
        self.makings.push(Making::begin(maker, &source, link));
        Ok(CommandResult::TrackTranscoderOpened {
            transcoder: id,
            track,
        })
    }

    pub(in super::super) fn close_track_transcoder(
        &mut self,
        transcoder: u64,
    ) -> Result<CommandResult, Failure> {
        let at = self.makings.iter().position(|one| one.id() == transcoder);
        let at = at.ok_or_else(|| Failure::not_found("transcoder", transcoder))?;
        self.makings.swap_remove(at);
        Ok(CommandResult::Done {})
    }
}

fn listen(id: u64, path: &str) -> Result<Link, Failure> {
    Link::open(id, path)
        .map_err(|error| Failure::invalid(format!("{path} cannot be listened at: {error}")))
}
