//! What waits to be taken.

use std::collections::VecDeque;

use crate::event::{DropReason, Event, Stats, TrackId};

/// Events in order, and the counters. Limits: `limit` events; beyond it units are dropped, and beyond twice that all else.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<Event>,
    limit: usize,
    pub stats: Stats,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            events: VecDeque::new(),
            limit,
            stats: Stats::default(),
        }
    }

    /// Give what has no media in it.
    pub(crate) fn tell(&mut self, event: Event) {
        if self.events.len() < self.limit * 2 {
            self.events.push_back(event);
        } else {
            self.stats.dropped[DropReason::NotTaken as usize] += 1;
        }
    }

    /// Give a unit; false where there is no room.
    pub(crate) fn give(&mut self, event: Event) -> bool {
        let fits = self.events.len() < self.limit;
        if fits {
            self.stats.given += 1;
            self.events.push_back(event);
        } else {
            self.stats.dropped[DropReason::NotTaken as usize] += 1;
        }
        fits
    }

    /// Give what must not be lost, a cue or a tag, as long as there is any room.
    pub(crate) fn give_timed(&mut self, event: Event) {
        self.stats.given += 1;
        self.tell(event);
    }

    pub(crate) fn drop_unit(&mut self, track: TrackId, reason: DropReason) {
        self.stats.dropped[reason as usize] += 1;
        self.tell(Event::Dropped { track, reason });
    }

    pub(crate) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
