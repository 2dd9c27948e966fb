//! What puts together what a description tells of.

use bytes::Bytes;
use roomtone_frames::CarriedCodec;

use crate::live::{AacConfig, Coding, G711_RATE, NewTrack, Track};
use crate::values::IngestRtpTrack;

/// What puts a stream together; none where it is not carried.
pub(super) fn track(key: usize, described: &IngestRtpTrack) -> Option<Track> {
    let coding = coding(described)?;
    let mut track = Track::new(NewTrack {
        packager: 0,
        track: key as u64,
        name: String::new(),
        ssrc: 0,
        codings: vec![(described.payload_type, coding)],
        makes_keyframes: false,
    })?;
    track.handle_parameter_sets(&parameter_sets(described));
    Some(track)
}

pub(super) fn coding(described: &IngestRtpTrack) -> Option<Coding> {
    let clock_rate = described.clock_rate;
    match (described.codec.to_ascii_lowercase().as_str(), clock_rate) {
        ("h264", 90_000) => Some(Coding::H264),
        ("h265", 90_000) => Some(Coding::Hevc),
        ("av1", 90_000) => Some(Coding::Av1),
        ("opus", 48_000) => Some(Coding::Opus {
            channels: described.channels.clamp(1, 2),
        }),
        ("mpeg4-generic", 1..) => Some(Coding::Aac {
            config: AacConfig::new(&described.config)?,
            clock_rate,
            channels: described.channels.max(1),
        }),
        ("pcmu", G711_RATE) => Some(Coding::G711 {
            law: CarriedCodec::Pcmu,
            channels: described.channels.clamp(1, 2),
        }),
        ("pcma", G711_RATE) => Some(Coding::G711 {
            law: CarriedCodec::Pcma,
            channels: described.channels.clamp(1, 2),
        }),
        _ => None,
    }
}

/// Those that the description has.
pub(super) fn parameter_sets(described: &IngestRtpTrack) -> Vec<Bytes> {
    let sets = described.parameter_sets.iter();
    sets.map(|set| Bytes::copy_from_slice(set)).collect()
}
