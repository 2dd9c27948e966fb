//! Commands about packagers: transports whose far end is the live thread.
//!
//! A track is a consumer of that transport. One whose producer is gone, or was taken off, is vacant: the next stream
//! of its kind goes on in its place, since the lists of a packager that has begun cannot be given another track.

use std::sync::Arc;
use std::time::Duration;

use roomtone_rtp::MediaKind;
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, FeedbackKinds, ProducerId, QualitySubject,
    TransportId, TransportParams,
};

use super::Shard;
use super::commands::{Answered, DONE};
use super::egress::Writer;
use super::inbox::BatchPool;
use super::mail::Mail;
use super::objects::{Carrier, Object};
use super::standing_by::Waiting;
use crate::counters::Counters;
use crate::failure::Failure;
use crate::ids;
use crate::live::{self, Board, Coding, MAX_TRACKS, Message, NewTrack, ProgramConfig};
use crate::values::{CloseReason, CommandResult, ErrorCode, Listing};

/// Empty batches kept for a packager's taps.
const KEPT_BATCHES: usize = 64;
/// Longest name, in bytes.
const MAX_NAME: usize = 256;
/// How much may be listed: a day.
const MAX_WINDOW: Duration = Duration::from_hours(24);
/// How long parts may be wished to be, in milliseconds.
const PART_MS: std::ops::RangeInclusive<u32> = 100..=2_000;

/// The shard's end of a packager.
pub(crate) struct PackagerEnd {
    /// What it is called on the shelf.
    pub(crate) name: String,
    pub(crate) tracks: Vec<TapEnd>,
    pub(super) board: Arc<Board>,
    pool: BatchPool,
}

/// A track as the shard knows it.
pub(crate) struct TapEnd {
    /// Its id, which is that of its first consumer.
    pub(crate) track: u64,
    pub(crate) kind: MediaKind,
    /// Id of the consumer that brings it.
    pub(super) consumer: u64,
    pub(super) name: String,
    pub(super) ssrc: u32,
    /// What feeds it; it may be gone.
    pub(super) producer: Option<u64>,
    /// What is to feed it once that can be shown.
    pub(super) waiting: Option<Waiting>,
}

impl PackagerEnd {
    fn new(name: String) -> Self {
        Self {
            name,
            tracks: Vec::new(),
            board: Arc::default(),
            pool: BatchPool::new(KEPT_BATCHES),
        }
    }

    /// `video`, `video2` and so on.
    fn free_name(&self, kind: MediaKind) -> String {
        let name = |number: usize| match number {
            1 => kind.to_string(),
            number => format!("{kind}{number}"),
        };
        let is_free = |name: &String| self.tracks.iter().all(|one| one.name != *name);
        // One more than there are tracks.
        (1..=MAX_TRACKS + 1)
            .map(name)
            .find(is_free)
            .unwrap_or_default()
    }
}

impl Shard {
    pub(super) fn open_packager(
        &mut self,
        router: u64,
        name: String,
        listing: Listing,
    ) -> Answered {
        let Listing {
            window_ms,
            part_ms,
            encryption,
        } = listing;
        check_name(&name)?;
        let encryption = live::encryption(encryption)?;
        if window_ms > MAX_WINDOW.as_millis() as u64 {
            return Err(Failure::invalid("window_ms is above 24 hours"));
        }
        if part_ms.is_some_and(|part_ms| !PART_MS.contains(&part_ms)) {
            return Err(Failure::invalid("part_ms is 100 to 2000"));
        }
        let router = self.router(router)?;
        if self.live.is_full() {
            return Err(Failure::new(ErrorCode::Limit, live::FULL));
        }
        self.admit_transport()?;
        let id = ids::allocate(self.index);
        if !self.live.claim(&name, id) {
            self.retract_transport();
            return Err(Failure::wrong_state(format!(
                "another packager is called {name}"
            )));
        }
        let end = PackagerEnd::new(name.clone());
        let board = end.board.clone();
        let params = TransportParams {
            unlimited: true,
            ..TransportParams::default()
        };
        let carrier = Carrier::Packager(Box::new(end));
        if let Err(failure) = self.insert_transport(id, router, carrier, params) {
            self.live.release(&name);
            self.retract_transport();
            return Err(failure);
        }
        let clock = self.shared.clock;
        // Unlike that of any other packager, of this process or one before it.
        let run = format!("{:x}{:x}", clock.ntp >> 32, id);
        self.live.tell(Message::Open {
            packager: id,
            name,
            config: Box::new(ProgramConfig {
                run,
                window_us: window_ms * 1000,
                part_us: part_ms.map(|part_ms| u64::from(part_ms) * 1000),
                encryption,
                clock,
            }),
            board,
        });
        Ok(Some(CommandResult::PackagerOpened { packager: id }))
    }

