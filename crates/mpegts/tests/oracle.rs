//! `tst-core`, a demultiplexer by others, takes the same streams apart in the same way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::read;
use roomtone_frames::{NalCodec, annexb};
use roomtone_mpegts::TrackId;
use tst_core::mpegts::demux::{DemuxEvent, Demuxer, SamplePayload};

/// Pictures as the other sees them: decode time, time, what a container has of them.
fn pictures(codec: NalCodec, stream: &[u8]) -> Vec<(i64, i64, Vec<u8>)> {
    let mut other = Demuxer::new();
    other.feed(stream).unwrap();
    other.flush();
    std::iter::from_fn(|| other.next_event())
        .filter_map(|event| match event {
            DemuxEvent::Sample {
                pts,
                dts,
                payload: SamplePayload::Video { raw, .. },
                ..
            } => {
                let picture = annexb::read(codec, &raw, |_| {});
                Some((
                    dts.unwrap_or(pts).as_ticks(),
                    pts.as_ticks(),
                    picture.data.to_vec(),
                ))
            }
            _ => None,
        })
        .collect()
}

fn ours(stream: &[u8]) -> Vec<(i64, i64, Vec<u8>)> {
    let units = common::units(&read(stream).0, TrackId(0));
    units
        .into_iter()
        .map(|(dts, pts, _, data)| (dts, pts, data))
        .collect()
}

#[test]
fn another_demultiplexer_finds_the_same_pictures() {
    let streams: [(_, &[u8]); 4] = [
        (NalCodec::H264, include_bytes!("vectors/h264_aac.ts")),
        (
            NalCodec::H264,
            include_bytes!("vectors/h264_fields_latm.ts"),
        ),
        (NalCodec::H264, include_bytes!("vectors/h264_open_gop.ts")),
        (NalCodec::Hevc, include_bytes!("vectors/hevc_opus.ts")),
    ];
    for (codec, stream) in streams {
        let found = ours(stream);
        assert_eq!(found.len(), 25);
        assert!(found == pictures(codec, stream));
    }
}
