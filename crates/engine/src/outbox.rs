//! Replies and events on their way out: one bounded queue, one descriptor that wakes the reader.
//!
//! When full, statistics go first, state events of one object merge into the newest, and both are counted in an
//! `events_dropped` event. Replies are bounded by the commands let in; final events (an object is gone, a channel
//! opened) are bounded by the objects there are, so neither is ever dropped. Messages of data channels are refused
//! and the caller then closes the channel.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

use crate::sys::EventFd;
use crate::values::{CommandResult, Event, Outbound};

/// Bytes of channel messages that may wait.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// What happens to an event when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Goes first.
    Statistic,
    /// A newer one of the same key takes the place of this one.
    Merge(MergeKey),
    /// Stays.
    Final,
    /// Refused when full.
    Message(usize),
}

/// Sort of event, object, part of the object.
type MergeKey = (u8, u64, u32);

fn policy(event: &Event) -> Policy {
    match *event {
        Event::ProducerScore { .. }
        | Event::ActiveSpeakers { .. }
        | Event::EstimateChanged { .. }
        | Event::FeedbackActed { .. }
        | Event::PackagerWarned { .. }
        | Event::IngestStranger { .. }
        | Event::IngestWarned { .. } => Policy::Statistic,
        Event::IceStateChanged { transport, .. } => Policy::Merge((0, transport, 0)),
        Event::DtlsStateChanged { transport, .. } => Policy::Merge((1, transport, 0)),
        Event::RemoteLearnt { transport, .. } => Policy::Merge((2, transport, 0)),
        // Started and silent are two values of one state.
        Event::ProducerStarted {
            producer, encoding, ..
        }
        | Event::ProducerSilent { producer, encoding } => Policy::Merge((3, producer, encoding)),
        Event::ConsumerLayersChanged { consumer, .. } => Policy::Merge((4, consumer, 0)),
        Event::ConsumerLayersTargeted { consumer, .. } => Policy::Merge((5, consumer, 0)),
        // Two values of one state again.
        Event::ConsumerStarved { consumer } | Event::ConsumerFed { consumer } => {
            Policy::Merge((6, consumer, 0))
        }
        Event::EncodingsWanted { producer, .. } => Policy::Merge((7, producer, 0)),
        Event::QualityChanged { id, .. } => Policy::Merge((8, id, 0)),
        Event::CongestionChanged {
            transport,
            direction,
            ..
        } => Policy::Merge((9, transport, direction as u32)),
        Event::AudioForwarded { router, .. } => Policy::Merge((10, router, 0)),
        Event::MixerEffortChanged { mixer, .. } => Policy::Merge((11, mixer, 0)),
        Event::PackagerPressed { packager, .. } => Policy::Merge((12, packager, 0)),
        Event::IngestPaced { ingest, .. } => Policy::Merge((13, ingest, 0)),
        Event::PackagerPointed { packager, .. } => Policy::Merge((14, packager, 0)),
        Event::DtmfReceived { .. } => Policy::Message(1),
        Event::ChannelMessage { ref data, .. } => Policy::Message(data.len()),
        Event::TransportClosed { .. }
        | Event::RouterClosed { .. }
        | Event::MixerClosed { .. }
        | Event::PackagerStarted { .. }
        | Event::PackagerEnded { .. }
        | Event::IngestStarted { .. }
        | Event::IngestEnded { .. }
        | Event::IngestPullEnded { .. }
        | Event::PlayoutStarted { .. }
        | Event::PlayoutEnded { .. }
        | Event::IngestTrack { .. }
        | Event::IngestTrackEnded { .. }
        | Event::MixerSourceEnded { .. }
        | Event::ProducerClosed { .. }
        | Event::ConsumerClosed { .. }
        | Event::ChannelOpened { .. }
        | Event::ChannelClosed { .. }
        | Event::EventsDropped { .. } => Policy::Final,
    }
}

/// A channel message found no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event queue is full")]
pub(crate) struct Full;

#[derive(Debug, Default)]
struct Queue {
    /// `None` marks an entry that was merged or dropped.
    entries: VecDeque<Option<Outbound>>,
    /// Index of the first entry, counted over all time.
    base: u64,
    /// Where the statistics lie.
    statistics: VecDeque<u64>,
    /// Newest event of each key that lies in the queue.
    newest: FxHashMap<MergeKey, u64>,
    events: usize,
    message_bytes: usize,
    next_seq: u64,
    dropped: u64,
    merged: u64,
    reported: (u64, u64),
}

