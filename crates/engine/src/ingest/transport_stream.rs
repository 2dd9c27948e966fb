//! What a demultiplexer of MPEG-TS tells, as what a publisher sends.

use roomtone_mpegts::{Codec, Event};

use super::publisher::Sent;
use crate::live::{Beside, Tag};

/// What keys of streams have that the demultiplexer gives no number.
const OF_PIDS: u32 = 1 << 31;

/// None where nobody reads it yet.
pub(super) fn sent(event: Event) -> Option<Sent> {
    Some(match event {
        Event::TrackAdded { track, stream } => match stream.codec {
            Codec::Video(_) => Sent::Track(track.0, true),
            Codec::AacAdts | Codec::AacLatm | Codec::Opus { .. } => Sent::Track(track.0, false),
            // They go with the stream, whatever tracks that has.
            Codec::Scte35 | Codec::Id3 => return None,
            Codec::MpegAudio | Codec::Ac3 | Codec::Eac3 => {
                Sent::Refused(track.0, stream.codec.name().to_owned())
            }
        },
        Event::TrackRemoved { track } => Sent::TrackGone(track.0),
        Event::Format { track, format } => Sent::Format(track.0, format),
        Event::Unit { track, unit } => Sent::Unit(track.0, unit),
        // Nobody knows when a tag without a time applies.
        Event::Dropped { .. } | Event::Id3 { pts: None, .. } => Sent::Dropped,
        Event::StreamRefused {
            pid,
            stream_type,
            reason,
            ..
        } => Sent::Refused(
            OF_PIDS | u32::from(pid.number()),
            format!("a stream of type {stream_type:#04x} ({reason})"),
        ),
        Event::Splice { splice, .. } => Sent::Beside(Beside::Cue(splice)),
        Event::Id3 {
            pts: Some(pts),
            data,
            ..
        } => Sent::Beside(Beside::Tag(Tag {
            at_us: pts * 100 / 9,
            data,
        })),
        Event::Clock { .. } | Event::Discontinuity { .. } => return None,
        Event::Refused { .. } => Sent::Unreadable("its packets are not the 188 bytes of MPEG-TS"),
    })
}
