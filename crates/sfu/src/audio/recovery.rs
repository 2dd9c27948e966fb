//! Lost packets found again in the redundancy of later ones.
//!
//! A redundant block says when it was, not which number it had (RFC 2198 section 3). Senders repeat
//! what they sent last, so the n-th block from the end should be the n-th packet before; that is
//! believed only as far as the times prove it: where a sender left a packet out (too long to be
//! repeated) or sent nothing for a while, a block could otherwise land under a wrong number.

use roomtone_rtp::Codec;
use roomtone_rtp::red::{RedBlock, RedPayload};

use super::opus;

/// Blocks of one packet that are looked at: the newest ones.
pub(crate) const MOST_RECOVERED: usize = 8;

/// A packet found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recovered<'a> {
    /// How many packets before the one that carried it.
    pub(crate) back: u64,
    pub(crate) timestamp: u32,
    pub(crate) data: &'a [u8],
}

/// What is known of the packet so many places before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It is there, with this timestamp.
    Known(u32),
    /// It is missing.
    Missing,
    /// It has no place any more.
    Nowhere,
}

/// The blocks of a packet with this timestamp that are missing packets, the oldest first, with
/// empty places between.
/// `before` tells of a packet so many places before this one.
pub(crate) fn missing_blocks<'a>(
    payload: &RedPayload<'a>,
    codec: Codec,
    timestamp: u32,
    before: impl Fn(u64) -> Before,
) -> [Option<Recovered<'a>>; MOST_RECOVERED] {
    let mut found = [None; MOST_RECOVERED];
    let mut newest_first = [None; MOST_RECOVERED];
    let blocks = payload.redundant();
    let count = blocks.len().min(MOST_RECOVERED);
    let skipped = blocks.len() - count;
    for (at, block) in blocks.skip(skipped).enumerate() {
        newest_first[count - 1 - at] = Some(block);
    }
    let media_type = payload.primary().payload_type;
    let mut younger = Younger {
        offset: 0,
        linked: true,
        known: true,
    };
    for (at, block) in newest_first.into_iter().flatten().enumerate() {
        let back = at as u64 + 1;
        let Some(step) = younger.step(&block, codec) else {
            break;
        };
        let own = timestamp.wrapping_sub(u32::from(block.offset));
        match before(back) {
            Before::Nowhere => break,
            // The packets are not repeated one by one.
            Before::Known(other) if other != own => break,
            Before::Known(_) => younger = step.known(),
            Before::Missing => {
                let fits = match before(back + 1) {
                    Before::Known(older) => is_newer(own, older),
                    _ => step.linked,
                };
                let alone = younger.known && matches!(before(back + 1), Before::Known(_));
                let usable = block.payload_type == media_type && !block.data.is_empty();
                let taken = fits && usable && (step.linked || alone);
                if taken {
                    found[MOST_RECOVERED - 1 - at] = Some(Recovered {
                        back,
                        timestamp: own,
                        data: block.data,
                    });
                }
                younger = Younger {
                    known: taken,
                    ..step
                };
            }
        }
    }
    found
}

/// What is known of the block looked at before, which is the younger one.
#[derive(Debug, Clone, Copy)]
struct Younger {
    offset: u16,
    /// Whether everything from here to the primary follows without a gap in time, so that the
    /// numbers follow without one too.
    linked: bool,
    /// Whether its number is certain.
    known: bool,
}

impl Younger {
    /// The next older block; `None`: it is not older.
    fn step(self, block: &RedBlock<'_>, codec: Codec) -> Option<Self> {
        let gap = block
            .offset
            .checked_sub(self.offset)
            .filter(|gap| *gap > 0)?;
        let lasts = match codec {
            Codec::Opus => opus::duration(block.data),
            _ => None,
        };
        Some(Self {
            offset: block.offset,
            linked: self.linked && lasts == Some(u32::from(gap)),
            known: self.known,
        })
    }

    /// It was received too: its number is proven, whatever lies between.
    fn known(self) -> Self {
        Self {
            linked: true,
            known: true,
            ..self
        }
    }
}

