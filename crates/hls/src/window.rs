//! The window of a rendition: which of its segments are listed, which can only be fetched, and which have left memory.

use std::collections::VecDeque;

use crate::list::List;
use crate::playlist::segment_name;
use crate::rows::Rows;
use crate::segment::{Part, Place, Segment};
use crate::stored::{Holding, Leaving, Stored};

/// In target durations: parts are listed for three, and can be fetched for three more.
const PARTS_STAY: u64 = 6;

/// Complete segments, in their order.
#[derive(Default)]
pub(crate) struct Window {
    /// Those that are listed, the oldest first.
    pub segments: VecDeque<Segment>,
    /// Those no longer listed that can still be fetched.
    pub removed: VecDeque<Segment>,
    /// Discontinuities that have left the list.
    pub discontinuity_sequence: u64,
    /// Listed segments as they stand in the playlist.
    pub rows: Rows,
    /// Of all above, in ticks.
    listed: u64,
    removed_ticks: u64,
    /// Of all above.
    holding: Holding,
    /// No segment before it is in memory, unless it is leaving.
    first_inside: u64,
}

impl Window {
    pub(crate) fn push(&mut self, done: Segment) {
        self.listed += done.duration();
        self.holding.memory += done.held();
        self.segments.push_back(done);
    }

    /// In ticks.
    pub(crate) fn listed(&self) -> u64 {
        self.listed
    }

    pub(crate) fn holding(&self) -> Holding {
        self.holding
    }

    /// All complete segments that can be fetched.
    pub(crate) fn fetchable(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.removed.iter().chain(&self.segments)
    }

    /// One by its number.
    pub(crate) fn segment(&self, number: u64) -> Option<&Segment> {
        [&self.removed, &self.segments]
            .into_iter()
            .find_map(|some| some.get(place_in(some, number)?))
    }

    fn segment_mut(&mut self, number: u64) -> Option<&mut Segment> {
        [&mut self.removed, &mut self.segments]
            .into_iter()
            .find_map(|some| {
                let place = place_in(some, number)?;
                some.get_mut(place)
            })
    }

    /// A part by its number, as long as it is in memory.
    pub(crate) fn part(&self, number: u64) -> Option<&Part> {
        [&self.removed, &self.segments]
            .into_iter()
            .find_map(|some| {
                let behind = some.partition_point(|segment| segment.first_part <= number);
                some.get(behind.checked_sub(1)?)?.part(number)
            })
    }

    /// Segments leave the list by time, and can be fetched for `linger` more ticks.
    pub(crate) fn slide(&mut self, least: u64, linger: u64) {
        while self.unlist(least) {}
        while self
            .removed
            .front()
            .is_some_and(|first| self.removed_ticks - first.duration() >= linger)
        {
            self.forget();
        }
    }

    /// Take the oldest segment off the list, if so many ticks stay without it.
    fn unlist(&mut self, least: u64) -> bool {
        let Some(first) = self
            .segments
            .front()
            .filter(|first| self.listed - first.duration() >= least)
        else {
            return false;
        };
        self.listed -= first.duration();
        self.removed_ticks += first.duration();
        self.discontinuity_sequence += u64::from(first.discontinuity);
        self.rows.unlist();
        self.removed.extend(self.segments.pop_front());
        true
    }

    /// Drop the oldest of those that are not listed any more.
    fn forget(&mut self) {
        let Some(first) = self.removed.pop_front() else {
            return;
        };
        self.removed_ticks -= first.duration();
        match &first.place {
            Place::Outside(stored) => self.holding.stored -= stored.bytes(),
            place => {
                self.holding.memory -= first.held();
                if let Place::Leaving = place {
                    self.holding.leaving -= first.bytes();
                }
            }
        }
    }

    /// Drop the oldest of all before its time, if so many ticks stay listed.
    pub(crate) fn forget_oldest(&mut self, least: u64) -> bool {
        let may = !self.removed.is_empty() || self.unlist(least);
        if may {
            self.forget();
        }
        may
    }

