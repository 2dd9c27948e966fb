//! A stream written as MPEG-TS for one who reads, who may be slower than it.
//!
//! A value without sockets: steps and the state of the line come in, datagrams go out as they are due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format, Gauge, Pressure};
use roomtone_mpegts::{MuxError, MuxTrack, Muxer, MuxerConfig};
use roomtone_srt::SendError;

use crate::live::Step;

/// Datagrams that leave at once, and how long after them the next: 168 Mbit/s. What waited since the last keyframe would
/// otherwise be more than the sockets on the way hold.
const BURST: usize = 32;
const BURST_EVERY: Duration = Duration::from_millis(2);
/// How long after its window was full a connection is tried again.
const FULL_EVERY: Duration = Duration::from_millis(10);
/// Bytes that may wait to leave; a playout with more loses what comes up to a keyframe.
pub(super) const MAX_WAITING: usize = 24 << 20;
/// What is not acknowledged for so long is not read: what comes is left out up to a keyframe.
const SLOW: Duration = Duration::from_millis(500);

/// What a playout has done so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) units: u64,
    /// Units left out since it does not keep up.
    pub(super) units_dropped: u64,
    /// Groups of pictures of which something was left out.
    pub(super) groups_dropped: u64,
    /// Units that cannot be written.
    pub(super) unwritable: u64,
}

/// How its line does.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::ingest) struct LineState {
    /// How old the oldest packet is that was not acknowledged.
    pub(in crate::ingest) backlog: Duration,
    /// How long the peer holds back what it has.
    pub(in crate::ingest) latency: Duration,
}

/// A track as it is written, and how it was coded last; none where that cannot be written.
struct Written {
    place: usize,
    format: Format,
    track: Option<MuxTrack>,
}

/// A stream as it is written for one.
pub(super) struct Writer {
    pub(super) figures: Figures,
    muxer: Muxer,
    tracks: Vec<Written>,
    /// Something was left out, or nothing sent yet.
    waits: bool,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// How near it is to losing a group of pictures.
    gauge: Gauge,
    next_burst: Instant,
}

impl Writer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            figures: Figures::default(),
            muxer: Muxer::new(MuxerConfig::default()),
            tracks: Vec::new(),
            waits: true,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            gauge: Gauge::default(),
            next_burst: now,
        }
    }

    /// Take what is listed next.
    pub(super) fn handle_steps(&mut self, steps: &[(usize, Step)], line: LineState) {
        let patience = SLOW.max(line.latency);
        let is_slow = line.backlog > patience || self.waiting_bytes > MAX_WAITING;
        let late = line.backlog.as_micros() as u64 * 1_000 / patience.as_micros().max(1) as u64;
        let full = self.waiting_bytes as u64 * 1_000 / MAX_WAITING as u64;
        self.gauge.note(late.max(full), 1_000);
        for (place, step) in steps {
            match step {
                Step::Format(format) => self.handle_format(*place, format),
                Step::Unit(unit) => self.handle_unit(*place, unit, is_slow),
                Step::Broken => {}
            }
        }
        while let Some(datagram) = self.muxer.poll_datagram() {
            self.push(datagram);
        }
        // What comes next is tens of milliseconds away.
        while let Some(datagram) = self.muxer.poll_rest() {
            self.push(datagram);
        }
    }

    fn push(&mut self, datagram: Bytes) {
        self.waiting_bytes += datagram.len();
        self.waiting.push_back(datagram);
    }

    fn handle_format(&mut self, place: usize, format: &Format) {
        let known = self.tracks.iter_mut().find(|one| one.place == place);
        let Some(known) = known else {
            let track = self.muxer.add_track(format.clone(), None).ok();
            return self.tracks.push(Written {
                place,
                format: format.clone(),
                track,
            });
        };
        if known.format == *format {
            return;
        }
        known.format = format.clone();
        known.track = match known.track.take() {
            Some(track) if self.muxer.handle_format(track, format.clone()).is_ok() => Some(track),
            Some(track) => {
                let _ = self.muxer.remove_track(track);
                None
            }
            None => self.muxer.add_track(format.clone(), None).ok(),
        };
    }

    fn handle_unit(&mut self, place: usize, unit: &AccessUnit, is_slow: bool) {
        let has_video = self.tracks.iter().any(|one| one.format.is_video());
        let Some(track) = self.tracks.iter().find(|one| one.place == place) else {
            return;
        };
        let begins = unit.keyframe && (track.format.is_video() || !has_video);
        if self.waits && begins && !is_slow {
            self.waits = false;
        }
        if is_slow && !self.waits {
            self.waits = true;
            self.figures.groups_dropped += 1;
        } else if is_slow && begins {
            self.figures.groups_dropped += 1;
        }
        if self.waits {
            // Sound before the first picture was not lost.
            self.figures.units_dropped += u64::from(self.figures.units > 0);
            return;
        }
        let written = track.track.map_or(Err(MuxError::UnknownTrack), |track| {
            self.muxer.handle_unit(track, unit)
        });
        match written {
            Ok(()) => self.figures.units += 1,
            Err(_) => self.figures.unwritable += 1,
        }
    }

    /// Send what is due by a connection that takes datagrams.
    pub(super) fn send(
        &mut self,
        now: Instant,
        mut send: impl FnMut(&[u8]) -> Result<(), SendError>,
    ) {
        if self.next_burst > now {
            return;
        }
        for _ in 0..BURST {
            let Some(datagram) = self.waiting.front() else {
                return;
            };
            match send(datagram) {
                Ok(()) => {
                    self.figures.bytes += datagram.len() as u64;
                    self.figures.packets += 1;
                }
                Err(SendError::Full) => {
                    self.next_burst = now + FULL_EVERY;
                    return;
                }
                // Its end is told by the connection itself.
                Err(_) => {}
            }
            self.waiting_bytes -= datagram.len();
            self.waiting.pop_front();
        }
        self.next_burst = now + BURST_EVERY;
    }

    /// When there is something to send.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next_burst)
    }

    /// How near it is to losing a group of pictures, as of what it was given last.
    pub(super) fn pressure(&self) -> Pressure {
        self.gauge.level()
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}

