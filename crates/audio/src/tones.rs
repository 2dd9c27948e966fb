//! Call progress tones as each country has them (ITU-T E.180 Supplement 2, and E.182).

use crate::oscillator::Oscillator;

/// Peak amplitude of one tone alone: -13 dBov; two share it.
const AMPLITUDE: f64 = 9_000.0;

/// Rise and fall at the ends of a sound, in milliseconds.
const RAMP_MS: u32 = 3;

/// What a tone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The far end rings.
    Ringback,
    /// It is busy.
    Busy,
    /// The network could not put the call through.
    Congestion,
}

/// Sound and silence in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneSpec {
    /// One or two frequencies, in hertz; zero is none. A tone modulated by another is written as
    /// the two it consists of.
    pub tones_hz: [f64; 2],
    /// Milliseconds of sound and silence in turn, from the start, then again.
    pub cadence_ms: &'static [u32],
}

const fn tone(one_hz: f64, two_hz: f64, cadence_ms: &'static [u32]) -> ToneSpec {
    ToneSpec {
        tones_hz: [one_hz, two_hz],
        cadence_ms,
    }
}

struct Country {
    code: &'static str,
    ringback: ToneSpec,
    busy: ToneSpec,
    congestion: ToneSpec,
}

const ONE_FOUR: &[u32] = &[1_000, 4_000];
const HALF: &[u32] = &[500, 500];
const QUARTER: &[u32] = &[250, 250];
const DOUBLE_RING: &[u32] = &[400, 200, 400, 2_000];

/// By ISO 3166 code.
const COUNTRIES: [Country; 18] = [
    Country {
        code: "AT",
        ringback: tone(420.0, 0.0, &[1_000, 5_000]),
        busy: tone(420.0, 0.0, &[400, 400]),
        congestion: tone(420.0, 0.0, &[200, 200]),
    },
    Country {
        code: "AU",
        ringback: tone(413.0, 438.0, DOUBLE_RING),
        busy: tone(425.0, 0.0, &[375, 375]),
        congestion: tone(425.0, 0.0, &[375, 375]),
    },
    Country {
        code: "BR",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, QUARTER),
        congestion: tone(425.0, 0.0, &[250, 250, 750, 250]),
    },
    Country {
        code: "CH",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, HALF),
        congestion: tone(425.0, 0.0, &[200, 200]),
    },
    Country {
        code: "CN",
        ringback: tone(450.0, 0.0, ONE_FOUR),
        busy: tone(450.0, 0.0, &[350, 350]),
        congestion: tone(450.0, 0.0, &[700, 700]),
    },
    Country {
        code: "DE",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, &[480, 480]),
        congestion: tone(425.0, 0.0, &[240, 240]),
    },
    Country {
        code: "ES",
        ringback: tone(425.0, 0.0, &[1_500, 3_000]),
        busy: tone(425.0, 0.0, &[200, 200]),
        congestion: tone(425.0, 0.0, &[200, 200, 200, 200, 200, 600]),
    },
    Country {
        code: "FR",
        ringback: tone(440.0, 0.0, &[1_500, 3_500]),
        busy: tone(440.0, 0.0, HALF),
        congestion: tone(440.0, 0.0, QUARTER),
    },
    Country {
        code: "GB",
        ringback: tone(400.0, 450.0, DOUBLE_RING),
        busy: tone(400.0, 0.0, &[375, 375]),
        congestion: tone(400.0, 0.0, &[400, 350, 225, 525]),
    },
    Country {
        code: "IN",
        // 400 Hz modulated by 25 Hz.
        ringback: tone(375.0, 425.0, DOUBLE_RING),
        busy: tone(400.0, 0.0, &[750, 750]),
        congestion: tone(400.0, 0.0, QUARTER),
    },
    Country {
        code: "IT",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, HALF),
        congestion: tone(425.0, 0.0, &[200, 200]),
    },
    Country {
        code: "JP",
        // 400 Hz modulated by 16 Hz.
        ringback: tone(384.0, 416.0, &[1_000, 2_000]),
        busy: tone(400.0, 0.0, HALF),
        congestion: tone(400.0, 0.0, HALF),
    },
    Country {
        code: "NL",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, HALF),
        congestion: tone(425.0, 0.0, QUARTER),
    },
    Country {
        code: "PL",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, HALF),
        congestion: tone(425.0, 0.0, HALF),
    },
    Country {
        code: "RU",
        ringback: tone(425.0, 0.0, &[800, 3_200]),
        busy: tone(425.0, 0.0, &[400, 400]),
        congestion: tone(425.0, 0.0, &[200, 200]),
    },
    Country {
        code: "SE",
        ringback: tone(425.0, 0.0, &[1_000, 5_000]),
        busy: tone(425.0, 0.0, QUARTER),
        congestion: tone(425.0, 0.0, &[250, 750]),
    },
    Country {
        code: "US",
        ringback: tone(440.0, 480.0, &[2_000, 4_000]),
        busy: tone(480.0, 620.0, HALF),
        congestion: tone(480.0, 620.0, QUARTER),
    },
    // What E.180 recommends to those that have none of their own.
    Country {
        code: "ITU",
        ringback: tone(425.0, 0.0, ONE_FOUR),
        busy: tone(425.0, 0.0, HALF),
        congestion: tone(425.0, 0.0, &[200, 200]),
    },
];

