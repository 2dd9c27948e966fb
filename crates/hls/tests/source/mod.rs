//! A model encoder: pictures and sound with even or wavering times.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format, H264Format, OpusFormat};
use roomtone_hls::{Packager, PackagerConfig, Track};

pub(crate) const RUN: &str = "r1";
pub(crate) const VIDEO: usize = 0;
/// 1 January 2026.
pub(crate) const ZERO_US: i64 = 1_767_225_600_000_000;

pub(crate) fn h264(width: u32) -> Format {
    Format::H264(H264Format {
        sps: Bytes::from_static(&[0x67, 0x4d, 0x40, 0x1f, 0xd9]),
        pps: vec![Bytes::from_static(&[0x68, 0xeb])],
        width,
        height: width * 9 / 16,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    })
}

pub(crate) fn opus() -> Format {
    Format::Opus(OpusFormat {
        channels: 2,
        pre_skip: 0,
    })
}

pub(crate) fn video() -> Track {
    Track {
        name: "video".to_owned(),
        format: h264(1280),
    }
}

pub(crate) fn sound() -> Track {
    Track {
        name: "audio".to_owned(),
        format: opus(),
    }
}

pub(crate) fn config() -> PackagerConfig {
    PackagerConfig {
        run: RUN.to_owned(),
        part_us: None,
        window_us: 120_000_000,
        zero_us: ZERO_US,
    }
}

/// Feeds a packager in the order in which media comes, and hands its clock to it.
pub(crate) struct Source {
    pub packager: Packager,
    pub begun: Instant,
    pub now: Instant,
    /// Pictures so far, and of them those of the group.
    pictures: i64,
    since_keyframe: i64,
    frames: i64,
    pub group: i64,
    /// How much later than they are decoded pictures are shown, in ticks of 90 kHz.
    pub shown_after: i64,
    /// Ticks of 90 kHz between pictures, in turn.
    pub intervals: Vec<i64>,
    at: i64,
    pub with_video: bool,
    pub with_sound: bool,
}

impl Source {
    pub(crate) fn new(config: PackagerConfig, tracks: Vec<Track>) -> Self {
        #[allow(clippy::disallowed_methods, reason = "some moment to count from")]
        let begun = Instant::now();
        let (with_video, with_sound) = (
            tracks[0].format.is_video(),
            tracks.iter().any(|track| !track.format.is_video()),
        );
        Self {
            packager: Packager::new(config, tracks),
            begun,
            now: begun,
            pictures: 0,
            since_keyframe: 0,
            frames: 0,
            group: 60,
            shown_after: 0,
            intervals: vec![3000],
            at: 0,
            with_video,
            with_sound,
        }
    }

    /// Play for so long; `seen` is called after each step.
    pub(crate) fn play(&mut self, seconds: f64, mut seen: impl FnMut(&mut Packager)) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while self.now < until {
            self.step();
            seen(&mut self.packager);
        }
    }

    /// Let time pass in which nothing comes; what would have come is lost.
    pub(crate) fn freeze(&mut self, seconds: f64, mut seen: impl FnMut(&mut Packager)) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while let Some(next) = self.packager.next_timeout().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.packager.handle_timeout(self.now).unwrap();
            seen(&mut self.packager);
        }
        self.now = until;
        let us = (self.now - self.begun).as_micros() as i64;
        self.at = us * 9 / 100;
        self.frames = us * 48 / 1000 / 960;
    }

    /// Let time pass in which nothing comes; what would have come comes at once behind it.
    pub(crate) fn stall(&mut self, seconds: f64, mut seen: impl FnMut(&mut Packager)) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while let Some(next) = self.packager.next_timeout().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.packager.handle_timeout(self.now).unwrap();
            seen(&mut self.packager);
        }
        self.now = until;
    }

    /// Let time pass in which nothing is made: all that follows comes so much later than it says.
    pub(crate) fn stand_still(&mut self, seconds: f64, seen: impl FnMut(&mut Packager)) {
        self.stall(seconds, seen);
        self.begun += Duration::from_secs_f64(seconds);
    }

    /// Sound of so many frames is lost on its way.
    pub(crate) fn lose_sound(&mut self, frames: i64) {
        self.frames += frames;
    }

    /// One picture, and the sound of its time.
    pub(crate) fn step(&mut self) {
        let interval = self.intervals[self.pictures as usize % self.intervals.len()];
        self.at += interval;
        self.pictures += 1;
        let due = self.begun + Duration::from_micros((self.at * 100 / 9) as u64);
        self.now = self.now.max(due);
        self.packager.handle_timeout(self.now).unwrap();
        if self.with_video {
            let keyframe = self.since_keyframe % self.group == 0;
            self.since_keyframe = if keyframe { 1 } else { self.since_keyframe + 1 };
            let data = vec![0x41; if keyframe { 20_000 } else { 4_000 }];
            let unit = AccessUnit {
                dts: self.at,
                pts: self.at + self.shown_after,
                keyframe,
                data: data.into(),
            };
            self.packager.handle_unit(VIDEO, unit, self.now).unwrap();
        }
        let track = usize::from(self.with_video);
        while self.with_sound && self.frames * 960 * 15 / 8 <= self.at {
            let dts = self.frames * 960;
            let unit = AccessUnit {
                dts,
                pts: dts,
                keyframe: true,
                data: vec![0xf8; 160].into(),
            };
            self.packager.handle_unit(track, unit, self.now).unwrap();
            self.frames += 1;
        }
    }

    /// The encoder's clock leaps, that of the world does not.
    pub(crate) fn jump(&mut self, seconds: i64) {
        self.at += 90_000 * seconds;
        self.frames += 50 * seconds;
        self.begun -= Duration::from_secs(seconds as u64);
    }

    /// The next picture begins a group.
    pub(crate) fn begin_group(&mut self) {
        self.since_keyframe = 0;
    }
}