    /// The next segment that is in memory and ends before so much was listed; it is leaving from then on.
    fn next_leaving(&mut self, listed_to: u64) -> Option<&Segment> {
        let first = self.fetchable().next()?.number;
        self.first_inside = self.first_inside.max(first);
        loop {
            let number = self.first_inside;
            let segment = self.segment(number)?;
            if segment.listed_to() > listed_to {
                return None;
            }
            // What is lost needs no room.
            let bytes = segment.bytes();
            let stays = segment.is_gap() || !matches!(segment.place, Place::Memory);
            self.first_inside += 1;
            if stays {
                continue;
            }
            self.holding.leaving += bytes;
            let segment = self.segment_mut(number)?;
            segment.place = Place::Leaving;
            return Some(segment);
        }
    }

    /// What was leaving is stored, or stays after all.
    fn handle_left(&mut self, number: u64, stored: Option<Stored>) {
        let Some(segment) = self.segment_mut(number) else {
            return;
        };
        let Place::Leaving = segment.place else {
            return;
        };
        let (held, bytes) = (segment.held(), segment.bytes());
        let outside = stored.as_ref().map(Stored::bytes);
        match stored {
            Some(stored) => segment.leave(stored),
            None => segment.place = Place::Memory,
        }
        self.holding.leaving -= bytes;
        match outside {
            Some(stored) => {
                self.holding.memory -= held;
                self.holding.stored += stored;
            }
            None => self.first_inside = self.first_inside.min(number),
        }
    }
}

impl List {
    /// Segments leave the list by time, but three target durations stay (section 6.2.2); they can be fetched for as long
    /// as the longest list that named them (the same section).
    pub(crate) fn slide(&mut self) {
        let least = self.window_ticks().max(self.least_listed());
        let linger = least + 2 * self.ticks(self.cadence.target_us());
        self.window.slide(least, linger);
        self.forget_maps();
    }

    /// Drop the oldest segment before its time, if three target durations stay.
    pub(crate) fn forget_oldest(&mut self) -> bool {
        let done = self.window.forget_oldest(self.least_listed());
        self.forget_maps();
        done
    }

    /// When the oldest segment that may be dropped before its time begins, in microseconds.
    pub(crate) fn oldest_us(&self) -> Option<i64> {
        let first = self.window.fetchable().next()?;
        let may = !self.window.removed.is_empty()
            || self.window.listed() - first.duration() >= self.least_listed();
        may.then(|| self.us(first.start))
    }

    /// The next segment that is to leave memory: it ended more than `keep_us` ago, and its parts are of no use any more.
    pub(crate) fn next_leaving(
        &mut self,
        track: usize,
        run: &str,
        keep_us: u64,
    ) -> Option<Leaving> {
        let keep = self
            .ticks(keep_us)
            .max(PARTS_STAY * self.ticks(self.cadence.target_us()));
        let (now, medium) = (self.open.listed_to(), self.medium);
        let segment = self.window.next_leaving(now.checked_sub(keep)?)?;
        Some(Leaving {
            track,
            segment: segment.number,
            name: segment_name(run, segment.number, medium),
            bodies: segment.bodies().cloned().collect(),
            bytes: segment.bytes(),
        })
    }

    /// What was leaving is stored, or stays after all.
    pub(crate) fn handle_left(&mut self, segment: u64, stored: Option<Stored>) {
        self.window.handle_left(segment, stored);
    }

    /// What there is of it, the open segment included.
    pub(crate) fn holding(&self) -> Holding {
        let mut holding = self.window.holding();
        holding.memory += self.open.held();
        holding
    }

    /// In ticks: a list is never shorter.
    fn least_listed(&self) -> u64 {
        3 * self.ticks(self.cadence.target_us())
    }
}

/// Where in segments that follow each other one of this number is.
fn place_in(segments: &VecDeque<Segment>, number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(segments.front()?.number)?).ok()
}