/// The codes that [`national`] knows: ISO 3166, and `ITU` for what the Recommendation proposes.
pub fn countries() -> impl Iterator<Item = &'static str> {
    COUNTRIES.iter().map(|country| country.code)
}

/// The tone of a country; `None` where it is not known.
pub fn national(country: &str, progress: Progress) -> Option<ToneSpec> {
    let found = COUNTRIES
        .iter()
        .find(|known| known.code.eq_ignore_ascii_case(country))?;
    Some(match progress {
        Progress::Ringback => found.ringback,
        Progress::Busy => found.busy,
        Progress::Congestion => found.congestion,
    })
}

/// Sounds a tone for ever.
#[derive(Clone, Debug)]
pub struct Tone {
    oscillators: [Oscillator; 2],
    amplitudes: [f64; 2],
    cadence: Vec<u32>,
    ramp: u32,
    step: usize,
    /// Samples of the step made so far.
    made: u32,
}

impl Tone {
    /// `spec` at `rate_hz`.
    pub fn new(spec: ToneSpec, rate_hz: u32) -> Self {
        let share = if spec.tones_hz[1] > 0.0 { 0.5 } else { 1.0 };
        let cadence = spec.cadence_ms.iter();
        Self {
            oscillators: spec.tones_hz.map(|hz| Oscillator::new(rate_hz, hz)),
            amplitudes: spec
                .tones_hz
                .map(|hz| if hz > 0.0 { AMPLITUDE * share } else { 0.0 }),
            cadence: cadence
                .map(|ms| rate_hz / 1000 * ms)
                .filter(|&len| len > 0)
                .collect(),
            ramp: rate_hz / 1000 * RAMP_MS,
            step: 0,
            made: 0,
        }
    }

    /// Writes the tone's next samples over `out`.
    pub fn fill(&mut self, out: &mut [i16]) {
        for out in out {
            *out = self.next();
        }
    }

    fn next(&mut self) -> i16 {
        // Without a cadence it never stops.
        let Some(&length) = self.cadence.get(self.step) else {
            return self.sound(1.0);
        };
        let edge = self.made.min(length - 1 - self.made);
        let share = (f64::from(edge) / f64::from(self.ramp.max(1))).min(1.0);
        let sounds = self.step.is_multiple_of(2);
        self.made += 1;
        if self.made == length {
            self.made = 0;
            self.step = (self.step + 1) % self.cadence.len();
        }
        if sounds { self.sound(share) } else { 0 }
    }

    fn sound(&mut self, share: f64) -> i16 {
        let tones = self.oscillators.iter_mut().zip(self.amplitudes);
        let sum: f64 = tones.map(|(tone, amplitude)| tone.next() * amplitude).sum();
        (sum * share).round() as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Goertzel, rms};

    #[test]
    fn every_countrys_tones_sound_as_its_table_says() {
        for country in countries() {
            for progress in [Progress::Ringback, Progress::Busy, Progress::Congestion] {
                let spec = national(country, progress).unwrap();
                let mut tone = Tone::new(spec, 8_000);
                for (step, &length_ms) in spec.cadence_ms.iter().chain(spec.cadence_ms).enumerate()
                {
                    let mut pcm = vec![0; 8 * length_ms as usize];
                    tone.fill(&mut pcm);
                    let name = format!("{country} {progress:?} {step}");
                    if step % 2 == 1 {
                        assert!(rms(&pcm) < 1.0, "{name}");
                        continue;
                    }
                    let mut power = 0.0;
                    for tone_hz in spec.tones_hz.into_iter().filter(|&hz| hz > 0.0) {
                        let level = Goertzel::new(8_000, tone_hz).amplitude(&pcm);
                        assert!(level > 3_500.0, "{name}: {level} of {tone_hz}");
                        power += level * level / 2.0;
                    }
                    assert!(power > 0.85 * rms(&pcm).powi(2), "{name}");
                }
            }
        }
    }

    #[test]
    fn countries_are_found_in_any_case_and_unknown_ones_are_none() {
        assert_eq!(countries().count(), 18);
        assert_eq!(
            national("de", Progress::Busy),
            national("DE", Progress::Busy)
        );
        assert_eq!(national("XX", Progress::Busy), None);
    }

    #[test]
    fn a_tone_without_a_cadence_never_stops() {
        let mut tone = Tone::new(super::tone(425.0, 0.0, &[]), 16_000);
        let mut pcm = vec![0; 160_000];
        tone.fill(&mut pcm);
        assert!(pcm.chunks(320).all(|frame| rms(frame) > 6_000.0));
    }
}
