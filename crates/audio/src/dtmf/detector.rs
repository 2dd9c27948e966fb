//! Digits heard in sound (ITU-T Q.24).

use super::{COLUMNS_HZ, Digit, ROWS_HZ};
use crate::codec::CodecError;
use crate::{Goertzel, Resampler};

/// Everything is looked at at this rate.
const RATE_HZ: u32 = 8_000;

/// Samples looked at at a time, 12.75 ms: neighbouring rows lie one null of the filter apart, and
/// the shortest digit (40 ms) holds two blocks wherever it begins.
const BLOCK: usize = 102;

/// Blocks in a row that must agree for a digit to begin, and to end.
const AGREE: u32 = 2;

/// The weakest tone, as peak amplitude: -36 dBov.
const WEAKEST: f64 = 720.0;

/// The column may be this much louder than the row, and the row than the column (Q.24 and AT&T
/// have 4 to 8 dB), as ratios of amplitudes.
const TWIST_COLUMN: f64 = 2.6;
const TWIST_ROW: f64 = 2.0;

/// The strongest of a group stands out from the next by this ratio: 8 dB.
const STANDS_OUT: f64 = 2.5;

/// The share of the block's power that is the two tones'. Speech has more elsewhere.
const PURE: f64 = 0.82;

/// From one block to the next neither tone changes by more than this ratio (3 dB): a key sounds
/// steadily, a voice does not.
const STEADY: f64 = 1.41;

/// A digit and the amplitudes of its two tones.
type Look = (Digit, [f64; 2]);

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A digit has begun.
    Started(Digit),
    /// It has ended.
    Ended {
        /// Which one.
        digit: Digit,
        /// How long it sounded, in milliseconds, to a block.
        duration_ms: u32,
    },
}

/// Listens for digits. Inputs: samples in blocks of any length. Outputs: starts and ends, in turn.
#[derive(Clone, Debug)]
pub struct Detector {
    resampler: Resampler,
    rows: [Goertzel; 4],
    columns: [Goertzel; 4],
    /// Samples not yet looked at, fewer than a block between calls.
    waiting: Vec<i16>,
    /// What the last block held, and in how many blocks in a row.
    last: Option<Look>,
    run: u32,
    sounding: Option<Digit>,
    sounding_blocks: u32,
}

impl Detector {
    /// Listens to samples at `rate_hz`.
    pub fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let filter = |tone_hz: f64| Goertzel::new(RATE_HZ, tone_hz);
        Ok(Self {
            resampler: Resampler::new(rate_hz, RATE_HZ)?,
            rows: ROWS_HZ.map(filter),
            columns: COLUMNS_HZ.map(filter),
            waiting: Vec::new(),
            last: None,
            run: 0,
            sounding: None,
            sounding_blocks: 0,
        })
    }

    /// The digit that sounds now.
    pub const fn sounding(&self) -> Option<Digit> {
        self.sounding
    }

    /// Listens to samples; what was heard goes to `heard`.
    pub fn handle(&mut self, pcm: &[i16], heard: &mut Vec<Heard>) {
        self.resampler.process(pcm, &mut self.waiting);
        let blocks = self.waiting.len() / BLOCK;
        for at in 0..blocks {
            let found = self.look(&self.waiting[at * BLOCK..][..BLOCK]);
            self.on_block(found, heard);
        }
        self.waiting.drain(..blocks * BLOCK);
    }

    /// The digit in one block.
    fn look(&self, block: &[i16]) -> Option<Look> {
        let power: f64 = block.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
        let power = power / BLOCK as f64;
        // Two tones at the least have this much; most blocks of a call are done here.
        if power < WEAKEST * WEAKEST / 2.0 {
            return None;
        }
        let (row, row_level) = strongest(&self.rows, block)?;
        let (column, column_level) = strongest(&self.columns, block)?;
        let twisted =
            column_level > TWIST_COLUMN * row_level || row_level > TWIST_ROW * column_level;
        let tones = f64::midpoint(row_level.powi(2), column_level.powi(2));
        if twisted || tones < PURE * power {
            return None;
        }
        Some((Digit::at(row, column)?, [row_level, column_level]))
    }

    fn on_block(&mut self, look: Option<Look>, heard: &mut Vec<Heard>) {
        let goes_on = match (look, self.last) {
            (Some((digit, levels)), Some((before, old))) => {
                let steady =
                    |(level, old): (f64, f64)| level < STEADY * old && old < STEADY * level;
                digit == before && levels.into_iter().zip(old).all(steady)
            }
            (look, last) => look.is_none() && last.is_none(),
        };
        self.run = if goes_on { self.run + 1 } else { 1 };
        self.last = look;
        let found = look.map(|(digit, _)| digit);
        self.sounding_blocks += 1;
        if self.run < AGREE || found == self.sounding {
            return;
        }
        if let Some(digit) = self.sounding {
            let blocks = self.sounding_blocks - AGREE;
            let duration_ms = blocks * (BLOCK as u32) * 1000 / RATE_HZ;
            heard.push(Heard::Ended { digit, duration_ms });
        }
        self.sounding = found;
        self.sounding_blocks = AGREE;
        heard.extend(found.map(Heard::Started));
    }
}

