//! What of a stream has to go through the live thread, as the thread that brings it sees it.
//!
//! A source is slowed by what the whole stream goes through: its way to the live thread, and processes that code anew
//! what is listed in no other form. Whoever reads beside that loses groups of pictures, and slows nobody. What is on its
//! way in comes to those processes' queues all at once, so the two are judged together: a queue that has a place for it
//! now has none if as much again is let in before the live thread looks next.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pressing::{Fill, QueueId, Queued};
use super::transcoding::{QUEUE_BYTES, QUEUE_UNITS};

/// Bytes of one stream that may wait for the live thread; what finds no place is lost up to the next keyframe.
pub(crate) const MAX_WAY_IN: u64 = 8 << 20;

/// Units of a stream, and the bytes in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) bytes: u64,
    pub(crate) units: u64,
}

/// What of one stream is on its way to the live thread, and what waits behind that; both sides count.
#[derive(Debug, Default)]
pub(crate) struct WayIn {
    bytes: AtomicU64,
    units: AtomicU64,
    behind: Behind,
    units_dropped: AtomicU64,
    groups_dropped: AtomicU64,
}

/// The fullest of the queues behind the way in that slow down whoever sends.
#[derive(Debug, Default)]
struct Behind {
    bytes: AtomicU64,
    units: AtomicU64,
    /// How many queues that are.
    queues: AtomicU64,
}

impl WayIn {
    /// So much more is on its way; false where it finds no place.
    pub(crate) fn enter(&self, load: Load) -> bool {
        let fits = |held: u64| {
            let sum = held.checked_add(load.bytes);
            sum.filter(|sum| *sum <= MAX_WAY_IN)
        };
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let entered = self.bytes.fetch_update(set, get, fits).is_ok();
        if entered {
            self.units.fetch_add(load.units, Ordering::Relaxed);
        }
        entered
    }

    /// So much has come to where it waits next, or was taken back.
    pub(crate) fn leave(&self, load: Load) {
        // Who sees that it has left sees what was told of the queues behind before that.
        self.units.fetch_sub(load.units, Ordering::Release);
        self.bytes.fetch_sub(load.bytes, Ordering::Release);
    }

    /// So much found no place.
    pub(crate) fn lose(&self, units: u64, groups: u64) {
        self.units_dropped.fetch_add(units, Ordering::Relaxed);
        self.groups_dropped.fetch_add(groups, Ordering::Relaxed);
    }

    /// How full the queues behind it are. What has come to them leaves only after that is told, so that it is never in
    /// neither count.
    pub(super) fn tell(&self, behind: &[Queued]) {
        let slowing = || behind.iter().filter(|one| one.slows).map(|one| one.fill);
        let most = |of: fn(Fill) -> u64| slowing().map(of).max().unwrap_or(0);
        let told = &self.behind;
        told.bytes.store(most(|fill| fill.bytes), Ordering::Relaxed);
        told.units.store(most(|fill| fill.units), Ordering::Relaxed);
        told.queues
            .store(slowing().count() as u64, Ordering::Relaxed);
    }

    /// Thousandths of the room for this stream that are taken, here or behind once all has come there that is on its
    /// way: with `begun_bytes` of a unit that is not whole yet. Where nothing waits, that unit waits for nothing.
    pub(crate) fn permille(&self, begun_bytes: u64) -> u64 {
        let bytes = self.bytes.load(Ordering::Acquire);
        let units = self.units.load(Ordering::Acquire);
        let begun = |waiting: u64| if waiting > 0 { begun_bytes } else { 0 };
        let here = Fill::of_bytes(bytes + begun(bytes), MAX_WAY_IN);
        if self.behind.queues.load(Ordering::Relaxed) == 0 {
            return here.permille();
        }
        let waiting = bytes + self.behind.bytes.load(Ordering::Relaxed);
        let behind = Fill {
            bytes: waiting + begun(waiting),
            bytes_limit: Some(QUEUE_BYTES as u64),
            units: units + self.behind.units.load(Ordering::Relaxed),
            units_limit: Some(QUEUE_UNITS as u64),
        };
        here.permille().max(behind.permille())
    }

    /// As a queue; its units are the runs that wait, of all streams.
    pub(super) fn queued(&self, runs: u64, runs_limit: u64) -> Queued {
        Queued {
            id: QueueId::WayIn,
            fill: Fill {
                bytes: self.bytes.load(Ordering::Relaxed),
                bytes_limit: Some(MAX_WAY_IN),
                units: runs,
                units_limit: Some(runs_limit),
            },
            units_dropped: self.units_dropped.load(Ordering::Relaxed),
            groups_dropped: self.groups_dropped.load(Ordering::Relaxed),
            slows: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bytes(bytes: u64) -> Load {
        Load { bytes, units: 0 }
    }

    fn queue(bytes: u64, units: u64, slows: bool) -> Queued {
        Queued {
            id: QueueId::Transcoder(7),
            fill: Fill {
                bytes,
                units,
                ..Fill::default()
            },
            units_dropped: 0,
            groups_dropped: 0,
            slows,
        }
    }

    #[test]
    fn the_way_in_is_bounded_and_gives_back_what_has_come() {
        let way = WayIn::default();
        assert!(way.enter(bytes(MAX_WAY_IN - 10)));
        assert!(!way.enter(bytes(11)));
        assert!(way.enter(bytes(10)));
        way.leave(bytes(MAX_WAY_IN));
        assert_eq!(way.permille(0), 0);
        assert!(way.enter(bytes(1)));
    }

    #[test]
    fn what_is_on_its_way_counts_with_what_waits_behind_it() {
        let way = WayIn::default();
        assert!(way.enter(bytes(MAX_WAY_IN / 4)));
        assert_eq!(way.permille(0), 250);
        let half = QUEUE_BYTES as u64 / 2;
        // Whoever reads beside the stream is no matter, however full.
        way.tell(&[queue(10 * half, 0, false)]);
        assert_eq!(way.permille(0), 250);
        way.tell(&[queue(half, 0, true), queue(10, 0, true)]);
        assert_eq!(way.permille(0), 750);
        way.leave(bytes(MAX_WAY_IN / 4));
        assert_eq!(way.permille(0), 500);
        // Nobody codes it anew any more.
        way.tell(&[]);
        assert_eq!(way.permille(0), 0);
    }

    #[test]
    fn a_unit_that_is_not_whole_counts_where_something_waits_before_it() {
        let way = WayIn::default();
        let quarter = MAX_WAY_IN / 4;
        assert_eq!(way.permille(quarter), 0);
        assert!(way.enter(bytes(quarter)));
        assert_eq!(way.permille(quarter), 500);
        way.leave(bytes(quarter));
        way.tell(&[queue(QUEUE_BYTES as u64 / 2, 0, true)]);
        assert_eq!(way.permille(quarter), 750);
        way.tell(&[queue(0, 0, true)]);
        assert_eq!(way.permille(quarter), 0);
    }

    #[test]
    fn many_small_units_fill_what_is_behind_and_not_the_way_there() {
        let way = WayIn::default();
        let units = QUEUE_UNITS as u64 / 2;
        assert!(way.enter(Load { bytes: 1, units }));
        assert_eq!(way.permille(0), 0);
        way.tell(&[queue(0, units / 2, true)]);
        assert_eq!(way.permille(0), 750);
    }
}
