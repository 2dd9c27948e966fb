//! The publishing thread: frames and audio of all publishers on their own clocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::poll::wait;
use crate::receive::SPACE;
use crate::traffic::{AUDIO_EVERY, FRAME_EVERY, FRAME_RATE, Load, RIDS, Shape, frame};

/// The running publishers.
pub(crate) struct Publisher {
    /// RTP packets sent so far.
    pub(crate) sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<String>>,
}

impl Publisher {
    /// Starts to publish with `peers`, which are connected.
    pub(crate) fn start(peers: Vec<Peer>, load: Load) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            move || publish(peers, load, &sent, &stop)
        });
        Self { sent, stop, thread }
    }

    /// Ends it; the reason when one had failed before.
    pub(crate) fn stop(self) -> Option<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Some("the publisher panicked".to_owned()))
    }
}

/// One publisher and how far it is.
struct Source {
    peer: Peer,
    begun: Instant,
    frames: u32,
    sounds: u32,
    /// Of each encoding.
    sequences: [u64; RIDS.len()],
}

impl Source {
    fn next_frame(&self) -> Instant {
        self.begun + FRAME_EVERY * self.frames
    }

    fn next_sound(&self) -> Instant {
        self.begun + AUDIO_EVERY * self.sounds
    }

    /// Sends what is due; how many packets.
    fn step(&mut self, load: Load, now: Instant) -> u64 {
        let mut sent = 0;
        if let Some(mid) = self.peer.video_mid
            && self.next_frame() <= now
        {
            for (encoding, rid) in RIDS.into_iter().enumerate().take(load.encodings()) {
                let rid = (load.shape == Shape::Grid).then_some(rid);
                let keyframe = std::mem::take(&mut self.peer.keyframe_wanted[encoding]);
                let payloads = frame(load, encoding, keyframe);
                let last = payloads.len() - 1;
                let timestamp = u64::from(self.frames) * 90_000 / u64::from(FRAME_RATE);
                for (i, payload) in payloads.into_iter().enumerate() {
                    self.sequences[encoding] += 1;
                    let sequence = self.sequences[encoding];
                    self.peer
                        .send((mid, rid), sequence, timestamp as u32, i == last, payload);
                    sent += 1;
                }
            }
            self.frames += 1;
        }
        if let Some(mid) = self.peer.audio_mid
            && self.next_sound() <= now
        {
            let payload = vec![0x78; load.audio_bytes];
            let timestamp = self.sounds.wrapping_mul(960);
            let sequence = u64::from(self.sounds) + 1;
            self.peer
                .send((mid, None), sequence, timestamp, self.sounds == 0, payload);
            self.sounds += 1;
            sent += 1;
        }
        sent
    }

    fn next(&self) -> Instant {
        let mut next = self.peer.wake();
        if self.peer.video_mid.is_some() {
            next = next.min(self.next_frame());
        }
        if self.peer.audio_mid.is_some() {
            next = next.min(self.next_sound());
        }
        next
    }
}

fn publish(peers: Vec<Peer>, load: Load, sent: &AtomicU64, stop: &AtomicBool) -> Option<String> {
    let (begun, count) = (Instant::now(), peers.len() as u32);
    let mut buffer = vec![0; SPACE];
    let mut sources: Vec<_> = (0..)
        .zip(peers)
        .map(|(n, mut peer)| {
            peer.keyframe_wanted = [true; RIDS.len()];
            Source {
                peer,
                // Cameras do not take their pictures at the same time.
                begun: begun + FRAME_EVERY * n / count,
                frames: 0,
                sounds: 0,
                sequences: [0; RIDS.len()],
            }
        })
        .collect();
    while !stop.load(Ordering::Relaxed) && sources.iter().all(|one| one.peer.failure.is_none()) {
        let now = Instant::now();
        for source in &mut sources {
            sent.fetch_add(source.step(load, now), Ordering::Relaxed);
            source.peer.drive(now, &mut buffer);
        }
        let next = sources.iter().map(Source::next).min().unwrap_or(now);
        let sockets: Vec<_> = sources.iter().map(|source| &source.peer.socket).collect();
        wait(
            &sockets,
            next.saturating_duration_since(Instant::now())
                .min(Duration::from_millis(20)),
        );
    }
    let mut failure = None;
    for source in sources {
        source.peer.leave();
        failure = failure.or(source.peer.failure);
    }
    failure
}
