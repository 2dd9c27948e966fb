//! Round trips (draft-sharabayko-srt section 4.10).

use crate::seq::Seq;
use crate::time::Micros;

/// Before anything is known.
const FIRST: Micros = 100_000;
const FIRST_VARIANCE: Micros = 50_000;
/// Longer than any round trip that a live stream survives.
const LONGEST: Micros = 60_000_000;
/// Acknowledgements whose answer may still come; at one every 10 ms, five seconds of them.
const REMEMBERED: usize = 512;

/// The estimate of a round trip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    pub(crate) smoothed: Micros,
    pub(crate) variance: Micros,
    measured: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            smoothed: FIRST,
            variance: FIRST_VARIANCE,
            measured: false,
        }
    }
}

impl Rtt {
    /// A measurement of one's own.
    pub(crate) fn update(&mut self, sample: Micros) {
        let sample = sample.clamp(1, LONGEST);
        if self.measured {
            let distance = (self.smoothed - sample).abs();
            self.variance = (self.variance * 3 + distance) / 4;
            self.smoothed = (self.smoothed * 7 + sample) / 8;
        } else {
            self.measured = true;
            self.smoothed = sample;
            self.variance = sample / 2;
        }
    }

    /// What the peer's receiver has found; a peer that has found nothing says 100 ms.
    pub(crate) fn hear(&mut self, smoothed: u32, variance: u32) {
        let smoothed = Micros::from(smoothed);
        if self.measured || smoothed != FIRST || Micros::from(variance) != FIRST_VARIANCE {
            self.update(smoothed);
        }
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.measured
    }

    /// The round trip and what it may vary by.
    pub(crate) fn with_margin(&self) -> Micros {
        self.smoothed + 4 * self.variance
    }
}

/// Acknowledgements on their way.
#[derive(Debug)]
pub(crate) struct AckHistory {
    sent: Box<[(u32, Seq, Micros)]>,
    next: u32,
}

impl Default for AckHistory {
    fn default() -> Self {
        Self {
            sent: vec![(0, Seq::new(0), 0); REMEMBERED].into(),
            next: 1,
        }
    }
}

impl AckHistory {
    /// Notes an acknowledgement of everything before `seq`; gives its number.
    pub(crate) fn note(&mut self, seq: Seq, now: Micros) -> u32 {
        let number = self.next;
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.sent[number as usize % REMEMBERED] = (number, seq, now);
        number
    }

    /// The acknowledgement that `number` answers, once.
    pub(crate) fn answer(&mut self, number: u32) -> Option<(Seq, Micros)> {
        let place = &mut self.sent[number as usize % REMEMBERED];
        let (known, seq, at) = *place;
        if number == 0 || known != number {
            return None;
        }
        place.0 = 0;
        Some((seq, at))
    }
}