    /// What a packager, in its slot, takes of a producer of this kind.
    pub(super) fn tap(
        &self,
        packager: u64,
        producer: u64,
    ) -> Result<(usize, MediaKind, Tap), Failure> {
        let slot = self.packager(packager)?;
        let entry = self.producer(producer)?;
        self.check_source(Some(producer), slot, entry.kind)?;
        let Carrier::Packager(end) = &self.transports[slot].carrier else {
            return Err(Failure::not_found("packager", packager));
        };
        let transcoded = end.board.is_transcoded(entry.kind == MediaKind::Video);
        let tap = Tap::new(&entry.params.codecs, entry.kind, transcoded)?;
        Ok((slot, entry.kind, tap))
    }

    pub(super) fn add_packager_track(&mut self, packager: u64, producer: u64) -> Answered {
        let (slot, kind, tap) = self.tap(packager, producer)?;
        let vacant = self.vacant_track(slot, kind);
        if let Some(track) = vacant {
            return self.take_over(slot, track, producer, tap);
        }
        let Carrier::Packager(end) = &self.transports[slot].carrier else {
            return Err(Failure::not_found("packager", packager));
        };
        if end.tracks.len() >= MAX_TRACKS {
            return Err(Failure::new(
                ErrorCode::Limit,
                format!("{MAX_TRACKS} tracks are on this packager"),
            ));
        }
        let (board, name) = (end.board.clone(), end.free_name(kind));
        if !board.add() && !board.may_come_late(kind == MediaKind::Video) {
            return Err(Failure::wrong_state(format!(
                "the packager has begun and none of its tracks waits for {kind}: take one off first, or open another packager"
            )));
        }
        let (id, description) = self
            .add_consumer(slot, tap.consumer(producer, kind))
            .inspect_err(|_| board.remove())?;
        if kind == MediaKind::Audio {
            // Whoever is silent in a conversation is silent in the stream, and not lost.
            self.on_consumer(id, |router, id, _| router.set_audio_pinned(id, true))?;
        }
        let held = TapEnd {
            track: id,
            kind,
            consumer: id,
            name,
            ssrc: description.ssrc,
            producer: Some(producer),
            waiting: None,
        };
        self.live.tell(tap.track(packager, &held));
        if let Carrier::Packager(end) = &mut self.transports[slot].carrier {
            end.tracks.push(held);
        }
        Ok(Some(CommandResult::PackagerTrackAdded { track: id }))
    }

    /// A track of this kind that nothing feeds.
    fn vacant_track(&self, slot: usize, kind: MediaKind) -> Option<u64> {
        let Carrier::Packager(end) = &self.transports[slot].carrier else {
            return None;
        };
        let is_fed = |producer: &u64| self.objects.contains_key(producer);
        let vacant = |one: &&TapEnd| one.kind == kind && !one.producer.as_ref().is_some_and(is_fed);
        end.tracks.iter().find(vacant).map(|one| one.track)
    }

    /// Another stream goes on where one has ended.
    fn take_over(&mut self, slot: usize, track: u64, producer: u64, tap: Tap) -> Answered {
        let packager = self.transports[slot].id;
        self.drop_waiting(slot, track)?;
        let consumer = self.consumer_of_track(slot, track)?;
        self.on_consumer(consumer, |router, id, now| {
            router.switch_source(id, Some(ProducerId(producer)), tap.payload_types(), now)
        })?;
        let Carrier::Packager(end) = &mut self.transports[slot].carrier else {
            return Err(Failure::not_found("packager", packager));
        };
        let Some(held) = end.tracks.iter_mut().find(|one| one.track == track) else {
            return Err(Failure::not_found("track", track));
        };
        held.producer = Some(producer);
        let told = tap.track(packager, held);
        self.live.tell(told);
        Ok(Some(CommandResult::PackagerTrackAdded { track }))
    }

    pub(super) fn remove_packager_track(&mut self, packager: u64, track: u64) -> Answered {
        let slot = self.packager(packager)?;
        self.drop_waiting(slot, track)?;
        let Carrier::Packager(end) = &mut self.transports[slot].carrier else {
            return Err(Failure::not_found("packager", packager));
        };
        let Some(at) = end.tracks.iter().position(|one| one.track == track) else {
            return Err(Failure::not_found("track", track));
        };
        let consumer = end.tracks[at].consumer;
        if end.board.has_begun() {
            end.tracks[at].producer = None;
            self.on_consumer(consumer, |router, id: ConsumerId, now| {
                router.switch_source(id, None, Vec::new(), now)
            })?;
        } else {
            end.tracks.remove(at);
            end.board.remove();
            self.close_consumer(consumer)?;
        }
        self.live.tell(Message::RemoveTrack { packager, track });
        DONE
    }

    pub(super) fn close_packager(&mut self, packager: u64) -> Answered {
        let slot = self.packager(packager)?;
        self.close_transport(slot, CloseReason::Requested, String::new());
        DONE
    }

    /// The live thread met a defect in a packager: it is gone there already.
    pub(super) fn on_packager_broken(&mut self, packager: u64) {
        if let Ok(slot) = self.packager(packager) {
            self.transport_panicked(slot);
        }
    }

