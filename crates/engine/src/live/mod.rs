//! Live streams: what taps bring is put together, tied to one timeline and packaged, away from the shards.
//!
//! A packager is a transport whose far end is the live thread, as a mixer's is an audio thread: its taps are consumers,
//! and what they send comes here in batches of packets. Keyframes are asked for by RTCP that goes back the same way.
//! What is packaged lies on the shelf, where the front door reads it. Both queues are bounded; a full one drops packets
//! and counts them.

mod asking;
mod beside;
mod coding;
mod cues;
mod following;
mod keeping;
mod order;
mod playing;
mod pressing;
mod pressure;
mod program;
mod raw;
mod reorder;
mod report;
mod saying;
mod sealing;
mod silence;
mod standby;
mod store;
mod thread;
mod track;
mod transcoding;
mod watch;
mod way_in;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use roomtone_hls::{EncryptionConfig, Shelf};
use rustc_hash::FxHashMap;

use crate::counters::LiveCounters;
use crate::failure::Failure;
use crate::shard::{Batch, ShardHandle, Shared};
use crate::values::{EncryptionMethod, LiveEncryption, Report, Request};

pub(crate) use beside::{Beside, Line, Tag};
pub(crate) use coding::{AacConfig, Coding, Found, G711_RATE, INGEST_RATE};
pub(crate) use playing::{PlayBar, PlayRun, PlayTold};
pub(crate) use program::{ProgramConfig, unix_us};
pub(crate) use track::{NewTrack, Step, Track};
pub(crate) use transcoding::Maker;
use way_in::{Load, WayIn};

/// Why no further stream may begin.
pub(crate) const FULL: &str = "the memory for live streams is used up";
/// Tracks of one packager.
pub(crate) const MAX_TRACKS: usize = 8;
/// Batches that may wait for the thread; more are dropped and counted.
const MAX_BATCHES: usize = 4096;
/// Runs of units that may wait for the thread; an ingest that finds no place drops to the next keyframe.
const MAX_RUNS: usize = 1024;

/// How a program is to be encrypted, if it is, as the packager has it.
pub(crate) fn encryption(
    wanted: Option<LiveEncryption>,
) -> Result<Option<EncryptionConfig>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let secret = wanted.secret.try_into();
    Ok(Some(EncryptionConfig {
        method: match wanted.method {
            EncryptionMethod::Aes128 => roomtone_hls::EncryptionMethod::Aes128,
            EncryptionMethod::SampleAes => roomtone_hls::EncryptionMethod::SampleAes,
        },
        secret: secret.map_err(|_| Failure::invalid("encryption.secret has 32 bytes"))?,
        segments_per_key: wanted.segments_per_key.into(),
    }))
}

/// Units of one ingest, each with its track, that came together.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) packager: u64,
    /// Tracks of which these units do not go on from what came before.
    pub(crate) breaks: Vec<u64>,
    pub(crate) units: Vec<(u64, Found)>,
    /// What came beside them.
    pub(crate) beside: Vec<Beside>,
}

impl Run {
    /// Of coded data.
    fn load(&self) -> Load {
        let units = self.units.iter();
        Load {
            bytes: units.map(|(_, (unit, ..))| unit.data.len() as u64).sum(),
            units: self.units.len() as u64,
        }
    }
}

/// What the live thread is told; bounded by the packagers there are.
#[derive(Debug)]
pub(crate) enum Message {
    /// Make a packager.
    Open {
        packager: u64,
        /// Where it is to be found on the shelf.
        name: String,
        config: Box<ProgramConfig>,
        board: Arc<Board>,
    },
    /// Carry a stream, or another one on a track that nothing feeds.
    AddTrack(Box<NewTrack>),
    /// Have a stream go on in the place of the track whose id it has, once it can be shown.
    StandBy(Box<NewTrack>),
    /// Have an encoder's packager list what another's source sends, or its own again, from a keyframe on.
    Follow {
        packager: u64,
        source: Option<u64>,
    },
    /// Nothing feeds this track any more, and nothing waits for its place.
    RemoveTrack {
        packager: u64,
        track: u64,
    },
    /// End its lists; they can be read for a while yet.
    Close {
        packager: u64,
    },
    /// Give what is listed to a playout too, from the newest keyframe on.
    Play {
        packager: u64,
        playout: u64,
    },
    /// A playout has left.
    EndPlay {
        packager: u64,
        playout: u64,
    },
    /// A command about transcoders.
    Request(Request),
    Shutdown,
    /// Panic while serving this packager.
    #[cfg(test)]
    PanicAt(u64),
}

/// What the shard, or the ingest thread, and the live thread both know of a packager.
#[derive(Debug, Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    pub(crate) way_in: WayIn,
}

#[derive(Debug, Default)]
struct State {
    /// Tracks that were added before the beginning.
    added: usize,
    begun: bool,
    /// Whether sound, and pictures, are coded anew: then they may be what lists cannot have.
    transcoded: [bool; 2],
    /// Whether pictures are made at a pace of their own: then a source of them may come after the beginning.
    paced: bool,
    /// Written once a second, read when somebody asks.
    reports: Vec<Report>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Count a new track; false where the packager has begun without it.
    pub(crate) fn add(&self) -> bool {
        let mut state = self.state();
        state.added += usize::from(!state.begun);
        !state.begun
    }

    /// Whether a new source of this kind may come after the beginning.
    pub(crate) fn may_come_late(&self, is_video: bool) -> bool {
        let state = self.state();
        state.begun && is_video && state.paced
    }

