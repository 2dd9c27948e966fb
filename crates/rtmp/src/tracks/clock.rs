//! Times of tags: 32 bits of milliseconds, and samples counted where those are too coarse.

/// Nanoseconds of a millisecond.
const NANOSECONDS: i64 = 1_000_000;

/// How far from half of 32 bits a step is still that of a sender that has only 31, in milliseconds.
const NEAR_HALF: u32 = 60_000;

/// Carries on where 32 bits begin anew, every 49.7 days; one for all tracks of a publisher, so that they stay on one zero.
///
/// FLV has times with a sign, and FFmpeg writes only the 31 bits below it: its times begin anew every 24.8 days. A step of about that
/// much is taken for that.
#[derive(Debug, Default)]
pub(super) struct Unwrapped(Option<i64>);

impl Unwrapped {
    /// The nearest time to the last that has these 32 bits.
    pub(super) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let unwrapped = match self.0 {
            None => i64::from(timestamp),
            Some(last) => last + step(last as u32, timestamp),
        };
        self.0 = Some(unwrapped);
        unwrapped
    }
}

/// The nearest step between two times of 32 bits; of 31 bits where that is about half of all there is.
fn step(from: u32, to: u32) -> i64 {
    let step = to.wrapping_sub(from) as i32;
    if step.unsigned_abs() > (1 << 31) - NEAR_HALF {
        i64::from(step << 1 >> 1)
    } else {
        i64::from(step)
    }
}

/// Milliseconds and a part of one in ticks of a clock.
pub(super) fn ticks(milliseconds: i64, nanoseconds: u32, rate: u32) -> i64 {
    let nanoseconds = i128::from(milliseconds) * i128::from(NANOSECONDS) + i128::from(nanoseconds);
    let rate = i128::from(rate);
    let second = i128::from(NANOSECONDS) * 1000;
    (nanoseconds * rate + second / 2).div_euclid(second) as i64
}

/// Sound follows on sound: a frame begins where the one before has ended, as long as its time, rounded to a millisecond by the encoder,
/// does not contradict.
#[derive(Debug, Default)]
pub(super) struct SampleClock {
    next: Option<i64>,
}

impl SampleClock {
    /// The time of a frame of this many samples, said to be at `said`; and whether the count had to begin anew.
    pub(super) fn place(&mut self, said: i64, samples: u32, rate: u32) -> (i64, bool) {
        // Rounded down or to the nearest, and by encoders that take the end of a buffer for its beginning.
        let tolerance = i64::from(rate) * 2 / 1000 + 1;
        let (at, jumped) = match self.next {
            Some(next) if (said - next).abs() <= tolerance => (next, false),
            Some(_) => (said, true),
            None => (said, false),
        };
        self.next = Some(at + i64::from(samples));
        (at, jumped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_go_on_where_32_bits_begin_anew_and_both_tracks_with_them() {
        let mut times = Unwrapped::default();
        let got: Vec<i64> = [0xffff_fff0, 0xffff_fffa, 4, 0xffff_fffe, 14]
            .into_iter()
            .map(|timestamp| times.unwrap(timestamp))
            .collect();
        let first = 0xffff_fff0i64;
        assert_eq!(got, [0, 10, 20, 14, 30].map(|step| first + step));
    }

    #[test]
    fn times_of_31_bits_go_on_too() {
        let mut times = Unwrapped::default();
        let got: Vec<i64> = [0x7fff_fff0, 0x7fff_fffe, 6, 0x7fff_fffa, 30, 20]
            .into_iter()
            .map(|timestamp| times.unwrap(timestamp))
            .collect();
        let first = 0x7fff_fff0i64;
        assert_eq!(got, [0, 14, 22, 10, 46, 36].map(|step| first + step));
    }

    #[test]
    fn a_jump_of_the_encoder_is_followed_and_told() {
        let mut clock = SampleClock::default();
        assert_eq!(clock.place(0, 1024, 48_000), (0, false));
        assert_eq!(clock.place(1000, 1024, 48_000), (1024, false));
        assert_eq!(clock.place(48_000, 1024, 48_000), (48_000, true));
    }

    proptest! {
        #[test]
        fn sound_rounded_to_milliseconds_is_placed_on_its_samples(
            rate in prop_oneof![Just(44_100u32), Just(48_000), Just(22_050), Just(96_000)],
            start in 0i64..10_000,
            down in any::<bool>(),
        ) {
            let mut clock = SampleClock::default();
            let first = ticks(start, 0, rate);
            for frame in 0..500i64 {
                let exact = frame * 1024;
                let half = if down { 0 } else { i64::from(rate) / 2 };
                let said = start + (exact * 1000 + half) / i64::from(rate);
                let (at, jumped) = clock.place(ticks(said, 0, rate), 1024, rate);
                prop_assert!(!jumped);
                prop_assert_eq!(at, first + exact);
            }
        }

        #[test]
        fn ticks_of_90_khz_are_exact(milliseconds in -1_000_000_000i64..1_000_000_000_000) {
            prop_assert_eq!(ticks(milliseconds, 0, 90_000), milliseconds * 90);
            prop_assert_eq!(ticks(milliseconds, 500_000, 90_000), milliseconds * 90 + 45);
        }
    }
}
