//! Audio threads: decoding, mixing and encoding, away from the shards.
//!
//! An audio thread is the far end of a kind of pipe: a shard hands it what a mixer's inputs bring as batches of RTP
//! packets, and takes batches of what the mixer gives out back, to be forwarded like any producer's. Both queues are
//! bounded; a full one drops packets and counts them.

mod input;
mod mixer;
mod output;
mod source;
mod stream;
mod thread;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use roomtone_audio::codec::Codec;
use roomtone_audio::dtmf::Digit;
pub(crate) use roomtone_audio::mixer::{MAX_INPUTS, MAX_OUTPUTS};

use crate::counters::AudioCounters;
use crate::shard::{Batch, ShardHandle, Shared};
use crate::values::Report;

pub(crate) use source::Source;

/// Times that may be between two mixes, in milliseconds.
pub(crate) const TICKS_MS: [u32; 2] = [10, 20];
/// Batches that may wait for one thread; more are dropped and counted.
const MAX_BATCHES: usize = 4096;

/// What an audio thread is told; bounded by the mixers there are.
#[derive(Debug)]
pub(crate) enum Message {
    /// Make a mixer.
    Open {
        mixer: u64,
        /// One of [`TICKS_MS`].
        tick_ms: u32,
        board: Arc<Board>,
    },
    /// Hear what comes with this SSRC.
    AddInput(Box<NewInput>),
    /// Play something.
    AddSource {
        mixer: u64,
        input: u64,
        source: Box<Source>,
    },
    RemoveInput {
        mixer: u64,
        input: u64,
    },
    /// Give out a mix.
    AddOutput(Box<NewOutput>),
    RemoveOutput {
        mixer: u64,
        output: u64,
    },
    /// Send a key on an output.
    Press {
        mixer: u64,
        output: u64,
        digit: Digit,
        duration_ms: u32,
    },
    Close {
        mixer: u64,
    },
    Shutdown,
}

/// What a mixer last said of its inputs and outputs; written once a second, read when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Vec<Report>>);

impl Board {
    fn write(&self, reports: Vec<Report>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reports;
    }

    pub(crate) fn read(&self) -> Vec<Report> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A stream a mixer is to hear.
#[derive(Debug)]
pub(crate) struct NewInput {
    pub(crate) mixer: u64,
    /// Id of the consumer that brings it.
    pub(crate) input: u64,
    pub(crate) ssrc: u32,
    /// What each payload type is.
    pub(crate) payloads: Vec<(u8, Payload)>,
    pub(crate) inband_dtmf: bool,
}

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Audio(Codec),
    /// RFC 4733, with its clock rate.
    Events(u32),
    /// RFC 3389.
    ComfortNoise,
}

/// A mix a mixer is to give out.
#[derive(Debug)]
pub(crate) struct NewOutput {
    pub(crate) mixer: u64,
    /// Id of the producer it becomes.
    pub(crate) output: u64,
    pub(crate) ssrc: u32,
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    /// Of telephone events, if they may be sent.
    pub(crate) events: Option<u8>,
    /// Of comfort noise, if silence is not to be sent.
    pub(crate) noise: Option<u8>,
    pub(crate) ptime_ms: u32,
    pub(crate) mix: Mix,
}

/// Which inputs and sources are in a mix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mix {
    /// All, or all but one.
    AllBut(Option<u64>),
    /// Some; sorted, so that equal ones are found.
    Only(Vec<u64>),
}

impl Mix {
    pub(crate) fn new(without: Option<u64>, only: Option<Vec<u64>>) -> Self {
        let Some(mut only) = only else {
            return Self::AllBut(without);
        };
        only.retain(|id| Some(*id) != without);
        only.sort_unstable();
        only.dedup();
        Self::Only(only)
    }
}

/// What a payload type is to a mixer; none where it cannot be decoded.
pub(crate) fn payload(name: &str, clock_rate: u32, channels: u8) -> Option<Payload> {
    if name.eq_ignore_ascii_case("telephone-event") {
        return Some(Payload::Events(clock_rate));
    }
    if name.eq_ignore_ascii_case("CN") {
        return Some(Payload::ComfortNoise);
    }
    Codec::from_rtpmap(name, clock_rate, channels).map(Payload::Audio)
}

/// The sending side, held by the engine and all shards.
#[derive(Debug, Clone)]
pub(crate) struct AudioHandle {
    messages: Sender<Message>,
    batches: SyncSender<Batch>,
    /// Mixers on it.
    load: Arc<AtomicUsize>,
}

impl AudioHandle {
    /// A thread that is gone needs no message.
    pub(crate) fn tell(&self, message: Message) {
        match message {
            Message::Open { .. } => self.load.fetch_add(1, Ordering::Relaxed),
            Message::Close { .. } => self.load.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        let _ = self.messages.send(message);
    }

    /// Hands packets over; gives them back when the queue is full or the thread is gone. They wait for the next tick.
    pub(crate) fn batch(&self, batch: Batch) -> Result<(), Batch> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        self.batches.try_send(batch).map_err(|error| match error {
            Full(batch) | Disconnected(batch) => batch,
        })
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// Starts a thread; it ends after [`Message::Shutdown`].
pub(crate) fn start(
    index: usize,
    shared: Arc<Shared>,
    shards: Vec<ShardHandle>,
    counters: Arc<AudioCounters>,
) -> io::Result<(AudioHandle, JoinHandle<()>)> {
    let (messages, messages_in) = channel();
    let (batches, batches_in) = sync_channel(MAX_BATCHES);
    let handle = AudioHandle {
        messages,
        batches,
        load: Arc::default(),
    };
    let mut thread = thread::AudioThread::new(messages_in, batches_in, shared, shards, counters);
    let join = std::thread::Builder::new()
        .name(format!("audio-{index}"))
        .spawn(move || thread.run())?;
    Ok((handle, join))
}
