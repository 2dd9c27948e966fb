//! Packets in order, until they are due.

use super::PacketKind;
use std::collections::VecDeque;

/// A packet that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Extended sequence number.
    pub(super) sequence: u64,
    /// Where its first sample lies on the stream's timeline.
    pub(super) position: i64,
    pub(super) kind: PacketKind,
    pub(super) payload: Vec<u8>,
}

/// What has come of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    Kept,
    /// It was there already.
    Duplicate,
    /// It was kept, and the oldest was given up for it.
    Overflow,
}

/// Packets by sequence number, at most so many: the newest are worth more than the oldest.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    packets: VecDeque<Waiting>,
    most: usize,
}

impl Queue {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            packets: VecDeque::new(),
            most,
        }
    }

    pub(super) fn insert(&mut self, packet: Waiting) -> Inserted {
        let behind = |other: &Waiting| other.sequence >= packet.sequence;
        // Nearly all come in order.
        let at = match self.packets.iter().rposition(|other| !behind(other)) {
            Some(before) => before + 1,
            None => 0,
        };
        if (self.packets.get(at)).is_some_and(|other| other.sequence == packet.sequence) {
            return Inserted::Duplicate;
        }
        self.packets.insert(at, packet);
        if self.packets.len() > self.most {
            self.packets.pop_front();
            return Inserted::Overflow;
        }
        Inserted::Kept
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.packets.front()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.packets.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn clear(&mut self) {
        self.packets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u64) -> Waiting {
        Waiting {
            sequence,
            position: 0,
            kind: PacketKind::Sound,
            payload: Vec::new(),
        }
    }

    #[test]
    fn packets_come_out_in_order_once_and_the_oldest_gives_way() {
        let mut queue = Queue::new(4);
        for sequence in [5, 3, 4, 6] {
            assert_eq!(queue.insert(packet(sequence)), Inserted::Kept);
        }
        assert_eq!(queue.insert(packet(4)), Inserted::Duplicate);
        assert_eq!(queue.insert(packet(7)), Inserted::Overflow);
        assert_eq!(queue.len(), 4);
        let out: Vec<u64> = std::iter::from_fn(|| queue.pop())
            .map(|packet| packet.sequence)
            .collect();
        assert_eq!(out, [4, 5, 6, 7]);
        assert_eq!(queue.front(), None);
    }
}
