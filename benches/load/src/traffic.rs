//! What a publisher sends: H.264 frames whose packets the server must forward, and Opus-sized audio.

use std::time::Duration;

/// How video frames are cut into packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// Every packet of `packet` bytes, as an encoder that fills the MTU.
    Filled,
    /// Nearly equal packets, the last ones a byte longer, as Chromium cuts a frame.
    Split,
    /// No video: one speaker.
    AudioOnly,
    /// No audio: everybody publishes three encodings of a picture, and watches some of the others.
    Grid,
}

/// The encodings of a picture, the smallest first.
pub(crate) const RIDS: [&str; 3] = ["q", "h", "f"];
/// Packets of a frame of each: 0.25, 0.5 and 1.6 Mbit/s at 1,100 B.
const PACKETS: [usize; 3] = [1, 2, 6];
/// Pictures that each peer of a grid watches.
pub(crate) const TILES: usize = 9;

/// One publisher's load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How frames are cut.
    pub(crate) shape: Shape,
    /// RTP payload bytes of a filled packet.
    pub(crate) packet: usize,
    /// Video bits per second.
    pub(crate) video_bps: usize,
    /// Bytes of an audio payload; 50 a second.
    pub(crate) audio_bytes: usize,
}

impl Load {
    /// Encodings of a picture.
    pub(crate) fn encodings(self) -> usize {
        if self.shape == Shape::Grid {
            RIDS.len()
        } else {
            1
        }
    }

    fn packets_a_frame(self, encoding: usize) -> usize {
        if self.shape == Shape::Grid {
            return PACKETS[encoding];
        }
        (self.video_bps / 8 / FRAME_RATE as usize)
            .div_ceil(self.packet)
            .max(2)
    }
}

/// Frames per second of the synthetic picture.
pub(crate) const FRAME_RATE: u32 = 30;
/// Time between frames.
pub(crate) const FRAME_EVERY: Duration = Duration::from_nanos(1_000_000_000 / FRAME_RATE as u64);
/// Time between audio packets.
pub(crate) const AUDIO_EVERY: Duration = Duration::from_millis(20);

/// The payloads of one H.264 frame (RFC 6184), first packet first: a keyframe is led by its parameter sets.
pub(crate) fn frame(load: Load, encoding: usize, keyframe: bool) -> Vec<Vec<u8>> {
    let bytes = load.video_bps / 8 / FRAME_RATE as usize;
    let count = load.packets_a_frame(encoding);
    let slices = (0..count).map(|i| {
        let size = match load.shape {
            Shape::Split => bytes / count + usize::from(i >= count - bytes % count),
            Shape::Filled | Shape::AudioOnly | Shape::Grid => load.packet,
        };
        fragment(size.max(16), i == 0, i == count - 1, keyframe)
    });
    keyframe
        .then(parameter_sets)
        .into_iter()
        .chain(slices)
        .collect()
}

/// A fragmentation unit (section 5.8) of an IDR slice or another one.
fn fragment(size: usize, first: bool, last: bool, keyframe: bool) -> Vec<u8> {
    let mut packet = vec![0x55; size];
    packet[0] = 0x7c;
    packet[1] = u8::from(first) << 7 | u8::from(last) << 6 | if keyframe { 5 } else { 1 };
    packet
}

/// An aggregation packet (section 5.7) of a constrained baseline SPS for 1280x720 and a PPS.
fn parameter_sets() -> Vec<u8> {
    const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00,
        0x40,
    ];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    let mut packet = vec![0x78];
    for unit in [SPS, PPS] {
        packet.extend((unit.len() as u16).to_be_bytes());
        packet.extend(unit);
    }
    packet
}
