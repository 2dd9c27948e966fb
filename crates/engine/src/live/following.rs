//! A stream of an encoder that shows another's: units of that one are given to both, and what is shown changes at a keyframe.
//!
//! Its own encoder may go on, go away and come back meanwhile; the tracks stay those it began with.

use roomtone_frames::Format;

use super::Run;
use super::beside::Beside;
use super::coding::{Found, OF_INGEST};
use super::program::{Program, Told};
use super::thread::LiveThread;
use super::track::{NewTrack, Track};
use crate::ids;
use crate::shard::{Control, ShardHandle};

/// Whose units they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Own,
    /// Those of another packager.
    Of(u64),
}

impl From<Option<u64>> for Source {
    fn from(packager: Option<u64>) -> Self {
        packager.map_or(Self::Own, Self::Of)
    }
}

/// What becomes of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// They are listed.
    Shown,
    /// They are to be, from a keyframe on.
    Waiting,
    Unseen,
}

/// Whose units a program lists: those of its own source, or of another packager.
#[derive(Debug, Default)]
pub(super) struct Following {
    shown: Source,
    /// Whose are to be listed instead.
    coming: Option<Source>,
    /// How its own source codes pictures and sound, whether that is shown or not.
    own: Vec<Format>,
}

impl Following {
    fn role(&self, source: Source) -> Role {
        if self.shown == source {
            Role::Shown
        } else if self.coming == Some(source) {
            Role::Waiting
        } else {
            Role::Unseen
        }
    }

    fn note(&mut self, format: &Format) {
        self.own.retain(|one| one.is_video() != format.is_video());
        self.own.push(format.clone());
    }
}

impl Program {
    /// List what another packager's source sends, or, with none, its own again, from a keyframe on; `formats` is how that
    /// is coded.
    pub(super) fn follow(&mut self, source: Option<u64>, formats: &[Format]) {
        let source = Source::from(source);
        let is_other = self.following.shown != source;
        for track in self.tracks.iter().filter(|track| is_own(track)) {
            self.standbys.remove(track.id);
            if is_other {
                let is_video = track.is_video();
                let format = formats.iter().find(|one| one.is_video() == is_video);
                let new = NewTrack::whole(0, track.id, is_video);
                self.standbys.add_coded(new, format.cloned());
            }
        }
        self.following.coming = is_other.then_some(source);
    }

    /// Whether it lists what this packager's source sends, or is about to.
    pub(super) fn follows(&self, packager: u64) -> bool {
        self.following.role(Source::Of(packager)) != Role::Unseen
    }

    /// Whether its own source feeds it.
    pub(super) fn shows_own(&self) -> bool {
        self.following.shown == Source::Own
    }

    /// Whether its own source feeds it until another's can be shown.
    pub(super) fn awaits_another(&self) -> bool {
        matches!(self.following.coming, Some(Source::Of(_)))
    }

    /// Another encoder, or the same anew, sends what another packager's source sent: its times have nothing to do with those
    /// before.
    pub(super) fn renew_followed(&mut self, packager: u64) {
        if self.following.shown == Source::Of(packager) {
            self.timeline.restart(OF_INGEST);
            let own = self.tracks.iter_mut().filter(|track| is_own(track));
            own.for_each(Track::break_before_next);
        }
    }

    /// What comes of another packager's source does not go on from what came before.
    pub(super) fn break_followed(&mut self, packager: u64, is_video: bool) {
        if self.following.shown == Source::Of(packager) {
            let own = self.tracks.iter_mut().filter(|track| is_own(track));
            own.filter(|track| track.is_video() == is_video)
                .for_each(Track::break_before_next);
        }
    }

    /// How its own source codes pictures and sound.
    pub(super) fn own_formats(&self) -> &[Format] {
        &self.following.own
    }

    /// Take a unit of its own source.
    pub(super) fn handle_unit(&mut self, track: u64, found: Found) {
        if let Some(format) = &found.1 {
            self.following.note(format);
        }
        self.give(self.following.role(Source::Own), track, found);
    }

