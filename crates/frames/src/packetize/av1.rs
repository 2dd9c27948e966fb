//! AV1 (the Alliance's RTP payload format, version 1.0): OBUs without their sizes, each behind its length, large ones over
//! several packets.

use bytes::{BufMut, BytesMut};

use super::Packet;
use crate::AccessUnit;
use crate::av1::{ObuKind, split, write_leb128};

/// The first element goes on from the packet before; the last goes on in the next.
const CONTINUES: u8 = 0x80;
const GOES_ON: u8 = 0x40;
/// A coded video sequence begins.
const NEW_SEQUENCE: u8 = 0x08;
/// Lengths up to 16,383: no packet is longer.
const MAX_LENGTH_BYTES: usize = 2;
const HEADER_BYTES: usize = 1;

/// Add the payloads of a temporal unit.
pub(super) fn packetize(unit: &AccessUnit, limit: usize, out: &mut Vec<Packet>) {
    let mut packet = BytesMut::new();
    packet.put_u8(if unit.keyframe { NEW_SEQUENCE } else { 0 });
    let mut obu_bytes = BytesMut::new();
    for obu in split(&unit.data) {
        if matches!(
            obu.kind(),
            ObuKind::TemporalDelimiter | ObuKind::Dispensable
        ) {
            continue;
        }
        obu_bytes.clear();
        obu_bytes.put_u8(obu.header & !0x02);
        obu_bytes.extend(obu.extension);
        obu_bytes.put_slice(obu.payload);
        let mut rest = &obu_bytes[..];
        loop {
            let space = limit.saturating_sub(packet.len() + MAX_LENGTH_BYTES);
            let (piece, behind) = rest.split_at(space.min(rest.len()));
            if !piece.is_empty() {
                write_leb128(piece.len() as u64, &mut packet);
                packet.put_slice(piece);
            }
            let is_begun = rest.len() < obu_bytes.len() || !piece.is_empty();
            rest = behind;
            if rest.is_empty() {
                break;
            }
            // The OBU goes on in the next packet, or begins there.
            if is_begun {
                packet[0] |= GOES_ON;
            }
            send(&mut packet, out);
            packet.put_u8(if is_begun { CONTINUES } else { 0 });
        }
    }
    send(&mut packet, out);
    if let Some(last) = out.last_mut() {
        last.marker = true;
    }
}

fn send(packet: &mut BytesMut, out: &mut Vec<Packet>) {
    if packet.len() > HEADER_BYTES {
        out.push(Packet {
            bytes: packet.split().freeze(),
            marker: false,
        });
    }
    packet.clear();
}
