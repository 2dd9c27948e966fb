//! The server's side.

use bytes::{BufMut, BytesMut};

use super::digest::{self, Side};
use super::{Held, PACKET, PROOF, Packet, Proof, VERSION, packet_of};
use crate::ProtocolError;

/// C0 and C1 come, S0, S1 and S2 go, C2 comes.
#[derive(Debug)]
pub(crate) struct ServerHandshake {
    seed: [u8; 32],
    held: Held,
    stage: Stage,
    proof: Proof,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    First,
    Second,
    Done,
}

impl ServerHandshake {
    /// Begin; the seed was drawn by the caller.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            held: Held::default(),
            stage: Stage::First,
            proof: Proof::None,
        }
    }

    /// Take from the input what belongs to the handshake; true once it is over.
    pub(crate) fn handle_bytes(
        &mut self,
        input: &mut &[u8],
        out: &mut BytesMut,
    ) -> Result<bool, ProtocolError> {
        if self.stage == Stage::First {
            if let (true, Some(&version)) = (self.held.0.is_empty(), input.first())
                && version != VERSION
            {
                return Err(ProtocolError::NotRtmp(version));
            }
            let Some(first) = self.held.fill(1 + PACKET, input) else {
                return Ok(false);
            };
            self.answer(&packet_of(&first[1..]), out);
            self.stage = Stage::Second;
        }
        if self.stage == Stage::Second
            && let Some(second) = self.held.fill(PACKET, input)
        {
            self.check(&packet_of(&second));
            self.stage = Stage::Done;
        }
        Ok(self.stage == Stage::Done)
    }

    /// What the other side has shown.
    #[cfg(test)]
    pub(crate) fn proof(&self) -> Proof {
        self.proof
    }

    fn answer(&mut self, theirs: &Packet, out: &mut BytesMut) {
        let mut ours = self.first_packet();
        out.put_u8(VERSION);
        if let Some(found) = digest::find(Side::Client, theirs) {
            // A version of Flash Media Server that knows digests.
            ours[4..8].copy_from_slice(&[5, 0, 3, 1]);
            digest::imprint(Side::Server, found.layout, &mut ours);
            let mut second = [0; PACKET];
            digest::fill(&self.seed, 1, &mut second);
            digest::prove(Side::Server, &found.digest, &mut second);
            out.put_slice(&ours);
            out.put_slice(&second);
            self.proof = Proof::Wrong;
        } else {
            out.put_slice(&ours);
            out.put_slice(theirs);
        }
    }

    fn first_packet(&self) -> Packet {
        let mut packet = [0; PACKET];
        digest::fill(&self.seed, 0, &mut packet[8..]);
        packet
    }

    fn check(&mut self, second: &Packet) {
        if self.proof == Proof::None {
            return;
        }
        // The layout does not matter: our digest is looked for as the other side did.
        let mut ours = self.first_packet();
        ours[4..8].copy_from_slice(&[5, 0, 3, 1]);
        let (body, given) = second.split_at(PACKET - PROOF);
        for layout in [digest::Layout::First, digest::Layout::Second] {
            let mut packet = ours;
            let digest = digest::imprint(Side::Server, layout, &mut packet);
            if digest::proof_of(Side::Client, &digest, body) == given {
                self.proof = Proof::Given;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_handshake_is_answered_with_an_echo() {
        let mut server = ServerHandshake::new([9; 32]);
        let mut out = BytesMut::new();
        let mut first = vec![VERSION];
        first.extend([0; 8]);
        first.extend((0..PACKET - 8).map(|at| at as u8));
        let done = server.handle_bytes(&mut &first[..], &mut out).unwrap();
        assert!(!done);
        assert_eq!(out.len(), 1 + 2 * PACKET);
        assert_eq!(&out[1 + PACKET..], &first[1..]);
        let second = out[1..=PACKET].to_vec();
        let mut rest = &[&second[..], &[0x42]].concat()[..];
        assert!(server.handle_bytes(&mut rest, &mut out).unwrap());
        assert_eq!(rest, [0x42], "what follows is not of the handshake");
        assert_eq!(server.proof(), Proof::None);
    }

    #[test]
    fn another_first_byte_is_told_at_once() {
        let mut server = ServerHandshake::new([9; 32]);
        let answer = server.handle_bytes(&mut &b"GET / HTTP/1.1"[..], &mut BytesMut::new());
        assert_eq!(answer, Err(ProtocolError::NotRtmp(b'G')));
    }
}
