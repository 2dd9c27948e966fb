//! Where packets begin in runs of bytes that come as they come.

use crate::packet::{PACKET_BYTES, SYNC};

/// Packets in a row that must begin as packets do before one is believed.
const CONFIRMATIONS: usize = 3;
/// The same for sizes that are refused.
const FOREIGN_CONFIRMATIONS: usize = 4;
/// Bytes looked at together while searching.
const WINDOW: usize = 2048;

/// Packets of another size: with a time stamp before each, or a checksum behind each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignSize {
    /// Blu-ray discs and camcorders: four bytes of time before each packet.
    #[error("packets of 192 bytes (M2TS); send packets of 188 bytes")]
    Stamped,
    /// Satellite equipment: sixteen bytes of Reed-Solomon code behind each packet.
    #[error("packets of 204 bytes (with Reed-Solomon code); send packets of 188 bytes")]
    Protected,
}

impl ForeignSize {
    const ALL: [Self; 2] = [Self::Stamped, Self::Protected];

    /// How long its packets are.
    pub fn bytes(self) -> usize {
        match self {
            Self::Stamped => 192,
            Self::Protected => 204,
        }
    }
}

/// Finds packets.
///
/// Inputs: [`feed`](Self::feed), any runs of bytes. Outputs: packets, the same for any split. Limits: [`WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct Alignment {
    carry: Vec<u8>,
    locked: bool,
    was_locked: bool,
    pub foreign: Option<ForeignSize>,
    pub skipped_bytes: u64,
    pub losses: u64,
}

enum Place {
    Found(usize),
    /// Nothing before here; from here on more bytes are needed.
    Unknown(usize),
    Foreign(ForeignSize),
}

impl Alignment {
    /// Take bytes; each whole packet is handed to `take`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8; PACKET_BYTES])) {
        while self.foreign.is_none() {
            if !self.locked {
                let fits = (WINDOW - self.carry.len()).min(bytes.len());
                self.carry.extend_from_slice(&bytes[..fits]);
                bytes = &bytes[fits..];
                if !self.search() {
                    if bytes.is_empty() {
                        return;
                    }
                    continue;
                }
            }
            self.take_carried(&mut bytes, &mut take);
            if self.locked && self.carry.is_empty() {
                bytes = self.take_direct(bytes, &mut take);
            }
            if self.locked {
                self.carry.extend_from_slice(bytes);
                return;
            }
        }
        self.skipped_bytes += bytes.len() as u64;
    }

    /// The source has ended: what it left is a packet if all of it begins as packets do.
    pub(crate) fn finish(&mut self, mut take: impl FnMut(&[u8; PACKET_BYTES])) {
        let carry = std::mem::take(&mut self.carry);
        let begin = (0..carry.len().min(PACKET_BYTES))
            .find(|&at| carry[at..].iter().step_by(PACKET_BYTES).all(|&b| b == SYNC))
            .unwrap_or(carry.len());
        let (packets, rest) = carry[begin..].as_chunks::<PACKET_BYTES>();
        packets.iter().for_each(&mut take);
        self.skipped_bytes += (begin + rest.len()) as u64;
        self.locked = false;
    }

    /// What was carried over, and as much of `bytes` as the last packet of it lacks.
    fn take_carried(&mut self, bytes: &mut &[u8], take: &mut impl FnMut(&[u8; PACKET_BYTES])) {
        if self.carry.is_empty() {
            return;
        }
        let lacking = self.carry.len().next_multiple_of(PACKET_BYTES) - self.carry.len();
        let more = lacking.min(bytes.len());
        self.carry.extend_from_slice(&bytes[..more]);
        *bytes = &bytes[more..];
        let mut carry = std::mem::take(&mut self.carry);
        let rest = self.take_direct(&carry, take).len();
        carry.drain(..carry.len() - rest);
        self.carry = carry;
    }

    /// Whole packets at the front; gives what is left, and unlocks where something else begins.
    fn take_direct<'a>(
        &mut self,
        mut bytes: &'a [u8],
        take: &mut impl FnMut(&[u8; PACKET_BYTES]),
    ) -> &'a [u8] {
        while let Some((packet, rest)) = bytes.split_first_chunk::<PACKET_BYTES>() {
            if packet[0] != SYNC {
                self.locked = false;
                self.losses += 1;
                break;
            }
            take(packet);
            bytes = rest;
        }
        bytes
    }

    /// True once packets begin at the front of what is carried.
    fn search(&mut self) -> bool {
        let place = find(&self.carry, !self.was_locked);
        let skip = match place {
            Place::Found(at) | Place::Unknown(at) => at,
            Place::Foreign(size) => {
                self.foreign = Some(size);
                self.carry.len()
            }
        };
        self.carry.drain(..skip);
        self.skipped_bytes += skip as u64;
        if matches!(place, Place::Found(_)) {
            (self.locked, self.was_locked) = (true, true);
        }
        self.locked
    }
}