    /// Take one off that was added and is gone.
    pub(crate) fn remove(&self) {
        let mut state = self.state();
        state.added -= usize::from(!state.begun);
    }

    /// Whether the packager may begin with so many tracks: none is on its way.
    pub(crate) fn begin(&self, tracks: usize) -> bool {
        let mut state = self.state();
        state.begun |= state.added <= tracks;
        state.begun
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.state().begun
    }

    /// Tracks of this kind are coded anew, or no more.
    fn set_transcoded(&self, is_video: bool, transcoded: bool) {
        self.state().transcoded[usize::from(is_video)] = transcoded;
    }

    fn set_paced(&self, paced: bool) {
        self.state().paced = paced;
    }

    pub(crate) fn is_transcoded(&self, is_video: bool) -> bool {
        self.state().transcoded[usize::from(is_video)]
    }

    fn write(&self, reports: Vec<Report>) {
        self.state().reports = reports;
    }

    pub(crate) fn read(&self) -> Vec<Report> {
        self.state().reports.clone()
    }
}

/// The sending side, held by the engine and all shards.
#[derive(Debug, Clone)]
pub(crate) struct LiveHandle {
    messages: Sender<Message>,
    batches: SyncSender<Batch>,
    runs: SyncSender<Run>,
    /// Runs that wait.
    waiting: Arc<AtomicUsize>,
    /// Packagers by the names that they have taken.
    names: Arc<Mutex<FxHashMap<String, u64>>>,
    load: Arc<AtomicUsize>,
    /// Memory is used up.
    full: Arc<AtomicBool>,
}

impl LiveHandle {
    /// A thread that is gone needs no message.
    pub(crate) fn tell(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// Hands a command over; false where the thread is gone.
    pub(crate) fn request(&self, request: Request) -> bool {
        self.messages.send(Message::Request(request)).is_ok()
    }

    /// Hands packets over; gives them back when the queue is full or the thread is gone. They wait for the next tick.
    pub(crate) fn batch(&self, batch: Batch) -> Result<(), Batch> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        self.batches.try_send(batch).map_err(|error| match error {
            Full(batch) | Disconnected(batch) => batch,
        })
    }

    /// Hands units over; gives them back when the queue is full or the thread is gone. They wait for the next tick.
    pub(crate) fn run(&self, run: Run, way_in: &WayIn) -> Result<(), Run> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        let load = run.load();
        if !way_in.enter(load) {
            return Err(run);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.runs.try_send(run).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            way_in.leave(load);
            match error {
                Full(run) | Disconnected(run) => run,
            }
        })
    }

    /// Thousandths of the way through the live thread that are taken: by one stream, of which so much of a unit has come
    /// that is not whole yet, or by the runs of all.
    pub(crate) fn way_in_permille(&self, way_in: &WayIn, begun_bytes: u64) -> u64 {
        let runs = self.waiting.load(Ordering::Relaxed) as u64 * 1_000 / MAX_RUNS as u64;
        runs.max(way_in.permille(begun_bytes))
    }

    /// Takes a name for a packager; false where another has it.
    pub(crate) fn claim(&self, name: &str, packager: u64) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !names.contains_key(name);
        if free {
            names.insert(name.to_owned(), packager);
            self.load.fetch_add(1, Ordering::Relaxed);
        }
        free
    }

    /// Gives a name back.
    pub(crate) fn release(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.remove(name).is_some() {
            self.load.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether no further stream may begin: those there are take all the memory they may.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// The packager that has taken a name.
    pub(crate) fn packager_of(&self, name: &str) -> Option<u64> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).copied()
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// The receiving side, for the thread.
#[derive(Debug)]
pub(crate) struct LiveEnds {
    messages: Receiver<Message>,
    batches: Receiver<Batch>,
    runs: Receiver<Run>,
    waiting: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
}

/// Both sides of the thread's queues.
pub(crate) fn handle() -> (LiveHandle, LiveEnds) {
    let (messages, messages_in) = channel();
    let (batches, batches_in) = sync_channel(MAX_BATCHES);
    let (runs, runs_in) = sync_channel(MAX_RUNS);
    let handle = LiveHandle {
        messages,
        batches,
        runs,
        waiting: Arc::default(),
        names: Arc::default(),
        load: Arc::default(),
        full: Arc::default(),
    };
    let ends = LiveEnds {
        messages: messages_in,
        batches: batches_in,
        runs: runs_in,
        waiting: handle.waiting.clone(),
        full: handle.full.clone(),
    };
    (handle, ends)
}

/// Whoever brings streams from elsewhere, and takes them elsewhere.
pub(crate) trait Outside: Send {
    /// A packager that no shard has met a defect, and is gone.
    fn tell_broken(&self, packager: u64);
    /// What becomes of playouts.
    fn tell_play(&self, told: PlayTold);
    /// Units for playouts; given back when the queue is full or nobody is there.
    fn play(&self, run: PlayRun) -> Result<(), PlayRun>;
}

/// Starts the thread; it ends after [`Message::Shutdown`].
pub(crate) fn start(
    ends: LiveEnds,
    shared: Arc<Shared>,
    shards: Vec<ShardHandle>,
    counters: Arc<LiveCounters>,
    shelf: Arc<Shelf>,
    outside: impl Outside + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut thread = thread::LiveThread::new(ends, shared, shards, counters, shelf, outside)?;
    std::thread::Builder::new()
        .name("live".to_owned())
        .spawn(move || thread.run())
}
