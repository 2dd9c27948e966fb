//! Packets that FFmpeg sent (`tools/frame_vectors.py`) hold the units of the streams it read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use roomtone_frames::depacketize::{
    AacDepacketizer, Av1Depacketizer, Dropped, H264Depacketizer, HevcDepacketizer, Payload,
};
use roomtone_frames::{AccessUnit, NalCodec, annexb, av1};

/// The payloads of recorded packets; sequence numbers wrap in each recording. None of them has CSRCs or extensions.
fn payloads(recorded: &[u8]) -> Vec<Payload<'_>> {
    let mut rest = recorded;
    let mut out: Vec<Payload<'_>> = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let (packet, behind) = behind.split_at(u16::from_be_bytes(*length).into());
        assert_eq!(packet[0], 0x80);
        out.push(Payload {
            sequence: u64::from(u16::from_be_bytes([packet[2], packet[3]]).wrapping_sub(65_530)),
            timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()).into(),
            marker: packet[1] & 0x80 != 0,
            bytes: &packet[12..],
        });
        rest = behind;
    }
    assert!(out.len() > 5);
    out
}

/// The pictures of a byte stream.
fn pictures(codec: NalCodec, stream: &[u8]) -> Vec<(bool, Vec<u8>)> {
    annexb::split_pictures(codec, stream)
        .map(|piece| annexb::read(codec, piece, |_| {}))
        .map(|picture| (picture.keyframe, picture.data.to_vec()))
        .collect()
}

fn contents(units: &[AccessUnit]) -> Vec<(bool, Vec<u8>)> {
    for two in units.windows(2) {
        assert_eq!(two[1].pts - two[0].pts, 3600);
    }
    let contents = units.iter().map(|unit| (unit.keyframe, unit.data.to_vec()));
    contents.collect()
}

#[test]
fn h264_sent_by_ffmpeg_is_the_stream_it_read() {
    let mut depacketizer = H264Depacketizer::default();
    for payload in payloads(include_bytes!("vectors/h264.h264.rtp")) {
        depacketizer.handle_payload(payload);
    }
    let units: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
    let stream = pictures(NalCodec::H264, include_bytes!("vectors/h264.h264"));
    assert_eq!(contents(&units), stream);
    assert_eq!(depacketizer.format().unwrap().width, 160);
    assert_eq!(depacketizer.dropped(), Dropped::default());
}

#[test]
fn hevc_sent_by_ffmpeg_is_the_stream_it_read() {
    let mut depacketizer = HevcDepacketizer::default();
    for payload in payloads(include_bytes!("vectors/hevc.hevc.rtp")) {
        depacketizer.handle_payload(payload);
    }
    let units: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
    let stream = pictures(NalCodec::Hevc, include_bytes!("vectors/hevc.hevc"));
    assert_eq!(contents(&units), stream);
    assert_eq!(depacketizer.format().unwrap().width, 160);
    assert_eq!(depacketizer.dropped(), Dropped::default());
}

#[test]
fn av1_sent_by_ffmpeg_is_the_stream_it_read() {
    let mut depacketizer = Av1Depacketizer::default();
    for payload in payloads(include_bytes!("vectors/av1.obu.rtp")) {
        depacketizer.handle_payload(payload);
    }
    let units: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
    let mut stream: Vec<BytesMut> = Vec::new();
    for obu in av1::split(include_bytes!("vectors/av1.obu")) {
        if obu.kind() == av1::ObuKind::TemporalDelimiter {
            stream.push(BytesMut::new());
        }
        obu.write(stream.last_mut().unwrap());
    }
    let stream: Vec<_> = stream
        .iter()
        .map(|unit| av1::read(unit).unwrap())
        .map(|unit| (unit.keyframe, unit.data.to_vec()))
        .collect();
    assert_eq!(contents(&units), stream);
    assert_eq!(depacketizer.format().unwrap().width, 160);
    assert_eq!(depacketizer.dropped(), Dropped::default());
}