    /// Take a unit of another packager's source.
    pub(super) fn handle_followed(&mut self, packager: u64, is_video: bool, found: Found) {
        let role = self.following.role(Source::Of(packager));
        let mut own = self.tracks.iter().filter(|track| is_own(track));
        if let Some(id) = own
            .find(|track| track.is_video() == is_video)
            .map(|track| track.id)
        {
            self.give(role, id, found);
        }
    }

    /// Take what another packager's source sends beside its media.
    pub(super) fn handle_followed_beside(&mut self, packager: u64, what: &Beside) {
        if self.following.role(Source::Of(packager)) == Role::Shown {
            self.handle_beside(what.clone());
        }
    }

    /// What waited is shown now: whose source that is, where it is another than before.
    pub(super) fn settle_following(&mut self) -> Option<Told> {
        let source = self.following.coming.take()?;
        self.following.shown = source;
        Some(Told::Pointed(match source {
            Source::Own => None,
            Source::Of(packager) => Some(packager),
        }))
    }

    fn give(&mut self, role: Role, id: u64, found: Found) {
        match role {
            Role::Shown => match self.tracks.iter_mut().find(|one| one.id == id) {
                Some(track) => track.handle_unit(found),
                None => self.ignored += 1,
            },
            Role::Waiting => self.standbys.handle_unit(id, found),
            // Its own encoder may go on as it likes.
            Role::Unseen => {}
        }
    }
}

impl LiveThread {
    /// Has a packager list what another's source sends, or its own again.
    pub(super) fn follow(&mut self, packager: u64, source: Option<u64>) {
        let of = self.running.get(&source.unwrap_or(packager));
        let formats = of.map(|one| one.program.own_formats().to_vec());
        // One that is gone is not followed, and is told of to whoever follows.
        if let Some(formats) = formats {
            self.followed = true;
            self.with(packager, |one| one.program.follow(source, &formats));
        }
    }

    /// Those who list what this packager's source sends, or are about to.
    fn followers_of(&self, packager: u64) -> Vec<u64> {
        if !self.followed {
            return Vec::new();
        }
        let all = self.running.iter();
        let followers = all.filter(|(_, one)| one.program.follows(packager));
        followers.map(|(id, _)| *id).collect()
    }

    /// Tells those who list it as well that another encoder goes on as a packager's source, or the same anew.
    pub(super) fn renew_followers_of(&mut self, packager: u64) {
        for follower in self.followers_of(packager) {
            self.with(follower, |one| one.program.renew_followed(packager));
        }
    }

    /// Gives what has come to those who list it as well.
    pub(super) fn give_to_followers(&mut self, run: &Run) {
        let followers = self.followers_of(run.packager);
        if followers.is_empty() {
            return;
        }
        let Some(source) = self.running.get(&run.packager) else {
            return;
        };
        let tracks = source.program.tracks.iter();
        let kinds: Vec<(u64, bool)> = tracks.map(|one| (one.id, one.is_video())).collect();
        for follower in followers {
            self.with(follower, |one| {
                for track in &run.breaks {
                    if let Some((_, is_video)) = kinds.iter().find(|(id, _)| id == track) {
                        one.program.break_followed(run.packager, *is_video);
                    }
                }
                for (track, found) in &run.units {
                    if let Some((_, is_video)) = kinds.iter().find(|(id, _)| id == track) {
                        let program = &mut one.program;
                        program.handle_followed(run.packager, *is_video, found.clone());
                    }
                }
                for what in &run.beside {
                    one.program.handle_followed_beside(run.packager, what);
                }
            });
        }
    }
}

/// Has the shard of a packager know what feeds a track of it now.
pub(super) fn tell_switched(shards: &[ShardHandle], packager: u64, track: u64, ssrc: u32) {
    if let Some(shard) = shards.get(ids::shard_of(packager)) {
        shard.control(Control::PackagerSwitched {
            packager,
            track,
            ssrc,
        });
    }
}

/// Whether a track is one that its own source had at the beginning.
fn is_own(track: &Track) -> bool {
    track.is_whole() && !track.is_made()
}
