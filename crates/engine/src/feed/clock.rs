//! The time of a source on the server's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roomtone_rtp::NtpTime;
use roomtone_sfu::WallClock;

use crate::live::INGEST_RATE;

/// A source whose times go back or on by more than this, other than its silence explains, has begun anew.
const JUMP: Duration = Duration::from_secs(3);
/// Times that are followed at once: when a source jumps, its tracks do so one after another.
const FOLLOWED: usize = 2;

/// Where a unit is in the time of its source: ticks of [`INGEST_RATE`] that never jump, and the wall time by the
/// source's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    at: i64,
    pub(super) ntp: NtpTime,
}

impl Placed {
    /// The same place, at another wall time: tracks of a source are shown by these together.
    pub(super) fn shifted(self, offset_ns: i64) -> Self {
        let parts = (i128::from(offset_ns) << 32) / 1_000_000_000;
        Self {
            ntp: NtpTime(self.ntp.0.wrapping_add(parts as u64)),
            ..self
        }
    }

    /// The timestamp of RTP at a clock of `rate` Hz.
    pub(super) fn timestamp(self, rate: u32) -> u32 {
        let ticks = i128::from(self.at) * i128::from(rate);
        ticks.div_euclid(i128::from(INGEST_RATE)) as u32
    }
}

/// One count of time that a source had.
#[derive(Debug, Clone, Copy)]
struct Era {
    /// What times of the source are shifted by.
    offset: i64,
    latest: i64,
    seen: Instant,
}

impl Era {
    /// How far a time is from what was seen last; none where it cannot be of this era.
    fn distance(&self, ticks: i64, now: Instant) -> Option<i64> {
        let distance = ticks
            .saturating_add(self.offset)
            .saturating_sub(self.latest);
        let silence = ticks_of(now.saturating_duration_since(self.seen));
        let jump = ticks_of(JUMP);
        (-jump..=silence.saturating_add(jump))
            .contains(&distance)
            .then_some(distance)
    }
}

/// Places the tracks of one source on one time, from any thread; clones are the same clock. It starts with the first unit's arrival and goes on by the source's own
/// clock; where the source's times jump it goes on by arrival.
#[derive(Debug, Clone)]
pub(crate) struct SourceClock(Arc<Mutex<Count>>);

#[derive(Debug)]
struct Count {
    wall: WallClock,
    begun: Option<Instant>,
    /// The newest first.
    eras: Vec<Era>,
}

impl SourceClock {
    pub(crate) fn new(wall: WallClock) -> Self {
        Self(Arc::new(Mutex::new(Count {
            wall,
            begun: None,
            eras: Vec::new(),
        })))
    }

    /// Place a unit by its time of showing, in ticks of [`INGEST_RATE`].
    pub(crate) fn place(&self, ticks: i64, now: Instant) -> Placed {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.place(ticks, now)
    }
}

impl Count {
    fn place(&mut self, ticks: i64, now: Instant) -> Placed {
        let begun = *self.begun.get_or_insert(now);
        let nearest = self
            .eras
            .iter_mut()
            .filter_map(|era| Some((era.distance(ticks, now)?.abs(), era)))
            .min_by_key(|(distance, _)| *distance);
        let at = if let Some((_, era)) = nearest {
            let at = ticks.saturating_add(era.offset);
            (era.latest, era.seen) = (era.latest.max(at), now);
            at
        } else {
            let newest = self.eras.iter().max_by_key(|era| era.latest);
            let at = newest.map_or(0, |era| {
                let silence = ticks_of(now.saturating_duration_since(era.seen));
                era.latest.saturating_add(silence)
            });
            self.eras.truncate(FOLLOWED - 1);
            let era = Era {
                offset: at.saturating_sub(ticks),
                latest: at,
                seen: now,
            };
            self.eras.insert(0, era);
            at
        };
        Placed {
            at,
            ntp: self.ntp(begun, at),
        }
    }

    fn ntp(&self, begun: Instant, at: i64) -> NtpTime {
        let start = NtpTime(self.wall.ntp).plus(begun.saturating_duration_since(self.wall.at));
        let since = (i128::from(at) << 32) / i128::from(INGEST_RATE);
        NtpTime(start.0.wrapping_add(since as u64))
    }
}

fn ticks_of(duration: Duration) -> i64 {
    let ticks = duration.as_micros() * u128::from(INGEST_RATE) / 1_000_000;
    i64::try_from(ticks).unwrap_or(i64::MAX)
}
