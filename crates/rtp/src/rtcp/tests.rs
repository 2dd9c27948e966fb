//! Tests of RTCP: exact bytes, round trips, bad input.

mod compound;
mod feedback;
mod reduced_size;
mod reports;
mod round_trip;

use super::*;

fn write(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = vec![0xa5; packet.wire_len()];
    assert_eq!(packet.write(&mut out), Ok(out.len()));
    out
}

fn parse_one(data: &[u8]) -> Result<RtcpPacket<'_>, RtcpError> {
    let mut packets = parse_compound(data);
    let first = packets.next().expect("one packet");
    assert!(packets.next().is_none());
    first
}

#[track_caller]
fn assert_wire<'a>(packet: impl Into<RtcpPacket<'a>>, wire: &[u8]) {
    let packet = packet.into();
    assert_eq!(write(&packet), wire);
    assert_eq!(parse_one(wire), Ok(packet));
}
