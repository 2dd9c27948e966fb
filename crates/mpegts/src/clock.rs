//! Times of 33 bits at 90 kHz (H.222.0 section 2.4.3.7) on a line that does not wrap.

/// Ticks a second of PTS and DTS.
pub const CLOCK_RATE: u32 = 90_000;

/// Ticks of the program clock reference in one of PTS.
pub(crate) const PCR_TICKS: i64 = 300;

const WRAP: i64 = 1 << 33;

/// The one clock of a program: all its times are unwrapped beside the newest, so that sound and picture stay together
/// over a wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProgramClock {
    newest: Option<i64>,
}

impl ProgramClock {
    /// Unwrap a time, which is the newest from now on.
    pub(crate) fn advance(&mut self, raw: u64) -> i64 {
        let time = self.place(raw);
        self.newest = Some(time);
        time
    }

    /// Unwrap a time that may lie ahead, such as that of a splice.
    pub(crate) fn place(self, raw: u64) -> i64 {
        let raw = (raw & (WRAP as u64 - 1)) as i64;
        let Some(newest) = self.newest else {
            return raw;
        };
        let ahead = (raw - newest).rem_euclid(WRAP);
        newest
            + if ahead >= WRAP / 2 {
                ahead - WRAP
            } else {
                ahead
            }
    }

    /// Unwrap a program clock reference of 27 MHz, which does not become the newest: it is behind what is decoded later.
    pub(crate) fn place_pcr(&mut self, pcr: u64) -> i64 {
        let base = self.place(pcr / PCR_TICKS as u64);
        self.newest.get_or_insert(base);
        base * PCR_TICKS + (pcr % PCR_TICKS as u64) as i64
    }

    /// The newest time, in ticks of 90 kHz.
    pub(crate) fn newest(self) -> Option<i64> {
        self.newest
    }
}

/// A time of 90 kHz in ticks of another clock, to the nearest.
pub(crate) fn to_rate(time: i64, rate: u32) -> i64 {
    scale(time, rate, CLOCK_RATE)
}

/// A time of another clock in ticks of 90 kHz, to the nearest.
pub(crate) fn from_rate(time: i64, rate: u32) -> i64 {
    scale(time, CLOCK_RATE, rate)
}

fn scale(time: i64, to: u32, from: u32) -> i64 {
    if to == from {
        return time;
    }
    let (to, from) = (i128::from(to), i128::from(from.max(1)));
    (i128::from(time) * to * 2 + from).div_euclid(from * 2) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_on_over_a_wrap_and_back() {
        let mut clock = ProgramClock::default();
        let wrap = WRAP as u64;
        assert_eq!(clock.advance(wrap - 10), WRAP - 10);
        assert_eq!(clock.advance(5), WRAP + 5);
        assert_eq!(
            clock.advance(wrap - 3),
            WRAP - 3,
            "sound is behind the picture"
        );
        assert_eq!(clock.advance(8), WRAP + 8);
        assert_eq!(clock.place(90_000), WRAP + 90_000);
    }

    #[test]
    fn a_clock_reference_keeps_its_fine_ticks_over_a_wrap() {
        let mut clock = ProgramClock::default();
        clock.advance(4);
        assert_eq!(clock.place_pcr((WRAP as u64 - 1) * 300 + 7), -300 + 7);
        assert_eq!(clock.newest(), Some(4));
    }

    #[test]
    fn sound_of_44100_hz_is_placed_to_the_sample() {
        for frame in 0..10_000_i64 {
            let time = from_rate(frame * 1024, 44_100);
            assert_eq!(to_rate(time, 44_100), frame * 1024);
        }
    }
}
