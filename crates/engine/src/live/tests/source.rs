//! Made-up sources: as much of RTP and of H.264 as a packager looks at.

use roomtone_rtp::rtcp::{CompoundWriter, SenderReport};
use roomtone_rtp::{NtpTime, RtpHeader, write_header};

use crate::live::coding::Coding;
use crate::live::track::NewTrack;

/// Between two turns.
pub(super) const TICK_MS: u64 = 20;
const FRAME_MS: u64 = 40;
pub(super) const VIDEO_SSRC: u32 = 1;
pub(super) const AUDIO_SSRC: u32 = 2;
/// Between two sender reports.
const REPORT_MS: u64 = 1_000;

// Parameter sets of 1280x720 and of 640x360, as x264 writes them.
const LARGE: [u8; 24] = [
    0x67, 0x4d, 0x40, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80,
];
const SMALL: [u8; 24] = [
    0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
    0x00, 0x03, 0x00, 0xca, 0x3c, 0x58, 0xba, 0x80,
];
const PPS: [u8; 5] = [0x68, 0xeb, 0xc3, 0xcb, 0x20];

/// A picture of the small size at which decoding begins, with start codes.
pub(super) fn small_keyframe() -> Vec<u8> {
    let mut out = Vec::new();
    for nal in [&SMALL[..], &PPS[..], &[0x65, 0x88, 0x80]] {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal);
    }
    out
}

pub(super) fn video_track(makes_keyframes: bool) -> NewTrack {
    NewTrack {
        packager: 0,
        track: 10,
        name: "video".to_owned(),
        ssrc: VIDEO_SSRC,
        codings: vec![(96, Coding::H264)],
        makes_keyframes,
    }
}

pub(super) fn audio_track() -> NewTrack {
    NewTrack {
        packager: 0,
        track: 11,
        name: "audio".to_owned(),
        ssrc: AUDIO_SSRC,
        codings: vec![(111, Coding::Opus { channels: 2 })],
        makes_keyframes: false,
    }
}

/// Whether it is RTCP, and the packet.
type Sent = (bool, Vec<u8>);

fn packet(header: &RtpHeader, payload: &[u8]) -> Sent {
    let mut out = vec![0; 12];
    write_header(&mut out, header);
    out.extend_from_slice(payload);
    (false, out)
}

fn report(ssrc: u32, ntp: u64, rtp_timestamp: u32) -> Sent {
    let mut out = vec![0; 64];
    let mut writer = CompoundWriter::new(&mut out);
    let report = SenderReport {
        ssrc,
        ntp: NtpTime(ntp),
        rtp_timestamp,
        ..SenderReport::default()
    };
    writer.push(&report).unwrap();
    let len = writer.finish();
    out.truncate(len);
    (true, out)
}

/// When a camera sends keyframes.
enum Rhythm {
    Asked,
    Every(u64),
    Never,
}

/// 25 pictures a second, 80 ms after they were taken.
pub(super) struct Camera {
    pub(super) ssrc: u32,
    rhythm: Rhythm,
    asked: bool,
    keyframe_at: Option<u64>,
    sequence: u16,
    timestamp: u32,
    lost: u16,
    small: bool,
    silent: bool,
    pub(super) stands: bool,
}

impl Camera {
    /// One that sends them when it is asked.
    pub(super) fn new() -> Self {
        Self::with(Rhythm::Asked)
    }

    pub(super) fn every(ms: u64) -> Self {
        Self::with(Rhythm::Every(ms))
    }

    pub(super) fn never() -> Self {
        Self::with(Rhythm::Never)
    }

    fn with(rhythm: Rhythm) -> Self {
        Self {
            ssrc: VIDEO_SSRC,
            rhythm,
            asked: true,
            keyframe_at: None,
            sequence: 65_000,
            timestamp: u32::MAX - 900_000,
            lost: 0,
            small: false,
            silent: false,
            stands: false,
        }
    }

    /// Sends nothing; what comes later begins with a keyframe.
    pub(super) fn silence(&mut self, silent: bool) {
        self.silent = silent;
        self.asked |= !silent;
    }

    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// The next packets do not arrive.
    pub(super) fn lose(&mut self, packets: u16) {
        self.lost = packets;
    }

    /// From now on pictures are small.
    pub(super) fn turn(&mut self) {
        self.small = !self.small;
        self.asked = true;
    }

    pub(super) fn tick(&mut self, ms: u64, ntp: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        if self.stands {
            return sent;
        }
        if self.silent {
            if ms.is_multiple_of(FRAME_MS) {
                self.timestamp = self.timestamp.wrapping_add(FRAME_MS as u32 * 90);
            }
            return sent;
        }
        if ms.is_multiple_of(REPORT_MS) {
            // What would be taken now is sent in 80 ms.
            sent.push(report(self.ssrc, ntp, self.timestamp.wrapping_add(80 * 90)));
        }
        if !ms.is_multiple_of(FRAME_MS) {
            return sent;
        }
        let keyframe = match self.rhythm {
            Rhythm::Asked => std::mem::take(&mut self.asked),
            Rhythm::Every(every) => self.keyframe_at.is_none_or(|at| at + every <= ms),
            Rhythm::Never => false,
        };
        if keyframe {
            self.keyframe_at = Some(ms);
            let sps: &[u8] = if self.small { &SMALL } else { &LARGE };
            let mut sets = vec![0x78];
            for set in [sps, &PPS] {
                sets.extend((set.len() as u16).to_be_bytes());
                sets.extend(set);
            }
            self.send(false, &sets, &mut sent);
        }
        let mut slice = vec![0; 1000];
        slice[0] = if keyframe { 0x65 } else { 0x41 };
        self.send(true, &slice, &mut sent);
        self.timestamp = self.timestamp.wrapping_add(FRAME_MS as u32 * 90);
        sent
    }

    fn send(&mut self, marker: bool, payload: &[u8], sent: &mut Vec<Sent>) {
        let header = RtpHeader {
            marker,
            payload_type: 96,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        if self.lost > 0 {
            self.lost -= 1;
        } else {
            sent.push(packet(&header, payload));
        }
    }
}

/// A frame of Opus each 20 ms, at once.
pub(super) struct Microphone {
    pub(super) ssrc: u32,
    sequence: u16,
    timestamp: u32,
    pub(super) silent: bool,
    pub(super) stands: bool,
}

impl Microphone {
    pub(super) fn new() -> Self {
        Self {
            ssrc: AUDIO_SSRC,
            sequence: 7,
            timestamp: 12_345,
            silent: false,
            stands: false,
        }
    }

    pub(super) fn tick(&mut self, ms: u64, ntp: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        if self.stands {
            return sent;
        }
        if self.silent {
            self.timestamp = self.timestamp.wrapping_add(960);
            return sent;
        }
        if ms.is_multiple_of(REPORT_MS) {
            sent.push(report(self.ssrc, ntp, self.timestamp));
        }
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        // Full band, 20 ms, one frame (RFC 6716 section 3.1).
        sent.push(packet(&header, &[0xfc, 1, 2, 3]));
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        sent
    }
}
