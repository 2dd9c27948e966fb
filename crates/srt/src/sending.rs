//! Packets between their sending and their acknowledgement.

use crate::losses::{Losses, Range};
use crate::packet::mark_retransmitted;
use crate::seq::Seq;
use crate::time::Micros;
use std::collections::VecDeque;

struct Slot {
    /// The whole packet, encrypted.
    packet: Vec<u8>,
    origin: Micros,
    /// When it was sent again last.
    again: Option<Micros>,
}

/// What a loss report was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// Packets that are here.
    Here,
    /// These are no longer here.
    Gone(Range),
    /// Packets that were never sent.
    Nonsense,
}

/// A window of sequence numbers, from the first that is not acknowledged.
pub(crate) struct SendBuffer {
    slots: VecDeque<Slot>,
    base: Seq,
    /// Slots that have been sent once.
    sent: usize,
    capacity: usize,
    losses: Losses,
    spare: Vec<Vec<u8>>,
}

impl SendBuffer {
    pub(crate) fn new(first: Seq, capacity: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            base: first,
            sent: 0,
            capacity,
            losses: Losses::default(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }

    /// Packets that are not acknowledged, unsent ones included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Packets sent and not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.sent
    }

    /// Whether packets wait to be sent for the first time.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.slots.len()
    }

    pub(crate) fn has_losses(&self) -> bool {
        !self.losses.is_empty()
    }

    /// The number of the next packet.
    pub(crate) fn next(&self) -> Seq {
        self.base.plus(self.slots.len() as i32)
    }

    /// A buffer for the next packet.
    pub(crate) fn take_spare(&mut self) -> Vec<u8> {
        let mut spare = self.spare.pop().unwrap_or_default();
        spare.clear();
        spare
    }

    /// Adds a packet, whose number is [`SendBuffer::next`].
    pub(crate) fn push(&mut self, packet: Vec<u8>, origin: Micros) {
        self.slots.push_back(Slot {
            packet,
            origin,
            again: None,
        });
    }

    fn pop(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.spare.push(slot.packet);
            self.base = self.base.plus(1);
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// The peer has everything before `seq`; whether that can be.
    pub(crate) fn acknowledge(&mut self, seq: Seq) -> bool {
        let Ok(count) = usize::try_from(seq.since(self.base)) else {
            return true;
        };
        if count > self.sent {
            return false;
        }
        for _ in 0..count {
            self.pop();
        }
        self.losses.remove_before(self.base);
        true
    }

    /// Gives up what is older than `oldest`; gives how many packets, and how many of them were never sent.
    pub(crate) fn drop_older(&mut self, oldest: Micros) -> (u32, u32) {
        let (mut dropped, mut unsent) = (0, 0);
        while self.slots.front().is_some_and(|slot| slot.origin < oldest) {
            dropped += 1;
            unsent += u32::from(self.sent == 0);
            self.pop();
        }
        if dropped > 0 {
            self.losses.remove_before(self.base);
        }
        (dropped, unsent)
    }

    /// When the oldest packet was given to the connection.
    pub(crate) fn oldest(&self) -> Option<Micros> {
        self.slots.front().map(|slot| slot.origin)
    }

    /// The peer misses a range.
    pub(crate) fn report(&mut self, (first, last): Range) -> Reported {
        let end = self.base.plus(self.sent as i32);
        if !last.is_before(end) {
            return Reported::Nonsense;
        }
        if last.is_before(self.base) {
            return Reported::Gone((first, last));
        }
        if first.is_before(self.base) {
            self.losses.insert((self.base, last));
            return Reported::Gone((first, self.base.plus(-1)));
        }
        self.losses.insert((first, last));
        Reported::Here
    }

    /// The next packet that the peer misses, marked as a retransmission. One that was sent again within `recent` is
    /// on its way and is left out.
    pub(crate) fn retransmit(
        &mut self,
        now: Micros,
        recent: Micros,
        out: &mut [u8],
    ) -> Option<usize> {
        loop {
            let seq = self.losses.pop()?;
            let Ok(at) = usize::try_from(seq.since(self.base)) else {
                continue;
            };
            let Some(slot) = self.slots.get_mut(at) else {
                continue;
            };
            if slot.again.is_some_and(|at| now - at < recent) {
                continue;
            }
            slot.again = Some(now);
            let len = slot.packet.len();
            let out = out.get_mut(..len)?;
            out.copy_from_slice(&slot.packet);
            mark_retransmitted(out);
            return Some(len);
        }
    }

    /// Has the newest packet sent again: the peer cannot miss what it has not heard of.
    pub(crate) fn probe(&mut self) {
        if self.sent > 0 {
            let newest = self.base.plus(self.sent as i32 - 1);
            self.losses.insert((newest, newest));
        }
    }

    /// The next packet that was never sent.
    pub(crate) fn send(&mut self, out: &mut [u8]) -> Option<usize> {
        let slot = self.slots.get(self.sent)?;
        let len = slot.packet.len();
        out.get_mut(..len)?.copy_from_slice(&slot.packet);
        self.sent += 1;
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u8) -> SendBuffer {
        let mut buffer = SendBuffer::new(seq(0), 16);
        for n in 0..count {
            let mut packet = buffer.take_spare();
            packet.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, n]);
            buffer.push(packet, Micros::from(n));
        }
        buffer
    }

    fn seq(offset: i32) -> Seq {
        Seq::new(0x7fff_fffd).plus(offset)
    }

    fn drain(buffer: &mut SendBuffer) -> Vec<u8> {
        let mut out = [0; 8];
        let mut sent = Vec::new();
        while buffer.send(&mut out).is_some() {
            sent.push(out[7]);
        }
        sent
    }

    #[test]
    fn what_is_missed_is_sent_again_until_it_is_acknowledged() {
        let mut buffer = filled(5);
        let mut out = [0; 8];
        assert_eq!(buffer.report((seq(0), seq(1))), Reported::Nonsense);
        assert_eq!(drain(&mut buffer), [0, 1, 2, 3, 4]);
        assert_eq!(buffer.report((seq(1), seq(2))), Reported::Here);
        assert_eq!(buffer.retransmit(30, 5, &mut out), Some(8));
        assert_eq!((out[7], out[4] & 4), (1, 4));
        assert!(buffer.acknowledge(seq(3)));
        assert_eq!(buffer.retransmit(30, 5, &mut out), None);
        assert_eq!(buffer.in_flight(), 2);
        // Reported again while it is on its way.
        buffer.report((seq(3), seq(3)));
        assert!(buffer.retransmit(40, 5, &mut out).is_some());
        buffer.report((seq(3), seq(3)));
        assert_eq!(buffer.retransmit(42, 5, &mut out), None);
        assert_eq!(
            buffer.report((seq(1), seq(3))),
            Reported::Gone((seq(1), seq(2)))
        );
        // Nobody can have what was not sent.
        assert!(!buffer.acknowledge(seq(6)));
        assert!(buffer.acknowledge(seq(5)));
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn what_is_too_old_is_given_up_sent_or_not() {
        let mut buffer = filled(4);
        let mut out = [0; 8];
        buffer.send(&mut out);
        assert_eq!(buffer.drop_older(3), (3, 2));
        assert_eq!(drain(&mut buffer), [3]);
        assert_eq!(
            buffer.report((seq(0), seq(2))),
            Reported::Gone((seq(0), seq(2)))
        );
    }
}
