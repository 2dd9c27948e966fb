//! What was sent: a ring of eight bytes a packet, found by sequence number.
//!
//! Does what libwebrtc's `transport_feedback_adapter.cc` (revision 0467d2b9) does with a map: remembers packets until
//! feedback names them, and unwraps sequence numbers.

use crate::SentPacket;

/// Packets remembered at first.
const MIN_CAPACITY: usize = 64;
/// Packets remembered at most: 0.8 s at 200 Mbit/s in full packets.
const MAX_CAPACITY: usize = 16_384;
/// The ring grows rather than forget a packet younger than this without news of it.
const KEEP_US: u32 = 2_000_000;
/// Older packets are taken for forgotten (and the time of an entry would wrap after 71 minutes).
const FORGET_US: u32 = 60_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    #[default]
    Empty,
    Unknown,
    Lost,
    Arrived,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    sent_us: u32,
    bytes: u16,
    fate: Fate,
    probe: u8,
}

/// What the log says about a packet that feedback names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It was never sent.
    NeverSent,
    /// Sent too long ago, or overwritten.
    Forgotten,
    /// Said before.
    Repeated,
    /// It did not arrive, said for the first time.
    Lost { bytes: u16, sent_us: i64, probe: u8 },
    /// It arrived, said for the first time.
    Arrived {
        sequence: u64,
        sent_us: i64,
        bytes: u16,
        probe: u8,
        /// It had been reported as lost.
        was_lost: bool,
    },
}

/// The ring; entries lie at their unwrapped sequence number modulo its length.
#[derive(Debug, Default)]
pub(super) struct SentLog {
    entries: Vec<Entry>,
    /// The first sequence number the ring may hold.
    oldest: u64,
    /// The sequence number expected next, unwrapped.
    next: u64,
    last_sent_us: u32,
    /// Packets overwritten before feedback named them.
    pub(super) overwritten: u64,
}

impl SentLog {
    /// Remembers a packet; one behind the last is not remembered.
    #[inline]
    pub(super) fn push(&mut self, packet: SentPacket, probe: u8, now_us: i64) {
        let now = now_us as u32;
        let ahead = packet.sequence.wrapping_sub(self.next as u16);
        if ahead != 0
            || self.next - self.oldest >= self.entries.len() as u64
            || now.wrapping_sub(self.last_sent_us) > FORGET_US
        {
            if ahead >= 0x8000 && !self.entries.is_empty() {
                return;
            }
            self.make_place(ahead, now);
        }
        let index = self.next as usize & (self.entries.len() - 1);
        self.entries[index] = Entry {
            sent_us: now,
            bytes: packet.bytes,
            fate: Fate::Unknown,
            probe,
        };
        self.next += 1;
        self.last_sent_us = now;
    }

    /// Reads what the next packet's entry displaces.
    pub(super) fn touch(&self) -> u64 {
        let mask = self.entries.len().wrapping_sub(1);
        let next = self.entries.get(self.next as usize & mask);
        next.map_or(0, |entry| u64::from(entry.sent_us))
    }

    fn make_place(&mut self, ahead: u16, now: u32) {
        if self.entries.is_empty() {
            // Far enough from zero that nothing unwraps to below it.
            self.next = 0x1_0000 + u64::from((self.next as u16).wrapping_add(ahead));
            self.oldest = self.next;
            self.entries = vec![Entry::default(); MIN_CAPACITY];
        } else if now.wrapping_sub(self.last_sent_us) > FORGET_US {
            self.next += u64::from(ahead);
            self.oldest = self.next;
        } else {
            for _ in 0..ahead {
                self.free_slot(now);
                let index = self.next as usize & (self.entries.len() - 1);
                self.entries[index] = Entry::default();
                self.next += 1;
            }
        }
        self.free_slot(now);
    }

    /// Makes the slot at `next` free.
    fn free_slot(&mut self, now: u32) {
        let capacity = self.entries.len();
        if self.next - self.oldest < capacity as u64 {
            return;
        }
        let old = self.entries[self.oldest as usize & (capacity - 1)];
        let is_wanted = old.fate == Fate::Unknown && now.wrapping_sub(old.sent_us) < KEEP_US;
        if is_wanted && capacity < MAX_CAPACITY {
            let mut entries = vec![Entry::default(); capacity * 2];
            for sequence in self.oldest..self.next {
                entries[sequence as usize & (capacity * 2 - 1)] =
                    self.entries[sequence as usize & (capacity - 1)];
            }
            self.entries = entries;
        } else {
            self.overwritten += u64::from(is_wanted);
            self.oldest += 1;
        }
    }

    /// What is known of the packet that feedback names, and remembers what feedback says.
    pub(super) fn look_up(&mut self, sequence: u16, arrived: bool, now_us: i64) -> Lookup {
        let behind = (self.next as u16).wrapping_sub(sequence);
        if self.entries.is_empty() || behind == 0 || behind > 0x8000 {
            return Lookup::NeverSent;
        }
        let sequence = self.next - u64::from(behind);
        if sequence < self.oldest {
            return Lookup::Forgotten;
        }
        let index = sequence as usize & (self.entries.len() - 1);
        let entry = &mut self.entries[index];
        let age = (now_us as u32).wrapping_sub(entry.sent_us);
        let sent_us = now_us - i64::from(age);
        if age > FORGET_US {
            return Lookup::Forgotten;
        }
        match (entry.fate, arrived) {
            (Fate::Empty, _) => Lookup::NeverSent,
            (Fate::Arrived, _) | (Fate::Lost, false) => Lookup::Repeated,
            (Fate::Unknown, false) => {
                entry.fate = Fate::Lost;
                Lookup::Lost {
                    bytes: entry.bytes,
                    sent_us,
                    probe: entry.probe,
                }
            }
            (Fate::Unknown | Fate::Lost, true) => {
                let was_lost = entry.fate == Fate::Lost;
                entry.fate = Fate::Arrived;
                Lookup::Arrived {
                    sequence,
                    sent_us,
                    bytes: entry.bytes,
                    probe: entry.probe,
                    was_lost,
                }
            }
        }
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}