#[test]
fn aac_sent_by_ffmpeg_is_the_stream_it_read() {
    let mut depacketizer = AacDepacketizer::new(1024);
    for payload in payloads(include_bytes!("vectors/aac.adts.rtp")) {
        depacketizer.handle_payload(payload);
    }
    let units: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
    assert_eq!(depacketizer.dropped(), Dropped::default());
    // ISO/IEC 14496-3 section 1.A.2.2: seven bytes of header, 13 bits of length from bit 30 on.
    let mut rest = &include_bytes!("vectors/aac.adts")[..];
    let mut frames = Vec::new();
    while let [_, _, _, a, b, c, ..] = *rest {
        let length = usize::from(a & 3) << 11 | usize::from(b) << 3 | usize::from(c >> 5);
        frames.push(rest[7..length].to_vec());
        rest = &rest[length..];
    }
    let sent: Vec<_> = units.iter().map(|unit| unit.data.to_vec()).collect();
    // FFmpeg keeps the frames it has not filled a packet with, and ends.
    assert!(sent.len() > 10);
    assert_eq!(sent, frames[..sent.len()]);
    let times = units.windows(2).map(|two| two[1].pts - two[0].pts);
    assert!(times.into_iter().all(|step| step == 1024));
}

mod round_trip {
    use bytes::Bytes;
    use proptest::prelude::*;
    use roomtone_frames::depacketize::OpusDepacketizer;
    use roomtone_frames::packetize::{Packet, packetize};
    use roomtone_frames::{AacFormat, Format, OpusFormat, h264, hevc, nal};

    use super::*;

    fn h264_format() -> Format {
        let mut sets = h264::ParameterSets::default();
        for nal in annexb::split(include_bytes!("vectors/h264.h264")) {
            sets.take(nal);
        }
        Format::H264(sets.format().unwrap())
    }

    fn hevc_format() -> Format {
        let mut sets = hevc::ParameterSets::default();
        for nal in annexb::split(include_bytes!("vectors/hevc.hevc")) {
            sets.take(nal);
        }
        Format::Hevc(sets.format().unwrap())
    }

    fn unit(number: i64, keyframe: bool, data: Bytes) -> AccessUnit {
        AccessUnit {
            dts: number * 3600,
            pts: number * 3600,
            keyframe,
            data,
        }
    }

    /// The payloads of all units, numbered, none longer than the limit.
    fn send(format: &Format, units: &[AccessUnit], limit: usize) -> Vec<(i64, Packet)> {
        let mut out = Vec::new();
        for unit in units {
            let mut packets = Vec::new();
            packetize(format, unit, limit, &mut packets).unwrap();
            for packet in packets {
                assert!(packet.bytes.len() <= limit && !packet.bytes.is_empty());
                out.push((unit.pts, packet));
            }
        }
        out
    }

