//! H.264 (RFC 6184, non-interleaved) and HEVC (RFC 7798, without decoding order numbers): small NAL units share a packet,
//! large ones are fragmented.

use bytes::{BufMut, Bytes, BytesMut};

use super::Packet;
use crate::NalCodec;
use crate::depacketize::h264::{FU_A, STAP_A};
use crate::depacketize::hevc::{AGGREGATION, FRAGMENTATION};
use crate::nal::split_lengths;

/// The length of a NAL unit in an aggregate.
const LENGTH_BYTES: usize = 2;

/// Add the payloads of one picture: its parameter sets, and NAL units behind their lengths.
pub(super) fn packetize(
    codec: NalCodec,
    sets: &[&Bytes],
    data: &[u8],
    limit: usize,
    out: &mut Vec<Packet>,
) {
    let sets = sets.iter().map(|set| &set[..]);
    let mut together: Vec<&[u8]> = Vec::new();
    let mut bytes = codec.header_bytes();
    for nal in sets.chain(split_lengths(data)) {
        if !codec.has(nal) {
            continue;
        }
        if bytes + LENGTH_BYTES + nal.len() > limit {
            flush(codec, &mut together, out);
            bytes = codec.header_bytes();
        }
        if nal.len() > limit {
            fragment(codec, nal, limit, out);
        } else {
            bytes += LENGTH_BYTES + nal.len();
            together.push(nal);
        }
    }
    flush(codec, &mut together, out);
    if let Some(last) = out.last_mut() {
        last.marker = true;
    }
}

/// Send what was gathered: one NAL unit as it is, several in an aggregate.
fn flush(codec: NalCodec, together: &mut Vec<&[u8]>, out: &mut Vec<Packet>) {
    let bytes = match &together[..] {
        [] => return,
        [nal] => Bytes::copy_from_slice(nal),
        nals => {
            let mut aggregate = BytesMut::new();
            aggregate.put_slice(&aggregate_header(codec, nals));
            for nal in nals {
                aggregate.put_u16(nal.len() as u16);
                aggregate.put_slice(nal);
            }
            aggregate.freeze()
        }
    };
    together.clear();
    out.push(Packet {
        bytes,
        marker: false,
    });
}

fn aggregate_header(codec: NalCodec, nals: &[&[u8]]) -> Vec<u8> {
    match codec {
        // The forbidden bit of any, and the highest importance (section 5.7).
        NalCodec::H264 => {
            let forbidden = nals.iter().fold(0, |bits, nal| bits | nal[0] & 0x80);
            let importance = nals.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
            vec![forbidden | importance | STAP_A]
        }
        // The lowest layer and the lowest temporal id of all (section 4.4.2).
        NalCodec::Hevc => {
            let forbidden = nals.iter().fold(0, |bits, nal| bits | nal[0] & 0x80);
            let layer = |nal: &[u8]| (nal[0] & 1) << 5 | nal[1] >> 3;
            let layer = nals.iter().map(|nal| layer(nal)).min().unwrap_or(0);
            let temporal = nals.iter().map(|nal| nal[1] & 7).min().unwrap_or(1);
            vec![
                forbidden | AGGREGATION << 1 | layer >> 5,
                layer << 3 | temporal,
            ]
        }
    }
}

fn fragment(codec: NalCodec, nal: &[u8], limit: usize, out: &mut Vec<Packet>) {
    let (header, data) = nal.split_at(codec.header_bytes());
    let (first, kind) = match codec {
        NalCodec::H264 => (vec![header[0] & 0xe0 | FU_A], header[0] & 0x1f),
        NalCodec::Hevc => (
            vec![header[0] & 0x81 | FRAGMENTATION << 1, header[1]],
            header[0] >> 1 & 0x3f,
        ),
    };
    let pieces = data.chunks(limit - first.len() - 1);
    let last = pieces.len() - 1;
    for (number, piece) in pieces.enumerate() {
        let starts = u8::from(number == 0) << 7;
        let ends = u8::from(number == last) << 6;
        let mut bytes = BytesMut::with_capacity(first.len() + 1 + piece.len());
        bytes.put_slice(&first);
        bytes.put_u8(starts | ends | kind);
        bytes.put_slice(piece);
        out.push(Packet {
            bytes: bytes.freeze(),
            marker: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::with_lengths;

    fn sent(codec: NalCodec, sets: &[&Bytes], nals: &[&[u8]], limit: usize) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let data = with_lengths(nals.iter().copied());
        packetize(codec, sets, &data, limit, &mut out);
        let (last, before) = out.split_last().unwrap();
        assert!(last.marker && before.iter().all(|packet| !packet.marker));
        out.iter().map(|packet| packet.bytes.to_vec()).collect()
    }

    #[test]
    fn parameter_sets_share_a_packet_with_what_is_small() {
        let (sps, pps) = (
            Bytes::from_static(&[0x67, 1]),
            Bytes::from_static(&[0x28, 2]),
        );
        let packets = sent(NalCodec::H264, &[&sps, &pps], &[&[0x65, 3]], 100);
        let aggregate = [0x78, 0, 2, 0x67, 1, 0, 2, 0x28, 2, 0, 2, 0x65, 3];
        assert_eq!(packets, [aggregate]);
    }

    #[test]
    fn a_unit_alone_is_sent_as_it_is_and_a_large_one_in_fragments() {
        assert_eq!(sent(NalCodec::H264, &[], &[&[0x41, 9]], 100), [[0x41, 9]]);
        let packets = sent(NalCodec::H264, &[], &[&[0x41, 1, 2, 3, 4]], 4);
        assert_eq!(packets, [[0x5c, 0x81, 1, 2], [0x5c, 0x41, 3, 4]]);
        let packets = sent(NalCodec::Hevc, &[], &[&[2, 1, 7, 8, 9, 10]], 5);
        assert_eq!(packets, [[98, 1, 0x81, 7, 8], [98, 1, 0x41, 9, 10]]);
    }

    #[test]
    fn types_that_packets_have_themselves_are_not_sent() {
        let packets = sent(NalCodec::H264, &[], &[&[0x78, 0, 1], &[0x41, 9]], 100);
        assert_eq!(packets, [[0x41, 9]]);
    }
}