#[cfg(test)]
mod tests {
    use roomtone_frames::OpusFormat;
    use roomtone_mpegts::{Demuxer, Event};

    use super::*;

    const FRAME: i64 = 3_600;

    /// A writer, and what its reader has got.
    struct Line {
        writer: Writer,
        now: Instant,
        demuxer: Demuxer,
        got: Vec<Vec<u8>>,
    }

    impl Line {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                writer: Writer::new(now),
                now,
                demuxer: Demuxer::default(),
                got: Vec::new(),
            }
        }

        fn give(&mut self, steps: &[(usize, Step)], backlog_ms: u64) {
            let line = LineState {
                backlog: Duration::from_millis(backlog_ms),
                latency: Duration::from_millis(120),
            };
            self.writer.handle_steps(steps, line);
            while let Some(at) = self.writer.next_timeout() {
                self.now = self.now.max(at);
                let demuxer = &mut self.demuxer;
                self.writer.send(self.now, |datagram| {
                    demuxer.handle_bytes(datagram);
                    Ok(())
                });
            }
            while let Some(event) = self.demuxer.poll_event() {
                match event {
                    Event::Unit { unit, .. } => self.got.push(unit.data.to_vec()),
                    Event::Dropped { reason, .. } => panic!("{}", reason.name()),
                    _ => {}
                }
            }
        }

        /// The first byte of each unit, once nothing follows.
        fn finish(mut self) -> Vec<u8> {
            self.demuxer.finish();
            while let Some(event) = self.demuxer.poll_event() {
                if let Event::Unit { unit, .. } = event {
                    self.got.push(unit.data.to_vec());
                }
            }
            assert_eq!(self.demuxer.stats().continuity_errors, 0);
            self.got.iter().map(|unit| unit[0]).collect()
        }
    }

    fn sound() -> Step {
        Step::Format(Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 0,
        }))
    }

    fn unit(n: u8, bytes: usize) -> Step {
        Step::Unit(AccessUnit {
            dts: i64::from(n) * FRAME,
            pts: i64::from(n) * FRAME,
            keyframe: true,
            data: vec![n; bytes].into(),
        })
    }

    #[test]
    fn what_is_written_is_read_as_it_was_and_without_holes() {
        let mut line = Line::new();
        line.give(&[(0, sound()), (0, unit(1, 300)), (0, unit(2, 3_000))], 0);
        line.give(&[(0, sound()), (0, unit(3, 10))], 0);
        assert_eq!(line.writer.figures.units, 3);
        assert_eq!(line.finish(), [1, 2, 3]);
    }

    #[test]
    fn who_does_not_keep_up_loses_what_comes_and_goes_on_whole() {
        let mut line = Line::new();
        line.give(&[(0, sound()), (0, unit(1, 300))], 0);
        // Within what it holds back itself nothing is late.
        line.give(&[(0, unit(2, 300))], 400);
        assert_eq!(line.writer.pressure(), Pressure::High);
        line.give(&[(0, unit(3, 300))], 501);
        line.give(&[(0, unit(4, 300))], 900);
        assert_eq!(line.writer.pressure(), Pressure::Critical);
        line.give(&[(0, unit(5, 300))], 3);
        let figures = line.writer.figures;
        assert_eq!((figures.units, figures.units_dropped), (3, 2));
        assert!(figures.groups_dropped >= 1);
        assert_eq!(line.finish(), [1, 2, 5]);
    }

    #[test]
    fn much_at_once_leaves_bit_by_bit() {
        let begun = Instant::now();
        let mut writer = Writer::new(begun);
        let steps = (1..=100).map(|n| (0, unit(n, 20_000)));
        let steps: Vec<_> = std::iter::once((0, sound())).chain(steps).collect();
        writer.handle_steps(&steps, LineState::default());
        let (mut now, mut datagrams) = (begun, 0);
        while let Some(at) = writer.next_timeout() {
            now = now.max(at);
            writer.send(now, |_| {
                datagrams += 1;
                Ok(())
            });
        }
        // Two megabytes at 168 Mbit/s.
        let took = now - begun;
        assert!(took > Duration::from_millis(90) && took < Duration::from_millis(130));
        assert!(datagrams > 1_500);
        assert_eq!(writer.waiting_bytes(), 0);
    }

    #[test]
    fn a_full_window_is_tried_again_and_loses_nothing() {
        let mut writer = Writer::new(Instant::now());
        let now = Instant::now();
        writer.handle_steps(&[(0, sound()), (0, unit(1, 300))], LineState::default());
        let waiting = writer.waiting_bytes();
        writer.send(now, |_| Err(SendError::Full));
        assert_eq!(
            (writer.waiting_bytes(), writer.figures.packets),
            (waiting, 0)
        );
        let at = writer.next_timeout().expect("something waits");
        assert!(at > now);
        writer.send(at, |_| Ok(()));
        assert_eq!((writer.waiting_bytes(), writer.figures.packets), (0, 1));
    }
}
