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
