//! GStreamer takes packets of ours apart into the streams they were made of.
//!
//! Needs `gst-launch-1.0` with the good and bad plugins. Packets reach it behind their lengths (RFC 4571).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use roomtone_frames::packetize::packetize;
use roomtone_frames::{AacFormat, AccessUnit, Format, NalCodec, annexb, h264, hevc};

/// Small, so that there are fragments.
const LIMIT: usize = 300;

/// What a pipeline between standard input and output makes of packets.
fn received(pipeline: &str, packets: &[u8]) -> Vec<u8> {
    let mut running = Command::new("gst-launch-1.0")
        .args(["--quiet", "fdsrc", "fd=0", "!"])
        .args(pipeline.split_whitespace())
        .args(["!", "fdsink", "fd=1", "sync=false"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gst-launch-1.0 runs");
    running.stdin.take().unwrap().write_all(packets).unwrap();
    let said = running.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{complaints}");
    said.stdout
}

/// The packets of units, whole, each behind its length.
fn sent(format: &Format, units: &[AccessUnit]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = 65_530_u16;
    for unit in units {
        let mut packets = Vec::new();
        packetize(format, unit, LIMIT, &mut packets).unwrap();
        for packet in packets {
            let mut bytes = vec![0x80, 0x60 | u8::from(packet.marker) << 7];
            bytes.extend(sequence.to_be_bytes());
            bytes.extend((unit.pts as u32).to_be_bytes());
            bytes.extend(1_u32.to_be_bytes());
            bytes.extend(&packet.bytes);
            out.extend((bytes.len() as u16).to_be_bytes());
            out.extend(bytes);
            sequence = sequence.wrapping_add(1);
        }
    }
    out
}

fn unit(number: i64, keyframe: bool, data: Bytes) -> AccessUnit {
    AccessUnit {
        dts: number * 3600,
        pts: number * 3600,
        keyframe,
        data,
    }
}

/// The pictures of a byte stream, and what a decoder must be told.
fn read(codec: NalCodec, stream: &[u8]) -> (Format, Vec<AccessUnit>) {
    let (mut avc, mut hevc) = (
        h264::ParameterSets::default(),
        hevc::ParameterSets::default(),
    );
    let mut units = Vec::new();
    for (number, piece) in (0..).zip(annexb::split_pictures(codec, stream)) {
        let picture = annexb::read(codec, piece, |set| {
            match codec {
                NalCodec::H264 => avc.take(set),
                NalCodec::Hevc => hevc.take(set),
            };
        });
        units.push(unit(number, picture.keyframe, picture.data));
    }
    let format = match codec {
        NalCodec::H264 => Format::H264(avc.format().unwrap()),
        NalCodec::Hevc => Format::Hevc(hevc.format().unwrap()),
    };
    (format, units)
}

fn comes_back(codec: NalCodec, stream: &[u8], name: &str, depacketizer: &str) {
    let (format, units) = read(codec, stream);
    let caps = format!(
        "application/x-rtp-stream,media=video,clock-rate=90000,encoding-name={name},payload=96"
    );
    let raw = if codec == NalCodec::H264 {
        "video/x-h264"
    } else {
        "video/x-h265"
    };
    let pipeline = format!(
        "{caps} ! rtpstreamdepay ! {depacketizer} ! {raw},stream-format=byte-stream,alignment=au"
    );
    let came = received(&pipeline, &sent(&format, &units));
    assert_eq!(read(codec, &came), (format, units));
}

#[test]
fn h264_comes_back() {
    let stream = include_bytes!("vectors/h264.h264");
    comes_back(NalCodec::H264, stream, "H264", "rtph264depay");
}

#[test]
fn hevc_comes_back() {
    let stream = include_bytes!("vectors/hevc.hevc");
    comes_back(NalCodec::Hevc, stream, "H265", "rtph265depay");
}

#[test]
fn aac_comes_back() {
    let format = Format::Aac(AacFormat {
        config: Bytes::from_static(&[0x11, 0x88]),
        sample_rate: 48_000,
        channels: 1,
    });
    let frames: Vec<Vec<u8>> = (1..20_u8)
        .map(|number| vec![number; usize::from(number) * 40])
        .collect();
    let units = (0..).zip(&frames);
    let units: Vec<_> = units
        .map(|(number, frame)| unit(number, true, frame.clone().into()))
        .collect();
    let pipeline = "application/x-rtp-stream,media=audio,clock-rate=48000,\
         encoding-name=MPEG4-GENERIC,payload=96,mode=AAC-hbr,config=(string)1188,sizelength=(string)13,\
         indexlength=(string)3,indexdeltalength=(string)3,streamtype=(string)5,profile-level-id=(string)1 \
         ! rtpstreamdepay ! rtpmp4gdepay";
    assert_eq!(received(pipeline, &sent(&format, &units)), frames.concat());
}