/// The queue shared by all shards and its reader.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    wake: EventFd,
    capacity: usize,
    /// Requests let in whose replies were not drained yet.
    outstanding: AtomicUsize,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> std::io::Result<Self> {
        Ok(Self {
            queue: Mutex::default(),
            wake: EventFd::new()?,
            capacity: capacity.max(1),
            outstanding: AtomicUsize::new(0),
        })
    }

    pub(crate) fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// Counts one more request unless `limit` wait already.
    pub(crate) fn admit(&self, limit: usize) -> bool {
        let more = |count: usize| (count < limit).then_some(count + 1);
        self.outstanding
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Takes back an `admit` whose request was not passed on.
    pub(crate) fn retract(&self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }

    /// Answers a request.
    pub(crate) fn reply(&self, id: u64, result: CommandResult) {
        let mut queue = self.lock();
        queue
            .entries
            .push_back(Some(Outbound::Reply { id, result }));
        self.wake.signal();
    }

    /// Asks something; whoever asks bounds how much.
    pub(crate) fn question(&self, question: Outbound) {
        let mut queue = self.lock();
        queue.entries.push_back(Some(question));
        self.wake.signal();
    }

    /// Tells an event; only a channel message can be refused.
    pub(crate) fn event(&self, event: Event) -> Result<(), Full> {
        let mut queue = self.lock();
        queue.push(event, self.capacity)?;
        self.wake.signal();
        Ok(())
    }

    /// Takes at most `limit` values.
    pub(crate) fn drain(&self, limit: usize) -> Vec<Outbound> {
        let mut queue = self.lock();
        let taken = queue.pop(limit);
        self.wake.clear();
        if !queue.is_empty() {
            self.wake.signal();
        }
        drop(queue);
        let replies = taken
            .iter()
            .filter(|one| matches!(one, Outbound::Reply { .. }))
            .count();
        self.outstanding.fetch_sub(replies, Ordering::Relaxed);
        taken
    }

    /// Values that wait, statistics dropped, state events merged.
    pub(crate) fn depth(&self) -> (usize, u64, u64) {
        let queue = self.lock();
        (
            queue.entries.iter().flatten().count(),
            queue.dropped,
            queue.merged,
        )
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic while the lock was held can at worst have lost one event.
        self.queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.reported == (self.dropped, self.merged)
    }

    fn push(&mut self, event: Event, capacity: usize) -> Result<(), Full> {
        let policy = policy(&event);
        if self.events >= capacity && !self.make_space(policy)? {
            return Ok(());
        }
        if let Policy::Message(bytes) = policy {
            if self.message_bytes + bytes > MAX_MESSAGE_BYTES {
                return Err(Full);
            }
            self.message_bytes += bytes;
        }
        let index = self.base + self.entries.len() as u64;
        match policy {
            Policy::Statistic => self.statistics.push_back(index),
            Policy::Merge(key) => {
                self.newest.insert(key, index);
            }
            Policy::Final | Policy::Message(_) => {}
        }
        self.next_seq += 1;
        self.events += 1;
        self.entries.push_back(Some(Outbound::Event {
            seq: self.next_seq,
            event,
        }));
        Ok(())
    }

    /// Whether the event may still come in, after something else went.
    fn make_space(&mut self, policy: Policy) -> Result<bool, Full> {
        match policy {
            Policy::Message(_) => return Err(Full),
            Policy::Statistic => {
                self.dropped += 1;
                return Ok(false);
            }
            Policy::Merge(_) | Policy::Final => {}
        }
        if let Some(index) = self.statistics.pop_front() {
            self.remove(index);
            self.dropped += 1;
        } else if let Policy::Merge(key) = policy
            && let Some(index) = self.newest.remove(&key)
        {
            self.remove(index);
            self.merged += 1;
        }
        Ok(true)
    }

    fn remove(&mut self, index: u64) {
        let slot = index
            .checked_sub(self.base)
            .and_then(|at| self.entries.get_mut(at as usize));
        if slot.is_some_and(|slot| slot.take().is_some()) {
            self.events -= 1;
        }
    }

    fn pop(&mut self, limit: usize) -> Vec<Outbound> {
        let mut taken = Vec::with_capacity(limit.min(self.entries.len() + 1));
        let now = (self.dropped, self.merged);
        if self.reported != now && limit > 0 {
            self.next_seq += 1;
            let event = Event::EventsDropped {
                statistics: now.0 - self.reported.0,
                merged: now.1 - self.reported.1,
            };
            self.reported = now;
            taken.push(Outbound::Event {
                seq: self.next_seq,
                event,
            });
        }
        while taken.len() < limit {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            let index = self.base;
            self.base += 1;
            let Some(value) = entry else { continue };
            if let Outbound::Event { event, .. } = &value {
                self.forget(index, event);
            }
            taken.push(value);
        }
        taken
    }

    fn forget(&mut self, index: u64, event: &Event) {
        self.events -= 1;
        match policy(event) {
            Policy::Statistic => {
                self.statistics.pop_front();
            }
            Policy::Merge(key) => {
                if self.newest.get(&key) == Some(&index) {
                    self.newest.remove(&key);
                }
            }
            Policy::Message(bytes) => self.message_bytes -= bytes,
            Policy::Final => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{CloseReason, IceState};

    fn score(score: u8) -> Event {
        Event::ProducerScore {
            producer: 1,
            encoding: 0,
            score,
        }
    }

    fn ice(transport: u64, state: IceState) -> Event {
        Event::IceStateChanged {
            transport,
            state,
            protocol: None,
            local: None,
            remote: None,
        }
    }

    fn closed(transport: u64) -> Event {
        Event::TransportClosed {
            transport,
            reason: CloseReason::Requested,
            detail: String::new(),
        }
    }

    fn events(outbox: &Outbox) -> Vec<Event> {
        let values = outbox.drain(100);
        values
            .into_iter()
            .filter_map(|v| {
                if let Outbound::Event { event, .. } = v {
                    Some(event)
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn order_and_numbers_are_kept_below_the_limit() {
        let outbox = Outbox::new(10).unwrap();
        for transport in 1..=3 {
            outbox.event(closed(transport)).unwrap();
        }
        let seqs: Vec<u64> = outbox
            .drain(10)
            .iter()
            .map(|v| {
                if let Outbound::Event { seq, .. } = v {
                    *seq
                } else {
                    0
                }
            })
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
        assert!(outbox.drain(10).is_empty());
    }

    #[test]
    fn a_full_queue_gives_up_statistics_for_states_and_says_so() {
        let outbox = Outbox::new(2).unwrap();
        outbox.event(score(1)).unwrap();
        outbox.event(score(2)).unwrap();
        outbox.event(score(3)).unwrap();
        outbox.event(ice(7, IceState::Checking)).unwrap();
        assert_eq!(
            events(&outbox),
            [
                Event::EventsDropped {
                    statistics: 2,
                    merged: 0
                },
                score(2),
                ice(7, IceState::Checking)
            ]
        );
    }

    #[test]
    fn a_full_queue_merges_states_of_one_object_into_the_newest() {
        let outbox = Outbox::new(2).unwrap();
        outbox.event(ice(7, IceState::Checking)).unwrap();
        outbox.event(ice(8, IceState::Checking)).unwrap();
        outbox.event(ice(7, IceState::Connected)).unwrap();
        assert_eq!(
            events(&outbox),
            [
                Event::EventsDropped {
                    statistics: 0,
                    merged: 1
                },
                ice(8, IceState::Checking),
                ice(7, IceState::Connected)
            ]
        );
    }

    #[test]
    fn final_events_and_replies_are_never_dropped() {
        let outbox = Outbox::new(1).unwrap();
        for transport in 0..50 {
            assert!(outbox.admit(100));
            outbox.reply(transport, CommandResult::Done {});
            outbox.event(closed(transport)).unwrap();
        }
        assert_eq!(outbox.drain(1000).len(), 100);
    }

    #[test]
    fn channel_messages_are_refused_when_full() {
        let outbox = Outbox::new(1).unwrap();
        let message = Event::ChannelMessage {
            channel: 1,
            data: vec![1],
            text: false,
        };
        outbox.event(message.clone()).unwrap();
        assert_eq!(outbox.event(message.clone()), Err(Full));
        assert_eq!(events(&outbox).len(), 1);
        assert_eq!(outbox.event(message), Ok(()));
    }

    #[test]
    fn channel_messages_are_bounded_in_bytes() {
        let outbox = Outbox::new(1000).unwrap();
        let message = Event::ChannelMessage {
            channel: 1,
            data: vec![0; MAX_MESSAGE_BYTES / 2 + 1],
            text: false,
        };
        outbox.event(message.clone()).unwrap();
        assert_eq!(outbox.event(message), Err(Full));
    }

    #[test]
    fn requests_are_bounded_until_their_replies_are_drained() {
        let outbox = Outbox::new(1).unwrap();
        assert!(outbox.admit(1));
        assert!(!outbox.admit(1));
        outbox.reply(1, CommandResult::Done {});
        assert!(!outbox.admit(1));
        outbox.drain(1);
        assert!(outbox.admit(1));
    }
}
