//! The handshake of both sides (RTMP section 5.2), simple and with digests as Flash and FFmpeg play it.

mod client;
mod digest;
mod server;

pub(crate) use client::ClientHandshake;
pub(crate) use server::ServerHandshake;

/// Bytes of C1, S1, C2 and S2.
const PACKET: usize = 1536;
/// The version both sides speak.
const VERSION: u8 = 3;
/// Bytes at the end of C2 and S2 that prove knowledge of the other's digest.
const PROOF: usize = 32;

type Packet = [u8; PACKET];

/// Whether the other side has shown that it read our digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It plays the simple handshake.
    #[default]
    None,
    /// Its second packet is not that proof. Nobody is turned away for it: some echo our packet instead.
    Wrong,
    /// It is.
    Given,
}

/// Collects a part of the handshake of a fixed size.
#[derive(Debug, Default)]
struct Held(Vec<u8>);

impl Held {
    /// Take from the input until `size` bytes are there; gives them once they are.
    fn fill(&mut self, size: usize, input: &mut &[u8]) -> Option<Vec<u8>> {
        let (taken, rest) = input.split_at(input.len().min(size - self.0.len()));
        self.0.extend_from_slice(taken);
        *input = rest;
        (self.0.len() == size).then(|| std::mem::take(&mut self.0))
    }
}

fn packet_of(bytes: &[u8]) -> Packet {
    let mut packet = [0; PACKET];
    packet.copy_from_slice(&bytes[..PACKET]);
    packet
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;

    fn shake(step: usize) -> (Proof, Proof) {
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut client = ClientHandshake::new([1; 32], &mut to_server);
        let mut server = ServerHandshake::new([2; 32]);
        let (mut client_done, mut server_done) = (false, false);
        while !(client_done && server_done) {
            let bytes = to_server.split();
            assert!(!bytes.is_empty() || !to_client.is_empty(), "both wait");
            for mut piece in bytes.chunks(step) {
                server_done = server.handle_bytes(&mut piece, &mut to_client).unwrap();
            }
            let bytes = to_client.split();
            for mut piece in bytes.chunks(step) {
                client_done = client.handle_bytes(&mut piece, &mut to_server).unwrap();
            }
        }
        (server.proof(), client.proof())
    }

    #[test]
    fn both_sides_prove_that_they_know_the_others_digest() {
        assert_eq!(shake(PACKET), (Proof::Given, Proof::Given));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_of_any_size_give_the_same_handshake(step in 1usize..4000) {
            prop_assert_eq!(shake(step), (Proof::Given, Proof::Given));
        }
    }
}
