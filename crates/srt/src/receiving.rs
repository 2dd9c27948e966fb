//! Packets between their arrival and their delivery.

use crate::losses::{Losses, Range};
use crate::seq::Seq;
use crate::time::Micros;
use std::collections::VecDeque;

/// What became of a packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Newer than all others; the packets between are missing.
    New(Option<Range>),
    /// It had been missing.
    Recovered,
    /// It was there already.
    Duplicate,
    /// Its place has been delivered or given up.
    Late,
    /// There is no room for it.
    Beyond,
    /// Further ahead than there is room, and nothing waits: reception begins anew there.
    Restarted { skipped: u32 },
}

/// What a look at the front of the buffer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Packets that are lost before this one, for whatever reason.
    pub(crate) lost: u32,
    /// Of them, those given up by this delivery.
    pub(crate) skipped: u32,
    /// When it should have been delivered.
    pub(crate) due: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Missing,
    Received,
    /// Given up by the sender.
    Void,
}

struct Slot {
    state: State,
    due: Micros,
    data: Vec<u8>,
}

/// A window of sequence numbers; slots grow and shrink with what is in them, buffers are used again.
pub(crate) struct ReceiveBuffer {
    slots: VecDeque<Slot>,
    base: Seq,
    capacity: usize,
    received: usize,
    losses: Losses,
    spare: Vec<Vec<u8>>,
    /// Packets passed over by beginning anew, of which no delivery has told yet.
    passed_over: u32,
    /// What was delivered last.
    delivered: Vec<u8>,
}

