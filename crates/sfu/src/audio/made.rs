//! Redundancy made for a consumer that asked for it: the packets before, as the history has them.

use roomtone_rtp::red::{MAX_BLOCK_LEN, RedBlock, red_len, write_red};

use crate::Redundancy;
use crate::history::{Entry, History};

/// Redundant blocks made for one packet at most.
pub(crate) const MOST_BLOCKS: usize = 4;
/// The longest payload that is made: with headers and cipher it stays under any usual MTU.
const LONGEST: usize = 1_100;

/// Writes the entry's audio behind copies of what came before it; gives the length, `None` where
/// `out` is too short. Packets before `first` are not looked at: the consumer was not given them.
///
/// What does not fit RFC 2198 stays out: silence longer than 14 bits of offset, packets over 10
/// bits of length. A packet that would grow too long loses its oldest block first.
pub(crate) fn write_redundant(
    out: &mut [u8],
    history: &History,
    entry: &Entry,
    first: u64,
    asked: Redundancy,
) -> Option<usize> {
    const NONE: RedBlock<'_> = RedBlock {
        payload_type: 0,
        offset: 0,
        data: &[],
    };
    let mut blocks = [NONE; MOST_BLOCKS];
    let mut count = 0;
    let wanted = usize::from(asked.blocks).min(MOST_BLOCKS);
    for back in 1..=wanted as u64 {
        let Some(seq) = entry.seq.checked_sub(back).filter(|seq| *seq >= first) else {
            break;
        };
        // A hole: what lies behind it may still help.
        let Some(past) = history.find(seq).and_then(|at| history.get(at)) else {
            continue;
        };
        let Some(block) = block_of(past, entry, asked.protects) else {
            break;
        };
        // The oldest first: filled from the end.
        count += 1;
        blocks[MOST_BLOCKS - count] = block;
        if red_len(&blocks[MOST_BLOCKS - count..], entry.media()) > LONGEST {
            count -= 1;
            break;
        }
    }
    let blocks = &blocks[MOST_BLOCKS - count..];
    write_red(out, blocks, asked.protects, entry.media()).ok()
}

/// An earlier packet as a block; `None`: it cannot be one.
fn block_of<'a>(past: &'a Entry, entry: &Entry, payload_type: u8) -> Option<RedBlock<'a>> {
    let offset = entry.timestamp.wrapping_sub(past.timestamp);
    let data = past.media();
    let same = past.media_type() == entry.media_type();
    let block = RedBlock {
        payload_type,
        offset: u16::try_from(offset).ok()?,
        data,
    };
    (same && offset > 0 && !data.is_empty() && data.len() <= MAX_BLOCK_LEN && block.is_in_range())
        .then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Inside;
    use roomtone_rtp::red::RedPayload;

    const ASKED: Redundancy = Redundancy {
        payload_type: 63,
        protects: 109,
        blocks: 2,
    };

    fn store(history: &mut History, seq: u64, timestamp: u32, payload: &[u8]) {
        history.append(seq, |entry| {
            entry.timestamp = timestamp;
            entry.payload_type = 111;
            entry.set_data(&[0x80; 12], payload);
        });
    }

    /// What is made for the newest packet: offsets and data of its blocks, and the primary.
    fn made(history: &History, first: u64) -> (Vec<(u16, Vec<u8>)>, Vec<u8>) {
        let mut out = [0; 1_500];
        let entry = history.get(history.head() - 1).unwrap();
        let len = write_redundant(&mut out, history, entry, first, ASKED).unwrap();
        let payload = RedPayload::parse(&out[..len]).unwrap();
        assert!(payload.is_uniform());
        assert_eq!(payload.primary().payload_type, 109);
        let blocks = payload.redundant();
        (
            blocks.map(|b| (b.offset, b.data.to_vec())).collect(),
            payload.primary().data.to_vec(),
        )
    }

    #[test]
    fn the_two_packets_before_go_along_the_oldest_first() {
        let mut history = History::new(16);
        for n in 0..4_u8 {
            store(&mut history, u64::from(n) + 10, u32::from(n) * 960, &[n; 5]);
        }
        let expected = vec![(1_920, vec![1; 5]), (960, vec![2; 5])];
        assert_eq!(made(&history, 0), (expected.clone(), vec![3; 5]));
        assert_eq!(made(&history, 12).0, expected[1..], "not before its start");
        assert_eq!(made(&history, 13).0, []);
    }

    #[test]
    fn holes_silence_and_other_formats_are_left_out() {
        let mut history = History::new(16);
        store(&mut history, 10, 0, &[1]);
        store(&mut history, 12, 1_920, &[3]);
        assert_eq!(made(&history, 0).0, [(1_920, vec![1])], "over a hole");
        store(&mut history, 13, 1_920 + 19_200, &[4]);
        assert_eq!(made(&history, 0).0, [], "over 400 ms of silence");
        store(&mut history, 14, 1_920 + 20_160, &[5; 1_050]);
        assert_eq!(made(&history, 0).0, [(960, vec![4])]);
        store(&mut history, 15, 1_920 + 21_120, &[6]);
        assert_eq!(made(&history, 0).0, [], "longer than ten bits");
        store(&mut history, 16, 1_920 + 22_080, &[7; 800]);
        store(&mut history, 17, 1_920 + 23_040, &[8; 800]);
        assert_eq!(made(&history, 0).0, [], "longer than a packet should be");
        history.append(18, |entry| {
            entry.timestamp = 1_920 + 24_000;
            entry.payload_type = 0;
            entry.set_data(&[0x80; 12], &[9]);
        });
        assert_eq!(made(&history, 0).0, [], "another codec before");
    }

    #[test]
    fn primaries_of_redundant_packets_serve_as_well() {
        let mut history = History::new(16);
        history.append(10, |entry| {
            entry.timestamp = 0;
            entry.payload_type = 63;
            entry.set_data(&[0x80; 12], &[111, 1, 2]);
            entry.inside = Some(Inside {
                payload_type: 111,
                uniform: true,
                correction: false,
                offset: 1,
            });
        });
        store(&mut history, 11, 960, &[3]);
        assert_eq!(made(&history, 0), (vec![(960, vec![1, 2])], vec![3]));
    }

    #[test]
    fn a_buffer_too_short_is_no_packet() {
        let mut history = History::new(16);
        store(&mut history, 10, 0, &[1; 20]);
        let entry = history.get(0).unwrap();
        let written = write_redundant(&mut [0; 20], &history, entry, 0, ASKED);
        assert_eq!(written, None);
        let written = write_redundant(&mut [0; 21], &history, entry, 0, ASKED);
        assert_eq!(written, Some(21));
    }
}