    fn numbered(sent: &[(i64, Packet)]) -> impl Iterator<Item = Payload<'_>> {
        (0..)
            .zip(sent)
            .map(|(sequence, (timestamp, packet))| Payload {
                sequence,
                timestamp: *timestamp,
                marker: packet.marker,
                bytes: &packet.bytes,
            })
    }

    /// Pictures of slices of any size, of which the first is a keyframe.
    fn nal_units(
        header: &'static [u8],
        key: &'static [u8],
    ) -> impl Strategy<Value = Vec<AccessUnit>> {
        let slices = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..700), 1..5);
        prop::collection::vec((slices, any::<bool>()), 1..6).prop_map(move |pictures| {
            (0..)
                .zip(pictures)
                .map(|(number, (slices, keyframe))| {
                    let keyframe = keyframe || number == 0;
                    let header = if keyframe { key } else { header };
                    let nals: Vec<_> = slices
                        .iter()
                        .map(|slice| [header, slice].concat())
                        .collect();
                    unit(
                        number,
                        keyframe,
                        nal::with_lengths(nals.iter().map(Vec::as_slice)),
                    )
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn h264_comes_back(units in nal_units(&[0x41], &[0x65]), limit in 64_usize..1300) {
            let format = h264_format();
            let sent = send(&format, &units, limit);
            let mut depacketizer = H264Depacketizer::default();
            numbered(&sent).for_each(|payload| depacketizer.handle_payload(payload));
            let came: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
            prop_assert_eq!(came, units);
            prop_assert_eq!(depacketizer.format().map(Format::H264), Some(format));
        }

        #[test]
        fn hevc_comes_back(units in nal_units(&[2, 1], &[38, 1]), limit in 64_usize..1300) {
            let format = hevc_format();
            let sent = send(&format, &units, limit);
            let mut depacketizer = HevcDepacketizer::default();
            numbered(&sent).for_each(|payload| depacketizer.handle_payload(payload));
            let came: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
            prop_assert_eq!(came, units);
            prop_assert_eq!(depacketizer.format().map(Format::Hevc), Some(format));
        }

        #[test]
        fn av1_comes_back(
            frames in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..4), 1..5),
            limit in 64_usize..1300,
        ) {
            let stream = include_bytes!("vectors/av1.obu");
            let header = av1::split(stream).nth(1).unwrap();
            let format = av1::read_sequence_header(&header).unwrap();
            let units: Vec<_> = (0..).zip(&frames).map(|(number, tiles)| {
                let mut data = BytesMut::new();
                let mut write = |header, payload: &[u8]| {
                    av1::Obu { header, extension: None, payload }.write(&mut data);
                };
                if number == 0 {
                    write(0x0a, header.payload);
                }
                // A frame header, shown: of a key frame, or of another; then groups of tiles.
                write(0x1a, &[if number == 0 { 0x10 } else { 0x30 }]);
                for tile in tiles {
                    write(0x22, tile);
                }
                unit(number, number == 0, data.freeze())
            }).collect();
            let sent = send(&Format::Av1(format.clone()), &units, limit);
            let mut depacketizer = Av1Depacketizer::default();
            numbered(&sent).for_each(|payload| depacketizer.handle_payload(payload));
            let came: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
            prop_assert_eq!(came, units);
            prop_assert_eq!(depacketizer.format(), Some(&format));
        }

        #[test]
        fn aac_comes_back(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 1..8),
            limit in 64_usize..1300,
        ) {
            let format = Format::Aac(AacFormat {
                config: Bytes::from_static(&[0x11, 0x90]),
                sample_rate: 48_000,
                channels: 2,
            });
            let units: Vec<_> = (0..).zip(frames).map(|(number, data)| unit(number, true, data.into())).collect();
            let sent = send(&format, &units, limit);
            let mut depacketizer = AacDepacketizer::new(1024);
            numbered(&sent).for_each(|payload| depacketizer.handle_payload(payload));
            let came: Vec<_> = std::iter::from_fn(|| depacketizer.poll_unit()).collect();
            prop_assert_eq!(came, units);
        }

        #[test]
        fn opus_comes_back(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8)) {
            let format = Format::Opus(OpusFormat { channels: 2, pre_skip: 0 });
            let units: Vec<_> = (0..).zip(frames)
                .map(|(number, data)| unit(number, true, [vec![0xf8], data].concat().into()))
                .collect();
            let sent = send(&format, &units, 1200);
            let mut depacketizer = OpusDepacketizer::default();
            let came = numbered(&sent).filter_map(|payload| depacketizer.handle_payload(payload));
            let came: Vec<_> = came.map(|frame| frame.unit).collect();
            prop_assert_eq!(came, units);
        }
    }

    #[test]
    fn what_ffmpeg_encoded_comes_back_with_its_sets_before_each_keyframe() {
        let formats = [
            (h264_format(), &include_bytes!("vectors/h264.h264")[..]),
            (hevc_format(), &include_bytes!("vectors/hevc.hevc")[..]),
        ];
        for (format, stream) in formats {
            let codec = format.nal_codec().unwrap();
            let units: Vec<_> = (0..)
                .zip(pictures(codec, stream))
                .map(|(number, (keyframe, data))| unit(number, keyframe, data.into()))
                .collect();
            // One who comes in at the second keyframe knows all that is needed.
            let sent = send(&format, &units[6..], 300);
            let mut late = H264Depacketizer::default();
            let mut late_hevc = HevcDepacketizer::default();
            for payload in numbered(&sent) {
                match codec {
                    NalCodec::H264 => late.handle_payload(payload),
                    NalCodec::Hevc => late_hevc.handle_payload(payload),
                }
            }
            let (came, known) = match codec {
                NalCodec::H264 => (
                    std::iter::from_fn(|| late.poll_unit()).collect::<Vec<_>>(),
                    late.format().map(Format::H264),
                ),
                NalCodec::Hevc => (
                    std::iter::from_fn(|| late_hevc.poll_unit()).collect(),
                    late_hevc.format().map(Format::Hevc),
                ),
            };
            assert_eq!(came, units[6..]);
            assert_eq!(known, Some(format));
        }
    }
}