    fn consumer_of_track(&self, slot: usize, track: u64) -> Result<u64, Failure> {
        let Carrier::Packager(end) = &self.transports[slot].carrier else {
            return Err(Failure::not_found("track", track));
        };
        let held = end.tracks.iter().find(|one| one.track == track);
        held.map(|held| held.consumer)
            .ok_or_else(|| Failure::not_found("track", track))
    }

    pub(super) fn packager(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Transport(slot))
                if matches!(self.transports[*slot].carrier, Carrier::Packager(_)) =>
            {
                Ok(*slot)
            }
            _ => Err(Failure::not_found("packager", id)),
        }
    }

    /// Whether what something says of its line is of none: its far end is a thread of this process.
    pub(super) fn is_within(&self, subject: QualitySubject) -> bool {
        let id = match subject {
            QualitySubject::Transport(id) => id.0,
            QualitySubject::Consumer(id) => id.0,
            QualitySubject::Producer(_) => return false,
        };
        let slot = match self.objects.get(&id) {
            Some(Object::Transport(slot)) => *slot,
            Some(Object::Consumer(entry)) => entry.transport,
            _ => return false,
        };
        matches!(
            self.transports[slot].carrier,
            Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_)
        )
    }

    pub(super) fn burst_to_packager(&mut self, router: usize, slot: usize, mail: &mut Mail) {
        let entry = &mut self.transports[slot];
        let id = entry.id;
        let Carrier::Packager(end) = &mut entry.carrier else {
            return;
        };
        let live = &self.live;
        let counters: &Counters = &self.counters;
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id: TransportId(id),
            now: self.now,
            counters,
        };
        // Sender reports tie the tracks to each other.
        let (buffer, with_rtcp) = (mail.emptied(counters), true);
        writer.write_batches(buffer, &end.pool, id, with_rtcp, |batch| {
            let count = batch.packets.len() as u64;
            if let Err(batch) = live.batch(batch) {
                counters.packager_dropped_full.add(count);
                batch.send_home();
            }
        });
    }
}

/// How a producer is tapped.
pub(super) struct Tap {
    codings: Vec<(u8, Coding)>,
    makes_keyframes: bool,
}

impl Tap {
    /// What a packager takes of these codecs.
    pub(super) fn new(
        codecs: &[CodecParams],
        kind: MediaKind,
        transcoded: bool,
    ) -> Result<Self, Failure> {
        let carried = codecs.iter().filter_map(|codec| {
            let coding = Coding::of(codec.codec, codec.clock_rate, codec.channels)?;
            (coding.is_carried() || transcoded).then_some((codec.payload_type, coding))
        });
        let codings: Vec<_> = carried.collect();
        if codings.is_empty() {
            return Err(Failure::unsupported(cannot_carry(codecs, kind)));
        }
        Ok(Self {
            codings,
            makes_keyframes: codecs
                .iter()
                .any(|codec| codec.feedback.pli || codec.feedback.fir),
        })
    }

    fn payload_types(&self) -> Vec<(u8, u8)> {
        let types = self.codings.iter();
        types
            .map(|(payload_type, _)| (*payload_type, *payload_type))
            .collect()
    }

    pub(super) fn consumer(&self, producer: u64, kind: MediaKind) -> ConsumerParams {
        ConsumerParams {
            producer: Some(ProducerId(producer)),
            kind,
            mid: None,
            payload_types: self.payload_types(),
            rtx_payload_types: Vec::new(),
            extensions: Vec::new(),
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
            feedback: FeedbackKinds {
                pli: kind == MediaKind::Video,
                ..FeedbackKinds::default()
            },
            redundancy: None,
            verbatim: false,
        }
    }

    /// What the live thread is told of the track that it feeds.
    fn track(self, packager: u64, tap: &TapEnd) -> Message {
        let new = self.stream(packager, tap.track, tap.name.clone(), tap.ssrc);
        Message::AddTrack(Box::new(new))
    }

    /// What it brings, for a track.
    pub(super) fn stream(self, packager: u64, track: u64, name: String, ssrc: u32) -> NewTrack {
        NewTrack {
            packager,
            track,
            name,
            ssrc,
            codings: self.codings,
            makes_keyframes: self.makes_keyframes,
        }
    }
}

fn cannot_carry(codecs: &[CodecParams], kind: MediaKind) -> String {
    let names: Vec<&str> = codecs
        .iter()
        .filter(|codec| !codec.codec.is_repair())
        .map(|codec| codec.codec.name())
        .collect();
    let (names, needed) = (
        names.join(", "),
        if kind == MediaKind::Video {
            "H264"
        } else {
            "opus"
        },
    );
    format!("HLS does not carry {names}: it would have to be transcoded to {needed} first")
}

/// It is one step of a path.
fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Failure::invalid(format!("name has 1 to {MAX_NAME} bytes")));
    }
    if name == "." || name == ".." || name.contains('/') || name.chars().any(char::is_control) {
        return Err(Failure::invalid(
            "name is one step of a path: neither . nor .., without / and control characters",
        ));
    }
    Ok(())
}