/// The strongest tone of a group and its amplitude, where it stands out.
fn strongest(group: &[Goertzel; 4], block: &[i16]) -> Option<(usize, f64)> {
    let levels = group.map(|filter| filter.amplitude(block));
    let (mut best, mut next) = (0, 0.0_f64);
    for (at, &level) in levels.iter().enumerate().skip(1) {
        if level > levels[best] {
            next = levels[best];
            best = at;
        } else {
            next = next.max(level);
        }
    }
    let level = levels[best];
    (level >= WEAKEST && level >= STANDS_OUT * next).then_some((best, level))
}

#[cfg(test)]
mod tests {
    use super::super::Generator;
    use super::*;
    use crate::Noise;
    use crate::oscillator::Oscillator;

    fn listen(rate_hz: u32, pcm: &[i16]) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut detector = Detector::new(rate_hz).unwrap();
        for frame in pcm.chunks(rate_hz as usize / 50) {
            detector.handle(frame, &mut heard);
        }
        heard
    }

    fn digits(heard: &[Heard]) -> String {
        heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Started(digit) => Some(digit.to_char()),
                Heard::Ended { .. } => None,
            })
            .collect()
    }

    fn dial(rate_hz: u32, on_ms: u32, off_ms: u32) -> Vec<i16> {
        let mut pcm = Vec::new();
        for digit in Digit::all() {
            let start = pcm.len();
            pcm.resize(start + (rate_hz * (on_ms + off_ms) / 1000) as usize, 0);
            Generator::new(digit, rate_hz, on_ms).fill(&mut pcm[start..]);
        }
        pcm.extend(vec![0; rate_hz as usize / 10]);
        pcm
    }

    fn two_tones(tones_hz: [f64; 2], amplitudes: [f64; 2], samples: usize) -> Vec<i16> {
        let mut sines = tones_hz.map(|hz| Oscillator::new(RATE_HZ, hz));
        let mut pcm: Vec<i16> = (0..samples)
            .map(|_| (sines[0].next() * amplitudes[0] + sines[1].next() * amplitudes[1]) as i16)
            .collect();
        pcm.extend([0; 800]);
        pcm
    }

    #[test]
    fn all_digits_are_heard_at_every_rate_down_to_40_ms() {
        for rate_hz in [8_000, 16_000, 24_000, 48_000] {
            for (on_ms, off_ms) in [(40, 40), (50, 50), (100, 60), (250, 250)] {
                let heard = listen(rate_hz, &dial(rate_hz, on_ms, off_ms));
                assert_eq!(
                    digits(&heard),
                    "0123456789*#ABCD",
                    "{rate_hz} Hz, {on_ms} ms"
                );
                for heard in heard {
                    if let Heard::Ended { duration_ms, .. } = heard {
                        assert!(
                            duration_ms.abs_diff(on_ms) <= 26,
                            "{duration_ms} of {on_ms}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn digits_are_heard_through_noise_and_through_g711() {
        let mut noise = Noise::new(7);
        for pcm in [
            dial(8_000, 60, 60)
                .into_iter()
                .map(|sample| sample.saturating_add((noise.next() * 700.0) as i16))
                .collect::<Vec<i16>>(),
            dial(8_000, 60, 60)
                .into_iter()
                .map(|sample| crate::codec::g711::decode_a(crate::codec::g711::encode_a(sample)))
                .collect(),
        ] {
            assert_eq!(digits(&listen(8_000, &pcm)), "0123456789*#ABCD");
        }
    }

    #[test]
    fn frequencies_may_be_off_by_one_and_a_half_per_cent_but_not_by_four() {
        for (off, expected) in [
            (1.0, "5"),
            (1.015, "5"),
            (0.985, "5"),
            (1.04, ""),
            (0.96, ""),
        ] {
            let pcm = two_tones([770.0 * off, 1_336.0 * off], [6_000.0; 2], 800);
            assert_eq!(digits(&listen(8_000, &pcm)), expected, "off by {off}");
        }
    }

    #[test]
    fn twist_beyond_the_bounds_is_no_digit() {
        for (row, column, expected) in [
            (4_000.0, 10_000.0, "5"),
            (3_000.0, 12_000.0, ""),
            (8_000.0, 5_000.0, "5"),
            (12_000.0, 4_000.0, ""),
        ] {
            let pcm = two_tones([770.0, 1_336.0], [row, column], 800);
            assert_eq!(digits(&listen(8_000, &pcm)), expected, "{row} and {column}");
        }
    }

    #[test]
    fn tones_shorter_than_a_digit_and_single_tones_are_no_digits() {
        let pcm = two_tones([770.0, 1_336.0], [6_000.0; 2], 160);
        assert_eq!(listen(8_000, &pcm), []);
        let pcm = two_tones([770.0, 1_336.0], [9_000.0, 0.0], 8_000);
        assert_eq!(listen(8_000, &pcm), []);
        let pcm = two_tones([440.0, 480.0], [6_000.0; 2], 8_000);
        assert_eq!(listen(8_000, &pcm), []);
    }

    #[test]
    fn ten_minutes_of_voices_talk_at_most_one_digit() {
        // A buzz with gliding pitch through two gliding resonances, which wander through all the
        // tones' frequencies, purer than any voice; seeded, so a failure stays.
        let mut noise = Noise::new(47);
        let mut detector = Detector::new(8_000).unwrap();
        let mut heard = Vec::new();
        let mut state = [[0.0_f64; 2]; 2];
        let (mut phase, mut pitch_hz, mut formants_hz) = (0.0, 120.0, [700.0, 1_300.0]);
        for _ in 0..6_000 {
            let targets = [
                90.0 + 160.0 * (noise.next() + 1.0) / 2.0,
                300.0 + 350.0 * (noise.next() + 1.0),
                900.0 + 400.0 * (noise.next() + 1.0),
            ];
            let frame: Vec<i16> = (0..800)
                .map(|_| {
                    pitch_hz += (targets[0] - pitch_hz) / 900.0;
                    phase += pitch_hz / 8_000.0;
                    let mut sample = 60.0 * noise.next();
                    if phase >= 1.0 {
                        phase -= 1.0;
                        sample += 8_000.0;
                    }
                    for (at, state) in state.iter_mut().enumerate() {
                        formants_hz[at] += (targets[at + 1] - formants_hz[at]) / 900.0;
                        let angle = std::f64::consts::TAU * formants_hz[at] / 8_000.0;
                        let out = sample * 0.2 + 1.94 * angle.cos() * state[0] - 0.941 * state[1];
                        *state = [out, state[0]];
                        sample = out;
                    }
                    sample.clamp(-32_768.0, 32_767.0) as i16
                })
                .collect();
            detector.handle(&frame, &mut heard);
        }
        let talked = digits(&heard);
        assert!(talked.len() <= 1, "{talked}");
    }
}
