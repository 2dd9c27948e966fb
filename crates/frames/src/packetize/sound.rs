//! Sound: a frame a packet, and AAC (RFC 3640, mode AAC-hbr) behind its size.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Packet, Unsendable};

/// The length of the headers in bits, and one header.
const HEADER_BYTES: usize = 4;
const HEADER_BITS: u16 = 16;
const MAX_FRAME_BYTES: usize = (1 << 13) - 1;

/// Add the one payload of a frame that is sent as it is (RFC 7587, RFC 3551).
pub(super) fn whole(data: &Bytes, out: &mut Vec<Packet>) {
    if !data.is_empty() {
        out.push(Packet {
            bytes: data.clone(),
            marker: false,
        });
    }
}

/// Add the payloads of a frame of AAC; each says how large the whole frame is (RFC 3640 section 3.2.3).
pub(super) fn aac(data: &Bytes, limit: usize, out: &mut Vec<Packet>) -> Result<(), Unsendable> {
    if data.len() > MAX_FRAME_BYTES {
        return Err(Unsendable::TooLarge);
    }
    let pieces = data.chunks(limit - HEADER_BYTES);
    let count = pieces.len();
    for (number, piece) in pieces.enumerate() {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + piece.len());
        bytes.put_u16(HEADER_BITS);
        bytes.put_u16((data.len() << 3) as u16);
        bytes.put_slice(piece);
        out.push(Packet {
            bytes: bytes.freeze(),
            marker: number + 1 == count,
        });
    }
    Ok(())
}
