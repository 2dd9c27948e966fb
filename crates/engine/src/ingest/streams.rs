//! Streams by name: who publishes each, which packager it is, and how long it waits for a publisher who is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::failure::Failure;
use crate::live::{Board, LiveHandle, MAX_TRACKS, Message, NewTrack, ProgramConfig};

/// How long a stream without a publisher is kept.
pub(super) const GRACE: Duration = Duration::from_secs(10);

struct Track {
    id: u64,
    is_video: bool,
    /// A publisher sends it.
    fed: bool,
}

/// One stream.
pub(super) struct Stream {
    pub(super) packager: u64,
    /// Id of who publishes; none in the time of grace.
    pub(super) publisher: Option<u64>,
    board: Arc<Board>,
    tracks: Vec<Track>,
    /// When it lost its publisher.
    lost_at: Instant,
    /// The packager whose source it lists instead of its own.
    pointed: Option<u64>,
}

impl Stream {
    /// Whether its publisher sends something of this kind.
    fn sends(&self, track: &Track) -> bool {
        let mut tracks = self.tracks.iter();
        tracks.any(|one| one.fed && one.is_video == track.is_video)
    }
}

/// All streams that come from encoders.
pub(super) struct Streams {
    live: LiveHandle,
    by_name: FxHashMap<String, Stream>,
}

