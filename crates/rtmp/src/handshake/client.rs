//! The client's side.

use bytes::{BufMut, BytesMut};

use super::digest::{self, Layout, Side};
use super::{Held, PACKET, PROOF, Packet, Proof, VERSION, packet_of};
use crate::ProtocolError;

/// C0 and C1 go, S0 and S1 come, C2 goes, S2 comes.
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    seed: [u8; 32],
    /// The digest in our first packet.
    ours: [u8; 32],
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

impl ClientHandshake {
    /// Begin: writes C0 and C1. The seed was drawn by the caller.
    pub(crate) fn new(seed: [u8; 32], out: &mut BytesMut) -> Self {
        let mut packet: Packet = [0; PACKET];
        digest::fill(&seed, 0, &mut packet[8..]);
        // A version of Flash Player that knows digests, as other clients claim.
        packet[4..8].copy_from_slice(&[9, 0, 124, 2]);
        let ours = digest::imprint(Side::Client, Layout::First, &mut packet);
        out.put_u8(VERSION);
        out.put_slice(&packet);
        Self {
            seed,
            ours,
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
            self.check(&second);
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
        if let Some(found) = digest::find(Side::Server, theirs) {
            let mut second = [0; PACKET];
            digest::fill(&self.seed, 1, &mut second);
            digest::prove(Side::Client, &found.digest, &mut second);
            out.put_slice(&second);
            self.proof = Proof::Wrong;
        } else {
            out.put_slice(theirs);
        }
    }

    fn check(&mut self, second: &[u8]) {
        let (body, given) = second.split_at(PACKET - PROOF);
        if self.proof == Proof::Wrong && digest::proof_of(Side::Server, &self.ours, body) == given {
            self.proof = Proof::Given;
        }
    }
}
