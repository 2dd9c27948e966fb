//! Digests within C1 and S1 and the proofs of C2 and S2.
//!
//! Not in Adobe's text; the layout and the two keys are those that Flash Player, Flash Media Server, FFmpeg and librtmp share.

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, sign};

use super::{PACKET, PROOF, Packet};

/// Bytes of a digest.
const DIGEST: usize = 32;

/// What follows the sentence in the key of either side.
const KEY_TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
    0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

/// Whose digest it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    /// Keys the digest within its first packet.
    fn sentence(self) -> &'static [u8] {
        match self {
            Self::Client => b"Genuine Adobe Flash Player 001",
            Self::Server => b"Genuine Adobe Flash Media Server 001",
        }
    }

    /// Keys the proof within its second packet.
    fn key(self) -> Vec<u8> {
        [self.sentence(), &KEY_TAIL].concat()
    }
}

/// Where a packet says where its digest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// In the half that begins behind the two times.
    First,
    /// In the other half.
    Second,
}

impl Layout {
    const ALL: [Self; 2] = [Self::Second, Self::First];

    /// Four bytes whose sum, modulo what the half leaves, is how far behind them the digest stands.
    fn position(self, packet: &Packet) -> usize {
        let pointer = match self {
            Self::First => 8,
            Self::Second => 772,
        };
        let sum: usize = packet[pointer..pointer + 4]
            .iter()
            .map(|&byte| usize::from(byte))
            .sum();
        pointer + 4 + sum % 728
    }
}

/// A digest found in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) layout: Layout,
    pub(super) digest: [u8; DIGEST],
}

/// Look for a digest of `side` in its first packet; none where it plays the simple handshake.
pub(super) fn find(side: Side, packet: &Packet) -> Option<Found> {
    Layout::ALL.into_iter().find_map(|layout| {
        let at = layout.position(packet);
        let digest = digest_around(side, packet, at);
        (packet[at..at + DIGEST] == digest).then_some(Found { layout, digest })
    })
}

/// Put the digest of `side` into its own first packet; gives it.
pub(super) fn imprint(side: Side, layout: Layout, packet: &mut Packet) -> [u8; DIGEST] {
    let at = layout.position(packet);
    let digest = digest_around(side, packet, at);
    packet[at..at + DIGEST].copy_from_slice(&digest);
    digest
}

fn digest_around(side: Side, packet: &Packet, at: usize) -> [u8; DIGEST] {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, side.sentence()));
    context.update(&packet[..at]);
    context.update(&packet[at + DIGEST..]);
    bytes_of(context.sign().as_ref())
}

/// Put the proof of `side` at the end of its second packet: that it has read the other's digest.
pub(super) fn prove(side: Side, others: &[u8; DIGEST], packet: &mut Packet) {
    let (body, proof) = packet.split_at_mut(PACKET - PROOF);
    proof.copy_from_slice(&proof_of(side, others, body));
}

/// The proof that `side` has to give behind this body.
pub(super) fn proof_of(side: Side, others: &[u8; DIGEST], body: &[u8]) -> [u8; PROOF] {
    let key = sign(&Key::new(HMAC_SHA256, &side.key()), others);
    bytes_of(sign(&Key::new(HMAC_SHA256, key.as_ref()), body).as_ref())
}

/// Bytes that look drawn, from a seed that was.
pub(super) fn fill(seed: &[u8; 32], label: u8, out: &mut [u8]) {
    let key = Key::new(HMAC_SHA256, seed);
    for (count, piece) in out.chunks_mut(DIGEST).enumerate() {
        let block = sign(&key, &[label, count as u8]);
        piece.copy_from_slice(&block.as_ref()[..piece.len()]);
    }
}

fn bytes_of(tag: &[u8]) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    bytes.copy_from_slice(tag);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_in_either_half_and_only_for_its_side() {
        for layout in [Layout::First, Layout::Second] {
            let mut packet = [0; PACKET];
            fill(&[7; 32], 0, &mut packet);
            let digest = imprint(Side::Client, layout, &mut packet);
            assert_eq!(find(Side::Client, &packet), Some(Found { layout, digest }));
            assert_eq!(find(Side::Server, &packet), None);
        }
    }

    #[test]
    fn the_furthest_position_is_within_the_packet() {
        let packet = [0xff; PACKET];
        for layout in Layout::ALL {
            assert!(layout.position(&packet) + DIGEST <= PACKET);
        }
    }
}
