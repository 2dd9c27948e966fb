//! Pauses of an Opus stream: who sends nothing while nobody speaks, or is muted, is silent and not lost.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::AccessUnit;

/// A frame of 20 ms in which nothing sounds, for one channel or two (RFC 6716 sections 3.1 and 4.3).
const FRAME: [u8; 3] = [0xf8, 0xff, 0xfe];
const FRAME_TICKS: i64 = 960;
/// Ticks in a millisecond.
const TICKS_MS: i64 = 48;
/// A longer pause between two packets that follow on each other is not filled.
const LONGEST: i64 = 1_000 * TICKS_MS;
/// Discontinuous transmission sends at least so often (RFC 7587 section 3.1.3 has 400 ms), with time to arrive.
const PATIENCE: Duration = Duration::from_millis(550);
/// What comes so late still has its place.
const MARGIN: Duration = Duration::from_millis(250);

/// What was heard last.
struct Heard {
    /// Where it ends, on the clock of the source.
    end: i64,
    sequence: u64,
    arrival: Instant,
}

/// Fills pauses with silence.
#[derive(Default)]
pub(super) struct Silence {
    heard: Option<Heard>,
    /// Where silence ends that was put behind it.
    filled: Option<i64>,
    /// Frames of silence put in.
    pub(super) frames: u64,
    /// Frames that came when silence was in their place.
    pub(super) late: u64,
}

impl Silence {
    /// A frame has come: the silence before it, or none at all where it came too late.
    pub(super) fn handle_frame(
        &mut self,
        sequence: u64,
        timestamp: i64,
        samples: u32,
        arrival: Instant,
    ) -> Option<Vec<AccessUnit>> {
        let is_late = |filled: &i64| (0..LONGEST).contains(&(filled - timestamp - 1));
        if let Some(end) = self.filled.filter(is_late) {
            self.late += 1;
            // It speaks again, and will soon have come to where silence ends.
            self.heard = Some(Heard {
                end,
                sequence,
                arrival,
            });
            return None;
        }
        let filled = self.filled.take();
        let before = self.heard.replace(Heard {
            end: timestamp + i64::from(samples),
            sequence,
            arrival,
        });
        let Some(before) = before.filter(|before| before.sequence + 1 == sequence) else {
            return Some(Vec::new());
        };
        let from = filled.unwrap_or(before.end);
        let pause = timestamp - from;
        if !(FRAME_TICKS..=LONGEST).contains(&pause) {
            return Some(Vec::new());
        }
        let silent = frames(from, timestamp);
        self.frames += silent.len() as u64;
        Some(silent)
    }

    /// Nothing has come for a while: the silence that is due, each with the moment at which it would have come.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<(AccessUnit, Instant)> {
        let Some(heard) = &self.heard else {
            return Vec::new();
        };
        let idle = now.saturating_duration_since(heard.arrival);
        if idle < PATIENCE {
            return Vec::new();
        }
        let due = heard.end + idle.saturating_sub(MARGIN).as_millis() as i64 * TICKS_MS;
        // Where pictures stood still too, all but the end of it is lost.
        let from = self.filled.unwrap_or(heard.end).max(due - LONGEST);
        let silent = frames(from, due);
        if let Some(last) = silent.last() {
            self.filled = Some(last.dts + FRAME_TICKS);
        }
        self.frames += silent.len() as u64;
        let arrival = |unit: &AccessUnit| {
            let behind = (unit.dts - heard.end).max(0) / TICKS_MS;
            heard.arrival + Duration::from_millis(behind as u64)
        };
        silent
            .into_iter()
            .map(|unit| {
                let at = arrival(&unit);
                (unit, at)
            })
            .collect()
    }
}

/// As much silence as fits.
fn frames(from: i64, until: i64) -> Vec<AccessUnit> {
    let count = (until - from).max(0) / FRAME_TICKS;
    (0..count)
        .map(|number| {
            let at = from + number * FRAME_TICKS;
            AccessUnit {
                dts: at,
                pts: at,
                keyframe: true,
                data: Bytes::from_static(&FRAME),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(units: &[AccessUnit]) -> Vec<i64> {
        units.iter().map(|unit| unit.dts).collect()
    }

    #[test]
    fn a_pause_between_two_packets_is_silence_and_a_loss_is_not() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        assert_eq!(silence.handle_frame(1, 0, 960, now), Some(vec![]));
        let before = silence.handle_frame(2, 4_800, 960, now).unwrap();
        assert_eq!(times(&before), [960, 1_920, 2_880, 3_840]);
        assert_eq!(silence.handle_frame(4, 9_600, 960, now), Some(vec![]));
        assert_eq!(silence.frames, 4);
    }

    #[test]
    fn who_sends_nothing_is_silent_in_time_and_heard_again_behind_it() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        let after = |ms| now + Duration::from_millis(ms);
        silence.handle_frame(1, 0, 960, now);
        assert!(silence.handle_timeout(after(549)).is_empty());
        let due = silence.handle_timeout(after(550));
        assert_eq!(due.len(), 15);
        assert_eq!((due[1].0.dts, due[1].1), (1_920, after(20)));
        assert_eq!(silence.handle_timeout(after(570)).len(), 1);
        // It ends at 320 ms and a frame.
        assert_eq!(silence.handle_frame(2, 16_319, 960, after(580)), None);
        let again = silence.handle_frame(3, 18_240, 960, after(600)).unwrap();
        assert_eq!((again.len(), silence.late), (2, 1));
    }

    #[test]
    fn hours_in_which_nobody_asked_are_not_made_up_for() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        silence.handle_frame(1, 0, 960, now);
        let due = silence.handle_timeout(now + Duration::from_hours(9));
        assert_eq!(due.len(), 50);
        let last = now + Duration::from_hours(9);
        assert!(due.iter().all(|(_, arrival)| *arrival < last));
    }

    #[test]
    fn who_did_not_count_the_pause_is_heard_again_too() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        silence.handle_frame(1, 0, 960, now);
        silence.handle_timeout(now + Duration::from_millis(700));
        let (mut heard, mut frame) = (0, 1);
        while heard < 10 && frame < 100 {
            let at = now + Duration::from_millis(700 + 20 * frame);
            silence.handle_timeout(at);
            let taken = silence.handle_frame(1 + frame, frame as i64 * 960, 960, at);
            heard += u64::from(taken.is_some());
            frame += 1;
        }
        assert!(frame < 40, "{frame} frames");
    }
}
