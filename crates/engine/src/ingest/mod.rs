//! Live streams that come from encoders: SRT, RTMP, RTP and MPEG-TS, on a thread of their own; and those that go out by SRT.
//!
//! A listener asks who may publish before anything is taken. What is published becomes units, and these go to the live
//! thread, which packages them: an ingest and a tap differ in nothing from there on. The queue between is bounded; when
//! it is full a track loses what comes up to its next keyframe, counted.
//!
//! Whoever may read a stream is given what the live thread lists of it, from the newest keyframe on, by another bounded
//! queue. A reader that does not keep up loses whole groups of pictures, counted, and slows nobody.

mod accepting;
mod asking;
mod commands;
mod connection;
mod inputs;
mod pacing;
mod playing;
mod publisher;
mod pulls;
mod rtmp;
mod serving;
mod slowing;
mod srt;
mod streams;
mod thread;
mod transport_stream;
mod wire;

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::counters::IngestCounters;
use crate::live::{LiveHandle, Outside, PlayRun, PlayTold};
use crate::shard::Shared;
use crate::sys::EventFd;
use crate::values::{Answer, Report, Request};

/// What the ingest thread is told; bounded by the commands let in and the questions asked.
#[derive(Debug)]
pub(crate) enum Message {
    Request(Request),
    Answer(Answer),
    /// A packager of an ingest met a defect, and is gone.
    Broken(u64),
    /// What becomes of playouts.
    Play(PlayTold),
    Shutdown,
}

/// Runs of units for playouts that may wait for the thread; what finds no place is dropped up to the next keyframe.
const MAX_PLAYS: usize = 1024;

/// The sending side.
#[derive(Debug, Clone)]
pub(crate) struct IngestHandle {
    messages: Sender<Message>,
    plays: SyncSender<PlayRun>,
    wake: Arc<EventFd>,
    reports: Arc<Mutex<Vec<Report>>>,
}

impl IngestHandle {
    /// Whether the thread is there to take it.
    pub(crate) fn tell(&self, message: Message) -> bool {
        let told = self.messages.send(message).is_ok();
        self.wake.signal();
        told
    }

    /// What publishers do, as of the last second.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Outside for IngestHandle {
    fn tell_broken(&self, packager: u64) {
        self.tell(Message::Broken(packager));
    }

    fn tell_play(&self, told: PlayTold) {
        self.tell(Message::Play(told));
    }

    fn play(&self, run: PlayRun) -> Result<(), PlayRun> {
        let sent = self.plays.try_send(run);
        self.wake.signal();
        sent.map_err(|error| match error {
            TrySendError::Full(run) | TrySendError::Disconnected(run) => run,
        })
    }
}

/// The receiving side, for the thread.
#[derive(Debug)]
pub(crate) struct IngestEnds {
    messages: Receiver<Message>,
    plays: Receiver<PlayRun>,
    wake: Arc<EventFd>,
    reports: Arc<Mutex<Vec<Report>>>,
}

/// Both sides of the thread's queue.
pub(crate) fn handle() -> io::Result<(IngestHandle, IngestEnds)> {
    let (messages, messages_in) = channel();
    let (plays, plays_in) = sync_channel(MAX_PLAYS);
    let wake = Arc::new(EventFd::new()?);
    let reports = Arc::default();
    let handle = IngestHandle {
        messages,
        plays,
        wake: Arc::clone(&wake),
        reports: Arc::clone(&reports),
    };
    let ends = IngestEnds {
        messages: messages_in,
        plays: plays_in,
        wake,
        reports,
    };
    Ok((handle, ends))
}

/// Starts the thread; it ends after [`Message::Shutdown`].
pub(crate) fn start(
    ends: IngestEnds,
    shared: Arc<Shared>,
    live: LiveHandle,
    counters: Arc<IngestCounters>,
) -> io::Result<JoinHandle<()>> {
    let mut thread = thread::IngestThread::new(ends, shared, live, counters)?;
    std::thread::Builder::new()
        .name("ingest".to_owned())
        .spawn(move || thread.run())
}