/// The first place that is believed. What it says of a place does not depend on how much lies behind it. Another size
/// is looked for at the beginning only: between packets that were good it is chance.
fn find(bytes: &[u8], beginning: bool) -> Place {
    let begins = |at: usize| bytes.get(at).map(|&byte| byte == SYNC);
    // None: not yet to be known.
    let repeats = |at: usize, size: usize, times: usize| {
        (1..times)
            .map(|n| begins(at + n * size))
            .find(|&is| is != Some(true))
            .unwrap_or(Some(true))
    };
    for at in (0..bytes.len()).filter(|&at| bytes[at] == SYNC) {
        match repeats(at, PACKET_BYTES, CONFIRMATIONS) {
            None => return Place::Unknown(at),
            Some(true) => return Place::Found(at),
            Some(false) => {}
        }
        for size in ForeignSize::ALL.into_iter().filter(|_| beginning) {
            match repeats(at, size.bytes(), FOREIGN_CONFIRMATIONS) {
                None => return Place::Unknown(at),
                Some(true) => return Place::Foreign(size),
                Some(false) => {}
            }
        }
    }
    Place::Unknown(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(count: u8) -> Vec<u8> {
        (0..count)
            .flat_map(|n| {
                let mut packet = [n; PACKET_BYTES];
                packet[0] = SYNC;
                packet
            })
            .collect()
    }

    fn read(runs: &[&[u8]]) -> (Vec<u8>, Alignment) {
        let mut alignment = Alignment::default();
        let mut seen = Vec::new();
        for run in runs {
            alignment.feed(run, |packet| seen.push(packet[1]));
        }
        alignment.finish(|packet| seen.push(packet[1]));
        (seen, alignment)
    }

    #[test]
    fn packets_are_found_behind_garbage_and_after_it() {
        let stream = [&[1, SYNC, 3][..], &packets(5), &[9; 400], &packets(4)].concat();
        let (seen, alignment) = read(&[&stream]);
        assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1, 2, 3]);
        assert_eq!((alignment.skipped_bytes, alignment.losses), (403, 1));
    }

    #[test]
    fn any_split_gives_the_same_packets() {
        let stream = [
            &packets(6),
            &[SYNC; 3][..],
            &packets(7),
            &[7, 7],
            &packets(3),
        ]
        .concat();
        let (whole, _) = read(&[&stream]);
        for size in [1, 2, 5, 100, 187, 188, 189, 376, 700] {
            let (split, _) = read(&stream.chunks(size).collect::<Vec<_>>());
            assert_eq!(split, whole, "runs of {size}");
        }
    }

    #[test]
    fn a_lone_packet_is_taken_when_the_source_ends() {
        assert_eq!(read(&[&packets(1)]).0, [0]);
        assert_eq!(read(&[&packets(2)]).0, [0, 1]);
    }

    #[test]
    fn packets_of_another_size_are_refused_by_name() {
        for (size, expected) in [(192, ForeignSize::Stamped), (204, ForeignSize::Protected)] {
            let stream: Vec<u8> = (0..20)
                .flat_map(|n| {
                    let mut packet = vec![n; size];
                    packet[if size == 192 { 4 } else { 0 }] = SYNC;
                    packet
                })
                .collect();
            let (seen, alignment) = read(&[&stream]);
            assert_eq!((seen.len(), alignment.foreign), (0, Some(expected)));
            assert_eq!(alignment.skipped_bytes, stream.len() as u64);
        }
    }
}
