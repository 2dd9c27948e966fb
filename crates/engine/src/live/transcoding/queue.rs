//! What waits for a process that codes anew.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::pressing::Fill;

/// Bytes that may wait: two seconds of 30 Mbit/s.
pub(in super::super) const MAX_BYTES: usize = 8 << 20;
/// Units that may wait: while the process starts, twenty seconds of 60 pictures or 50 frames of sound a second.
pub(in super::super) const MAX_UNITS: usize = 1280;

/// Units, each with what goes before it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Bytes of the first that are sent already.
    written: usize,
}

#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    keyframe: bool,
}

/// What was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) units: usize,
    /// Groups of pictures of which something was among it.
    pub(super) groups: u64,
}

impl Lost {
    fn of<'a>(waiting: impl Iterator<Item = &'a Waiting>) -> Self {
        let mut lost = Self::default();
        for one in waiting {
            // The rest of a group whose beginning has left already is one too.
            lost.groups += u64::from(one.keyframe || lost.units == 0);
            lost.units += 1;
        }
        lost
    }
}

impl Queue {
    /// Add a unit; false where it is one too many.
    pub(super) fn push(&mut self, bytes: Bytes, keyframe: bool) -> bool {
        if self.waiting.len() >= MAX_UNITS || self.bytes + bytes.len() > MAX_BYTES {
            return false;
        }
        self.bytes += bytes.len();
        self.waiting.push_back(Waiting { bytes, keyframe });
        true
    }

    /// Before all others, of which nothing has been sent.
    pub(super) fn push_front(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        let keyframe = false;
        self.waiting.push_front(Waiting { bytes, keyframe });
    }

    /// How full it is.
    pub(super) fn fill(&self) -> Fill {
        Fill {
            bytes: self.bytes as u64,
            bytes_limit: Some(MAX_BYTES as u64),
            units: self.waiting.len() as u64,
            units_limit: Some(MAX_UNITS as u64),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is to be sent next.
    pub(super) fn front(&self) -> Option<&[u8]> {
        let first = self.waiting.front()?;
        Some(&first.bytes[self.written..])
    }

    /// So much of it was sent.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        if let Some(first) = self.waiting.front()
            && self.written >= first.bytes.len()
        {
            self.bytes -= first.bytes.len();
            self.written = 0;
            self.waiting.pop_front();
        }
    }

    /// Drop all but what is half sent; how much that was.
    pub(super) fn clear(&mut self) -> Lost {
        let kept = usize::from(self.written > 0);
        let lost = Lost::of(self.waiting.iter().skip(kept));
        self.waiting.truncate(kept);
        self.bytes = self.waiting.iter().map(|one| one.bytes.len()).sum();
        lost
    }

    /// Drop what is half sent too: nobody has the first half any more.
    pub(super) fn begin_anew(&mut self) {
        if std::mem::take(&mut self.written) > 0
            && let Some(first) = self.waiting.pop_front()
        {
            self.bytes -= first.bytes.len();
        }
    }

    /// Drop what is before the newest keyframe, or all; how much that was.
    pub(super) fn keep_newest_group(&mut self) -> Lost {
        let newest = self.waiting.iter().rposition(|one| one.keyframe);
        let end = newest.unwrap_or(self.waiting.len());
        let lost = Lost::of(self.waiting.iter().take(end));
        for one in self.waiting.drain(..end) {
            self.bytes -= one.bytes.len();
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_half_sent_is_sent_to_its_end() {
        let mut queue = Queue::default();
        assert!(queue.push(Bytes::from_static(b"first"), true));
        assert!(queue.push(Bytes::from_static(b"second"), false));
        queue.advance(2);
        let (units, groups) = (1, 1);
        assert_eq!(queue.clear(), Lost { units, groups });
        assert_eq!(queue.front(), Some(&b"rst"[..]));
        queue.advance(3);
        assert!(queue.is_empty());
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn groups_are_counted_of_which_something_is_lost() {
        let mut queue = Queue::default();
        for keyframe in [true, false, true, false, true, false] {
            queue.push(Bytes::from_static(b"unit"), keyframe);
        }
        queue.advance(4);
        let (units, groups) = (5, 3);
        assert_eq!(queue.fill().units, 5);
        assert_eq!(queue.clear(), Lost { units, groups });
        assert_eq!((queue.fill().bytes, queue.clear()), (0, Lost::default()));
    }

    #[test]
    fn it_is_bounded_by_bytes_and_by_units() {
        let mut queue = Queue::default();
        let large = Bytes::from(vec![0; MAX_BYTES / 2]);
        assert!(queue.push(large.clone(), true) && queue.push(large.clone(), false));
        assert!(!queue.push(Bytes::from_static(b"x"), false));
        queue.clear();
        for _ in 0..MAX_UNITS {
            assert!(queue.push(Bytes::from_static(b"x"), false));
        }
        assert!(!queue.push(Bytes::from_static(b"x"), false));
    }

    #[test]
    fn who_comes_late_begins_with_the_newest_keyframe() {
        let mut queue = Queue::default();
        for (bytes, keyframe) in [("k1", true), ("d1", false), ("k2", true), ("d2", false)] {
            queue.push(Bytes::from_static(bytes.as_bytes()), keyframe);
        }
        let (units, groups) = (2, 1);
        assert_eq!(queue.keep_newest_group(), Lost { units, groups });
        assert_eq!(queue.front(), Some(&b"k2"[..]));
    }
}