impl ReceiveBuffer {
    pub(crate) fn new(first: Seq, capacity: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            base: first,
            capacity,
            received: 0,
            losses: Losses::default(),
            spare: Vec::new(),
            passed_over: 0,
            delivered: Vec::new(),
        }
    }

    /// The number after the newest packet.
    pub(crate) fn end(&self) -> Seq {
        self.base.plus(self.slots.len() as i32)
    }

    /// The first packet that is neither here nor given up.
    pub(crate) fn acknowledged(&self) -> Seq {
        self.losses.first().map_or(self.end(), |range| range.0)
    }

    pub(crate) fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Packets for which there is room.
    pub(crate) fn space(&self) -> usize {
        self.capacity - self.slots.len()
    }

    /// Packets that wait for their delivery.
    pub(crate) fn waiting(&self) -> usize {
        self.received
    }

    /// Whether a packet would be taken: worth decrypting.
    pub(crate) fn wants(&self, seq: Seq) -> bool {
        let Ok(offset) = usize::try_from(seq.since(self.base)) else {
            return false;
        };
        self.slots
            .get(offset)
            .is_none_or(|slot| slot.state == State::Missing)
    }

    /// Takes a packet in.
    pub(crate) fn insert(&mut self, seq: Seq, due: Micros, payload: &[u8]) -> Arrival {
        let Ok(offset) = usize::try_from(seq.since(self.base)) else {
            return Arrival::Late;
        };
        if let Some(slot) = self.slots.get(offset) {
            if slot.state != State::Missing {
                return Arrival::Duplicate;
            }
            self.losses.remove(seq);
            let filled = self.fill(due, payload);
            self.slots[offset] = filled;
            return Arrival::Recovered;
        }
        if offset >= self.capacity {
            if self.received > 0 {
                return Arrival::Beyond;
            }
            self.slots.clear();
            self.losses = Losses::default();
            self.base = seq;
            let filled = self.fill(due, payload);
            self.slots.push_back(filled);
            self.passed_over = offset as u32;
            return Arrival::Restarted {
                skipped: offset as u32,
            };
        }
        let end = self.end();
        let gap = (end != seq).then(|| (end, seq.plus(-1)));
        if let Some(range) = gap {
            self.losses.push(range);
            for _ in self.slots.len()..offset {
                self.slots.push_back(Slot {
                    state: State::Missing,
                    due: 0,
                    data: Vec::new(),
                });
            }
        }
        let filled = self.fill(due, payload);
        self.slots.push_back(filled);
        Arrival::New(gap)
    }

    fn fill(&mut self, due: Micros, payload: &[u8]) -> Slot {
        let mut data = self.spare.pop().unwrap_or_default();
        data.clear();
        data.extend_from_slice(payload);
        self.received += 1;
        Slot {
            state: State::Received,
            due,
            data,
        }
    }

    /// Gives packets up that the sender no longer has; gives how many of them were missing.
    pub(crate) fn give_up(&mut self, (first, last): Range) -> u32 {
        let first = if first.is_before(self.base) {
            self.base
        } else {
            first
        };
        let furthest = self.capacity as i32 - 1;
        let last = if last.since(self.base) > furthest {
            self.base.plus(furthest)
        } else {
            last
        };
        // Numbers half a circle away seem to be on either side.
        if first.since(self.base) > furthest || last.is_before(first) {
            return 0;
        }
        let mut count = self.losses.remove_range((first, last)) as u32;
        // What was never heard of is given up too, with whatever is missing before it.
        if !last.is_before(self.end()) {
            let end = self.end();
            if end.is_before(first) {
                self.losses.push((end, first.plus(-1)));
            }
            while !last.is_before(self.end()) {
                let given_up = !self.end().is_before(first);
                count += u32::from(given_up);
                self.slots.push_back(Slot {
                    state: if given_up {
                        State::Void
                    } else {
                        State::Missing
                    },
                    due: 0,
                    data: Vec::new(),
                });
            }
        }
        let from = first.since(self.base) as usize;
        let to = last.since(self.base) as usize;
        for slot in self.slots.range_mut(from..=to) {
            if slot.state == State::Missing {
                slot.state = State::Void;
            }
        }
        count
    }

    /// When the next packet is due, passing over those that are missing where `skips`.
    pub(crate) fn next_due(&self, skips: bool) -> Option<Micros> {
        if self.received == 0 {
            return None;
        }
        let mut at = 0;
        if let Some((first, last)) = self.losses.first()
            && first == self.base
        {
            if !skips {
                return None;
            }
            at = last.since(self.base) as usize + 1;
        }
        // Behind a run that is missing or void stands one that is received, or another run.
        let received = self.slots.iter().skip(at).find(|slot| {
            slot.state == State::Received || (!skips && slot.state == State::Missing)
        })?;
        (received.state == State::Received).then_some(received.due)
    }

    /// Delivers the next packet if it is due; [`ReceiveBuffer::message`] has it then.
    pub(crate) fn advance(&mut self, now: Micros, skips: bool) -> Option<Delivery> {
        let due = self.next_due(skips).filter(|due| *due <= now)?;
        let mut skipped = 0;
        let mut lost = std::mem::take(&mut self.passed_over);
        loop {
            let slot = self.slots.pop_front()?;
            let seq = self.base;
            self.base = seq.plus(1);
            match slot.state {
                State::Received => {
                    self.received -= 1;
                    let old = std::mem::replace(&mut self.delivered, slot.data);
                    if old.capacity() > 0 {
                        self.spare.push(old);
                    }
                    if skipped > 0 {
                        self.losses.remove_before(self.base);
                    }
                    lost += skipped;
                    return Some(Delivery { lost, skipped, due });
                }
                State::Missing => skipped += 1,
                State::Void => lost += 1,
            }
        }
    }

    /// What was delivered last.
    pub(crate) fn message(&self) -> &[u8] {
        &self.delivered
    }

    /// Forgets everything that waits.
    pub(crate) fn clear(&mut self) {
        self.base = self.end();
        self.slots.clear();
        self.losses = Losses::default();
        self.received = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> ReceiveBuffer {
        ReceiveBuffer::new(seq(0), 16)
    }

    fn seq(offset: i32) -> Seq {
        Seq::new(0x7fff_fffc).plus(offset)
    }

    fn deliver(buffer: &mut ReceiveBuffer, now: Micros) -> Vec<(u8, u32)> {
        let mut out = Vec::new();
        while let Some(delivery) = buffer.advance(now, true) {
            out.push((buffer.message()[0], delivery.lost));
        }
        out
    }

    #[test]
    fn packets_are_delivered_in_order_at_their_time() {
        let mut buffer = buffer();
        assert_eq!(buffer.insert(seq(0), 10, &[0]), Arrival::New(None));
        assert_eq!(
            buffer.insert(seq(3), 40, &[3]),
            Arrival::New(Some((seq(1), seq(2))))
        );
        assert_eq!(buffer.acknowledged(), seq(1));
        assert_eq!(buffer.insert(seq(2), 30, &[2]), Arrival::Recovered);
        assert_eq!(buffer.insert(seq(2), 30, &[2]), Arrival::Duplicate);
        assert_eq!(buffer.next_due(true), Some(10));
        assert_eq!(deliver(&mut buffer, 15), [(0, 0)]);
        // The first that is there decides, and those before it are given up then.
        assert_eq!(buffer.next_due(true), Some(30));
        assert_eq!(buffer.next_due(false), None);
        assert_eq!(deliver(&mut buffer, 29), []);
        assert_eq!(deliver(&mut buffer, 50), [(2, 1), (3, 0)]);
        assert_eq!(buffer.insert(seq(1), 20, &[1]), Arrival::Late);
        assert_eq!(buffer.acknowledged(), seq(4));
        assert!(buffer.losses().is_empty());
    }

    #[test]
    fn a_full_window_takes_no_more_and_an_empty_one_begins_anew() {
        let mut buffer = buffer();
        buffer.insert(seq(0), 10, &[0]);
        assert_eq!(buffer.insert(seq(16), 10, &[0]), Arrival::Beyond);
        deliver(&mut buffer, 10);
        assert_eq!(
            buffer.insert(seq(100), 20, &[9]),
            Arrival::Restarted { skipped: 99 }
        );
        assert_eq!(deliver(&mut buffer, 20), [(9, 99)]);
        assert_eq!(buffer.acknowledged(), seq(101));
    }

    #[test]
    fn what_the_sender_gave_up_is_not_waited_for() {
        let mut buffer = buffer();
        buffer.insert(seq(0), 10, &[0]);
        buffer.insert(seq(4), 50, &[4]);
        assert_eq!(buffer.give_up((seq(-5), seq(2))), 2);
        assert_eq!(buffer.acknowledged(), seq(3));
        assert_eq!(buffer.give_up((seq(3), seq(3))), 1);
        assert_eq!(deliver(&mut buffer, 60), [(0, 0), (4, 3)]);
        // Not heard of yet: with a hole before.
        assert_eq!(buffer.give_up((seq(7), seq(8))), 2);
        assert_eq!(buffer.acknowledged(), seq(5));
        assert_eq!(buffer.losses().count(), 2);
        assert_eq!(buffer.insert(seq(9), 70, &[9]), Arrival::New(None));
        assert_eq!(deliver(&mut buffer, 70), [(9, 4)]);
        // Nonsense changes nothing.
        assert_eq!(buffer.give_up((seq(9), seq(2))), 0);
        assert_eq!(buffer.give_up((seq(20), seq(10))), 0);
        assert_eq!(buffer.give_up((seq(0x3fff_ffff), seq(-0x3fff_ffff))), 0);
    }
}
