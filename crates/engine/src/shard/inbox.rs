//! What other threads send to a shard: requests, messages about pipes, batches of piped packets.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use roomtone_rtp::{RtpHeader, write_header};
use roomtone_sfu::ProducerParams;

use crate::sys::EventFd;
use crate::values::Request;

/// Batches of piped packets that may wait; more are dropped and counted, NACK asks for them again.
const MAX_BATCHES: usize = 1024;
/// Bytes of a fixed RTP header.
const RTP_HEADER: usize = 12;

/// Packets on their way from thread to thread. The buffers come back to the sender to be used again.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Transport at the receiving end.
    pub(crate) to: u64,
    /// Packets, one behind the other.
    pub(crate) bytes: Vec<u8>,
    /// Length of each, and whether it is RTCP.
    pub(crate) packets: Vec<(u32, bool)>,
    /// Where the empty batch goes back to.
    pub(crate) home: Option<SyncSender<Batch>>,
}

impl Batch {
    /// Add a packet.
    pub(crate) fn push(&mut self, packet: &[u8], rtcp: bool) {
        self.bytes.extend_from_slice(packet);
        self.packets.push((packet.len() as u32, rtcp));
    }

    /// Add a packet of RTP without extensions.
    pub(crate) fn push_rtp(&mut self, header: &RtpHeader, payload: &[u8]) {
        let at = self.bytes.len();
        self.bytes.resize(at + RTP_HEADER, 0);
        write_header(&mut self.bytes[at..], header);
        self.bytes.extend_from_slice(payload);
        self.packets
            .push(((RTP_HEADER + payload.len()) as u32, false));
    }

    /// An empty batch goes back to where it was filled; when nobody wants it, it is freed.
    pub(crate) fn send_home(mut self) {
        self.bytes.clear();
        self.packets.clear();
        if let Some(home) = self.home.take() {
            let _ = home.try_send(self);
        }
    }
}

/// Batches of one sender: those that came back empty are filled again.
#[derive(Debug)]
pub(crate) struct BatchPool {
    returned: Receiver<Batch>,
    home: SyncSender<Batch>,
}

impl BatchPool {
    /// At most `kept` empty ones are kept.
    pub(crate) fn new(kept: usize) -> Self {
        let (home, returned) = sync_channel(kept);
        Self { returned, home }
    }

    /// An empty batch for a transport.
    pub(crate) fn empty(&self, to: u64) -> Batch {
        let mut batch = self.returned.try_recv().unwrap_or_default();
        batch.to = to;
        batch.home = Some(self.home.clone());
        batch
    }
}

/// Between shards; bounded by the pipes there are.
#[derive(Debug)]
pub(crate) enum Control {
    /// Make the far end of a pipe and answer the request.
    OpenPipe(Box<OpenPipe>),
    /// The far end of this end of a pipe is gone.
    PipeClosed {
        /// The end on the receiving shard.
        transport: u64,
    },
    /// Which encodings of what a pipe carries anyone wants at its far end.
    EncodingsWanted {
        /// The end on the receiving shard, which sends.
        transport: u64,
        /// The highest temporal layer by encoding.
        wanted: Vec<Option<u8>>,
    },
    /// Take over a TCP connection that came in elsewhere, with what was read of it.
    Adopt {
        /// The connection.
        stream: TcpStream,
        /// Read already.
        bytes: Vec<u8>,
    },
    /// An audio thread met a defect in a mixer, and dropped it.
    MixerBroken {
        /// Which.
        mixer: u64,
    },
    /// The live thread met a defect in a packager, or its media could not be packaged, and dropped it.
    PackagerBroken {
        /// Which.
        packager: u64,
    },
    /// A track of a packager goes on with what waited for its place, which has this SSRC.
    PackagerSwitched {
        /// Which packager.
        packager: u64,
        /// The track.
        track: u64,
        /// Of the consumer that feeds it now.
        ssrc: u32,
    },
    /// A mixer has played a source to its end.
    SourceEnded {
        /// Which mixer.
        mixer: u64,
        /// The source.
        source: u64,
    },
    /// Close everything and end the thread.
    Shutdown,
    /// Panic while serving this transport or router next time.
    #[cfg(test)]
    PanicAt(u64),
}

