//! Sources are slowed down where their protocol can say so: of RTMP nothing is read, and so nothing acknowledged; SRT is
//! told of a small window. RTP and MPEG-TS in datagrams have no such thing.

use std::time::{Duration, Instant};

use super::connection::Line;
use super::publisher::Publisher;
use super::thread::{IngestThread, RTMP_CONNECTION, token};
use crate::values::{Event, IngestPace};

/// How often is looked whether one that is slowed may go on.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Packets that a sender of SRT may have in flight when it is slowed. Ours are acknowledged every 10 ms: 2 Mbit/s.
pub(super) const SLOW_WINDOW: u32 = 2;

impl IngestThread {
    /// Look at all sources: who is to be slowed down, and who no more.
    pub(super) fn pace(&mut self, now: Instant) {
        let live = &self.live;
        let counters = &self.counters;
        let mut changed = Vec::new();
        let mut slowed = 0;
        for publisher in self.publishers.values_mut() {
            if let Some(pace) = publisher.pace(live, now) {
                changed.push((publisher.id, publisher.line, pace));
            }
            if publisher.is_slowed() {
                slowed += 1;
                // It is not silent: nobody listens.
                publisher.last_heard = now;
            }
        }
        counters.ingests_slowed.set(slowed);
        for (id, line, pace) in changed {
            self.slow(line, pace == IngestPace::Slowed, now);
            match pace {
                IngestPace::Slowed => self.counters.ingest_slowdowns.up(),
                IngestPace::GivenUp => self.counters.ingest_slowdowns_given_up.up(),
                IngestPace::Free => {}
            }
            if let Some(publisher) = self.publishers.get(&id) {
                // Only messages of channels are ever refused.
                let _ = self.shared.outbox.event(Event::IngestPaced {
                    ingest: id,
                    listener: publisher.wish.listener,
                    packager: publisher.packager,
                    pace,
                });
            }
        }
    }

    fn slow(&mut self, line: Line, slowed: bool, now: Instant) {
        match line {
            Line::Rtmp { connection } => {
                if let Some(one) = self.connections.get_mut(connection) {
                    one.slowed = slowed;
                }
                self.finish_rtmp(connection, now);
            }
            Line::Srt { port, connection } => {
                if let Some(port) = self.srt.get_mut(port) {
                    port.slow(connection, slowed);
                    port.send(now);
                }
            }
            Line::Input { input } => self.slow_pull(input, slowed, now),
        }
    }

    /// When is looked again, while one is slowed.
    pub(super) fn next_pacing(&self, now: Instant) -> Option<Instant> {
        let is_any = self.publishers.values().any(Publisher::is_slowed);
        is_any.then(|| now + LOOK_EVERY)
    }

    /// What is watched for of a connection: its input only where it is read.
    pub(super) fn watch_rtmp(&self, index: usize, writable: bool) -> std::io::Result<()> {
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let token = token(RTMP_CONNECTION, index);
        if connection.slowed {
            self.poller.watch_no_input(connection, token, writable)
        } else {
            self.poller.watch_writable(connection, token, writable)
        }
    }
}
