//! A track of a packager that is pointed at another producer: the one before goes on until the new one can be shown.
//!
//! Both are consumers of the packager's transport meanwhile. The live thread, which puts their packets together, says when the
//! new one has taken the place; the other is closed then.

use roomtone_rtp::MediaKind;

use super::Shard;
use super::commands::Answered;
use super::objects::Carrier;
use super::packaging::TapEnd;
use crate::failure::Failure;
use crate::live::Message;
use crate::values::CommandResult;

/// What waits to take the place of what feeds a track.
pub(crate) struct Waiting {
    /// Id of its consumer.
    consumer: u64,
    ssrc: u32,
    producer: u64,
}

impl Shard {
    /// Have a track go on with another producer once that can be shown.
    pub(super) fn switch_packager_track(
        &mut self,
        packager: u64,
        track: u64,
        producer: u64,
    ) -> Answered {
        let (slot, kind, tap) = self.tap(packager, producer)?;
        let Carrier::Packager(end) = &self.transports[slot].carrier else {
            return Err(Failure::not_found("packager", packager));
        };
        let held = end.tracks.iter().find(|one| one.track == track);
        let held = held.ok_or_else(|| Failure::not_found("track", track))?;
        if held.kind != kind {
            return Err(Failure::invalid("a track goes on with what is of its kind"));
        }
        if !end.board.has_begun() {
            return Err(Failure::wrong_state(
                "the packager has not begun: take the track off and add the other",
            ));
        }
        let name = held.name.clone();
        // Only the newest wish waits.
        self.drop_waiting(slot, track)?;
        let (consumer, description) = self.add_consumer(slot, tap.consumer(producer, kind))?;
        if kind == MediaKind::Audio {
            self.on_consumer(consumer, |router, id, _| router.set_audio_pinned(id, true))?;
        }
        let ssrc = description.ssrc;
        self.live.tell(Message::StandBy(Box::new(
            tap.stream(packager, track, name, ssrc),
        )));
        if let Some(held) = self.tap_end(slot, track) {
            held.waiting = Some(Waiting {
                consumer,
                ssrc,
                producer,
            });
        }
        Ok(Some(CommandResult::PackagerTrackAdded { track }))
    }

    /// The live thread goes on with what waited; nothing, where that was taken off meanwhile.
    pub(super) fn on_packager_switched(&mut self, packager: u64, track: u64, ssrc: u32) {
        let Ok(slot) = self.packager(packager) else {
            return;
        };
        let Some(held) = self.tap_end(slot, track) else {
            return;
        };
        let Some(waiting) = held.waiting.take_if(|waiting| waiting.ssrc == ssrc) else {
            return;
        };
        let before = std::mem::replace(&mut held.consumer, waiting.consumer);
        (held.ssrc, held.producer) = (waiting.ssrc, Some(waiting.producer));
        // One that is gone needs no closing.
        let _ = self.close_consumer(before);
    }

    /// What waits for a track's place waits no more.
    pub(super) fn drop_waiting(&mut self, slot: usize, track: u64) -> Result<(), Failure> {
        let waiting = self
            .tap_end(slot, track)
            .and_then(|held| held.waiting.take());
        match waiting {
            Some(waiting) => self.close_consumer(waiting.consumer),
            None => Ok(()),
        }
    }

    fn tap_end(&mut self, slot: usize, track: u64) -> Option<&mut TapEnd> {
        let Carrier::Packager(end) = &mut self.transports[slot].carrier else {
            return None;
        };
        end.tracks.iter_mut().find(|one| one.track == track)
    }
}