/// All the far end of a pipe has to know.
#[derive(Debug)]
pub(crate) struct OpenPipe {
    /// Request to answer.
    pub(crate) request: u64,
    /// Id for the end to make.
    pub(crate) transport: u64,
    /// The end that sends.
    pub(crate) source: u64,
    /// Router the producer shall appear in.
    pub(crate) router: u64,
    /// What it carries.
    pub(crate) params: ProducerParams,
}

#[derive(Debug)]
struct Wake {
    fd: EventFd,
    signalled: AtomicBool,
}

/// The sending side, held by the engine and all shards.
#[derive(Debug, Clone)]
pub(crate) struct ShardHandle {
    requests: SyncSender<Request>,
    control: Sender<Control>,
    batches: SyncSender<Batch>,
    wake: Arc<Wake>,
    waiting: Arc<AtomicUsize>,
}

/// The receiving side, held by the shard.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) requests: Receiver<Request>,
    pub(crate) control: Receiver<Control>,
    pub(crate) batches: Receiver<Batch>,
    wake: Arc<Wake>,
    waiting: Arc<AtomicUsize>,
}

/// Both sides of a shard's inbox.
pub(crate) fn inbox(command_queue: usize) -> io::Result<(ShardHandle, Inbox)> {
    let wake = Arc::new(Wake {
        fd: EventFd::new()?,
        signalled: AtomicBool::new(false),
    });
    let waiting = Arc::new(AtomicUsize::new(0));
    let (requests, requests_in) = sync_channel(command_queue.max(1));
    let (control, control_in) = channel();
    let (batches, batches_in) = sync_channel(MAX_BATCHES);
    let handle = ShardHandle {
        requests,
        control,
        batches,
        wake: wake.clone(),
        waiting: waiting.clone(),
    };
    Ok((
        handle,
        Inbox {
            requests: requests_in,
            control: control_in,
            batches: batches_in,
            wake,
            waiting,
        },
    ))
}

impl ShardHandle {
    /// Hands a request over; whether it was taken: not when the queue is full or the shard is gone.
    pub(crate) fn request(&self, request: Request) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let taken = self.requests.try_send(request).is_ok();
        if taken {
            self.wake();
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// A shard that is gone needs no message.
    pub(crate) fn control(&self, message: Control) {
        if self.control.send(message).is_ok() {
            self.wake();
        }
    }

    /// Hands packets over; gives them back when the queue is full or the shard is gone.
    pub(crate) fn batch(&self, batch: Batch) -> Result<(), Batch> {
        self.batch_quietly(batch)?;
        self.wake();
        Ok(())
    }

    /// Hands packets over as [`Self::batch`] does; [`Self::wake`] follows, once for several.
    pub(crate) fn batch_quietly(&self, batch: Batch) -> Result<(), Batch> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        self.batches.try_send(batch).map_err(|error| match error {
            Full(batch) | Disconnected(batch) => batch,
        })
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Wakes the shard unless somebody did already.
    pub(crate) fn wake(&self) {
        if !self.wake.signalled.swap(true, Ordering::SeqCst) {
            self.wake.fd.signal();
        }
    }
}

impl Inbox {
    /// Readable when something waits.
    pub(crate) fn fd(&self) -> &EventFd {
        &self.wake.fd
    }

    /// To be called before the queues are emptied: what comes later signals again.
    pub(crate) fn rearm(&self) {
        self.wake.fd.clear();
        self.wake.signalled.store(false, Ordering::SeqCst);
    }

    /// The next request.
    pub(crate) fn next_request(&self) -> Option<Request> {
        let request = self.requests.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(request)
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