impl Streams {
    pub(super) fn new(live: LiveHandle) -> Self {
        Self {
            live,
            by_name: FxHashMap::default(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Stream> {
        self.by_name.get(name)
    }

    /// What is known of a stream here and in the live thread; of one that there is not, nothing.
    pub(super) fn board(&self, name: &str) -> Arc<Board> {
        let board = self.by_name.get(name).map(|one| Arc::clone(&one.board));
        board.unwrap_or_default()
    }

    /// Have `publisher` publish under a name that nobody publishes under now; its packager. None where something else than
    /// an ingest has the name.
    pub(super) fn begin(
        &mut self,
        name: &str,
        publisher: u64,
        packager: u64,
        config: ProgramConfig,
        now: Instant,
    ) -> Option<u64> {
        if let Some(stream) = self.by_name.get_mut(name) {
            stream.publisher = Some(publisher);
            return Some(stream.packager);
        }
        if !self.live.claim(name, packager) {
            return None;
        }
        let board = Arc::<Board>::default();
        self.live.tell(Message::Open {
            packager,
            name: name.to_owned(),
            config: Box::new(config),
            board: Arc::clone(&board),
        });
        let stream = Stream {
            packager,
            publisher: Some(publisher),
            board,
            tracks: Vec::new(),
            lost_at: now,
            pointed: None,
        };
        self.by_name.insert(name.to_owned(), stream);
        Some(packager)
    }

    /// A track for what a publisher sends: a vacant one of its kind, or a new one while the lists have not begun. None where
    /// there is no place for it. One of each kind is carried.
    pub(super) fn add_track(&mut self, name: &str, id: u64, is_video: bool) -> Option<u64> {
        let stream = self.by_name.get_mut(name)?;
        let is_full = stream.tracks.len() >= MAX_TRACKS;
        let track = match stream
            .tracks
            .iter_mut()
            .find(|one| one.is_video == is_video)
        {
            Some(track) if track.fed => return None,
            Some(track) => {
                track.fed = true;
                // Before the beginning a track that was taken off is gone: this one is new.
                if !stream.board.has_begun() && !stream.board.add() {
                    return None;
                }
                track.id
            }
            None if is_full || !stream.board.add() => return None,
            None => {
                stream.tracks.push(Track {
                    id,
                    is_video,
                    fed: true,
                });
                id
            }
        };
        let new = NewTrack::whole(stream.packager, track, is_video);
        self.live.tell(Message::AddTrack(Box::new(new)));
        Some(track)
    }

    /// Nothing feeds this track any more.
    pub(super) fn remove_track(&mut self, name: &str, id: u64) {
        let Some(stream) = self.by_name.get_mut(name) else {
            return;
        };
        if let Some(track) = stream.tracks.iter_mut().find(|one| one.id == id && one.fed) {
            track.fed = false;
            stream.board.remove();
            let packager = stream.packager;
            self.live.tell(Message::RemoveTrack {
                packager,
                track: id,
            });
        }
    }

    /// The publisher is gone; the stream waits for another.
    pub(super) fn lose(&mut self, name: &str, now: Instant) {
        let Some(stream) = self.by_name.get_mut(name) else {
            return;
        };
        (stream.publisher, stream.lost_at) = (None, now);
        let fed = stream.tracks.iter().filter(|one| one.fed);
        let fed: Vec<u64> = fed.map(|one| one.id).collect();
        for track in fed {
            self.remove_track(name, track);
        }
    }

    /// Have a stream list what another's source sends, or its own again; why not, where that cannot be.
    ///
    /// Who shows another's is shown by none: a stream ends some time after its encoder is gone, and whoever shows it is told then.
    pub(super) fn point(&mut self, name: &str, source: Option<u64>) -> Result<(), Failure> {
        let stream = self.by_name.get(name);
        let stream = stream.ok_or_else(|| Failure::wrong_state("the stream is gone"))?;
        let packager = stream.packager;
        let source = source.filter(|source| *source != packager);
        let sender = match source {
            Some(source) => self.of(source)?,
            None => stream,
        };
        if sender.publisher.is_none() {
            return Err(Failure::wrong_state("its encoder is away"));
        }
        if !stream.board.has_begun() || !sender.board.has_begun() {
            return Err(Failure::wrong_state("one of the streams has not begun"));
        }
        let is_shown = || {
            let mut all = self.by_name.values();
            all.any(|one| one.pointed == Some(packager))
        };
        if source.is_some() && sender.pointed.is_some() {
            return Err(Failure::wrong_state("the other shows another's itself"));
        }
        if source.is_some() && is_shown() {
            return Err(Failure::wrong_state("another shows this one's encoder"));
        }
        if source.is_some()
            && let Some(track) = stream.tracks.iter().find(|track| !sender.sends(track))
        {
            let kind = if track.is_video { "video" } else { "sound" };
            return Err(Failure::unsupported(format!("the other sends no {kind}")));
        }
        if let Some(stream) = self.by_name.get_mut(name) {
            stream.pointed = source;
            self.live.tell(Message::Follow { packager, source });
        }
        Ok(())
    }

    /// End a stream; its packager. Who lists what its source sent lists its own again.
    pub(super) fn end(&mut self, name: &str) -> Option<u64> {
        let stream = self.by_name.remove(name)?;
        for other in self.by_name.values_mut() {
            if other.pointed == Some(stream.packager) {
                other.pointed = None;
                self.live.tell(Message::Follow {
                    packager: other.packager,
                    source: None,
                });
            }
        }
        self.live.tell(Message::Close {
            packager: stream.packager,
        });
        self.live.release(name);
        Some(stream.packager)
    }

    /// Names of streams that have waited long enough.
    pub(super) fn overdue(&self, now: Instant) -> Vec<String> {
        // One that lists another's goes on as long as that.
        let overdue = |stream: &Stream| {
            stream.publisher.is_none() && stream.pointed.is_none() && stream.lost_at + GRACE <= now
        };
        let found = self.by_name.iter().filter(|(_, stream)| overdue(stream));
        found.map(|(name, _)| name.clone()).collect()
    }

    /// The stream of a packager.
    fn of(&self, packager: u64) -> Result<&Stream, Failure> {
        let mut all = self.by_name.values();
        all.find(|stream| stream.packager == packager)
            .ok_or_else(|| Failure::not_found("stream of packager", packager))
    }

    /// Names of all.
    pub(super) fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// The name of a packager's stream.
    pub(super) fn name_of(&self, packager: u64) -> Option<String> {
        let mut all = self.by_name.iter();
        all.find(|(_, stream)| stream.packager == packager)
            .map(|(name, _)| name.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}

#[cfg(test)]
mod tests;
