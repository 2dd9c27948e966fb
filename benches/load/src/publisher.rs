//! The publishing thread: frames and audio on their own clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::poll::wait;
use crate::traffic::{AUDIO_EVERY, FRAME_EVERY, FRAME_RATE, Load, Shape, frame};

/// A running publisher.
pub(crate) struct Publisher {
    /// RTP packets sent so far.
    pub(crate) sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<String>>,
}

impl Publisher {
    /// Starts to publish with `peer`, which is connected.
    pub(crate) fn start(peer: Peer, load: Load) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            move || publish(peer, load, &sent, &stop)
        });
        Self { sent, stop, thread }
    }

    /// Ends it; the reason when it had failed before.
    pub(crate) fn stop(self) -> Option<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Some("the publisher panicked".to_owned()))
    }
}

fn publish(mut peer: Peer, load: Load, sent: &AtomicU64, stop: &AtomicBool) -> Option<String> {
    let begun = Instant::now();
    let (mut frames, mut sounds) = (0u64, 0u64);
    let (mut video_sequence, mut audio_sequence) = (1u64, 1u64);
    peer.keyframe_wanted = true;
    while !stop.load(Ordering::Relaxed) && peer.failure.is_none() {
        let now = Instant::now();
        if let Some(mid) = peer.video_mid
            && load.shape != Shape::AudioOnly
            && begun + FRAME_EVERY * frames as u32 <= now
        {
            let payloads = frame(load, std::mem::take(&mut peer.keyframe_wanted));
            let last = payloads.len() - 1;
            for (i, payload) in payloads.into_iter().enumerate() {
                peer.send(
                    mid,
                    video_sequence,
                    (frames * 90_000 / u64::from(FRAME_RATE)) as u32,
                    i == last,
                    payload,
                );
                video_sequence += 1;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            frames += 1;
        }
        if begun + AUDIO_EVERY * sounds as u32 <= now {
            peer.send(
                peer.audio_mid,
                audio_sequence,
                (sounds * 960) as u32,
                sounds == 0,
                vec![0x78; load.audio_bytes],
            );
            audio_sequence += 1;
            sounds += 1;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        peer.drive(now);
        let next = peer
            .wake()
            .min(begun + AUDIO_EVERY * sounds as u32)
            .min(begun + FRAME_EVERY * frames as u32);
        wait(
            &[&peer.socket],
            next.saturating_duration_since(Instant::now())
                .min(Duration::from_millis(20)),
        );
    }
    peer.leave();
    peer.failure
}