fn is_newer(timestamp: u32, than: u32) -> bool {
    timestamp.wrapping_sub(than).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomtone_rtp::red::write_red;

    /// 20 ms of Opus (CELT, full band, one frame), told apart by its last byte.
    fn opus_20(n: u8) -> [u8; 3] {
        [0b1111_1000, 0, n]
    }

    /// The places before at which a block was found, where `offsets` are the blocks' (the oldest
    /// first), and `known` the timestamps of packets that are there, as offsets too.
    fn found(offsets: &[u16], known: &[(u64, u16)], codec: Codec) -> Vec<(u64, u32)> {
        const NOW: u32 = 1_000; // so that the older timestamps lie behind the wrap
        let data: Vec<_> = (0..offsets.len()).map(|n| opus_20(n as u8)).collect();
        let blocks: Vec<_> = offsets
            .iter()
            .zip(&data)
            .map(|(offset, data)| RedBlock {
                payload_type: 111,
                offset: *offset,
                data,
            })
            .collect();
        let mut out = [0; 1_000];
        let len = write_red(&mut out, &blocks, 111, &opus_20(99)).unwrap();
        let payload = RedPayload::parse(&out[..len]).unwrap();
        let before = |back: u64| {
            if back > 10 {
                return Before::Nowhere;
            }
            known
                .iter()
                .find(|(at, _)| *at == back)
                .map_or(Before::Missing, |(_, offset)| {
                    Before::Known(NOW.wrapping_sub(u32::from(*offset)))
                })
        };
        missing_blocks(&payload, codec, NOW, before)
            .into_iter()
            .flatten()
            .map(|one| {
                let n = offsets.len() as u64 - one.back;
                assert_eq!(one.data, opus_20(n as u8));
                (one.back, NOW.wrapping_sub(one.timestamp))
            })
            .collect()
    }

    #[test]
    fn a_lost_packet_is_found_in_the_next() {
        let known = [(2, 1_920), (3, 2_880)];
        assert_eq!(found(&[960], &known, Codec::Opus), [(1, 960)]);
        assert_eq!(found(&[1_920, 960], &known, Codec::Opus), [(1, 960)]);
        assert_eq!(found(&[960], &[(1, 960)], Codec::Opus), [], "nothing lost");
    }

    #[test]
    fn two_in_a_row_come_back_in_their_order() {
        let known = [(3, 2_880)];
        assert_eq!(
            found(&[1_920, 960], &known, Codec::Opus),
            [(2, 1_920), (1, 960)]
        );
        assert_eq!(
            found(&[1_920, 960], &[], Codec::Opus),
            [(2, 1_920), (1, 960)],
            "the durations prove it"
        );
    }

    #[test]
    fn a_block_that_is_not_the_packet_before_fills_no_hole() {
        // The packet before was too long to be repeated: the block is one that has come.
        let known = [(2, 1_920), (3, 2_880)];
        assert_eq!(found(&[1_920], &known, Codec::Opus), []);
        // And the one before that is lost too: nobody can say which of the two it is.
        assert_eq!(found(&[1_920], &[(3, 2_880)], Codec::Opus), []);
        // A packet that is there under another time: the sender counts otherwise.
        assert_eq!(found(&[1_920, 960], &[(1, 950)], Codec::Opus), []);
    }

    #[test]
    fn after_silence_a_single_hole_is_filled_and_a_wide_one_is_not() {
        // 100 ms of silence before the packet; the block lasts only 20 ms.
        assert_eq!(
            found(&[4_800], &[(2, 5_760)], Codec::Opus),
            [(1, 4_800)],
            "it can only be that one"
        );
        assert_eq!(found(&[4_800], &[(3, 6_720)], Codec::Opus), []);
        assert_eq!(
            found(&[5_760, 4_800], &[(1, 4_800), (3, 9_000)], Codec::Opus),
            [(2, 5_760)],
            "a packet that is there proves the ones before it"
        );
    }

    #[test]
    fn a_codec_without_known_duration_fills_single_holes() {
        assert_eq!(found(&[160], &[(2, 320)], Codec::Pcmu), [(1, 160)]);
        assert_eq!(found(&[160], &[(3, 480)], Codec::Pcmu), []);
    }

    #[test]
    fn times_out_of_order_and_places_gone_by_are_refused() {
        assert_eq!(found(&[960, 1_920], &[(3, 2_880)], Codec::Opus), []);
        assert_eq!(found(&[960, 960], &[(3, 2_880)], Codec::Opus), [(1, 960)]);
        assert_eq!(
            found(&[960], &[(2, 900)], Codec::Opus),
            [],
            "older and yet newer"
        );
        let many: Vec<u16> = (1..=16).rev().map(|n| n * 960).collect();
        assert_eq!(found(&many, &[], Codec::Opus).len(), MOST_RECOVERED);
    }
}
