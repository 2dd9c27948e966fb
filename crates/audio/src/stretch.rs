//! Sound made shorter or longer by whole periods, so that its pitch stays (after WSOLA, Verhelst
//! and Roelands 1993): two places that look alike are found and faded into one another.

/// The shortest and the longest period looked for, in microseconds: 400 and 100 Hz.
const SHORTEST_US: u32 = 2_500;
const LONGEST_US: u32 = 10_000;

/// What is compared, and faded, at the least.
const WINDOW_US: u32 = 5_000;

const fn samples(rate_hz: u32, us: u32) -> usize {
    (rate_hz as u64 * us as u64 / 1_000_000) as usize
}

/// Samples that [`shorten`] and [`lengthen`] need to look at.
pub(crate) const fn needed(rate_hz: u32) -> usize {
    samples(rate_hz, LONGEST_US + WINDOW_US)
}

/// The shortest period at this rate, in samples.
pub(crate) const fn shortest(rate_hz: u32) -> usize {
    samples(rate_hz, SHORTEST_US)
}

/// How alike two stretches are, from -1 to 1; silence is alike to all.
fn likeness(one: &[i16], other: &[i16]) -> f64 {
    let (mut cross, mut left, mut right) = (0_i64, 0_i64, 0_i64);
    for (&a, &b) in one.iter().zip(other) {
        let (a, b) = (i64::from(a), i64::from(b));
        cross += a * b;
        left += a * a;
        right += b * b;
    }
    if left == 0 || right == 0 {
        return 1.0;
    }
    cross as f64 / ((left as f64) * (right as f64)).sqrt()
}

/// The period of the sound at the start of `pcm`, of at most `most` samples, and how alike its
/// repetitions are.
fn period(pcm: &[i16], rate_hz: u32, most: usize) -> Option<(usize, f64)> {
    let (low, window) = (samples(rate_hz, SHORTEST_US), samples(rate_hz, WINDOW_US));
    let high = most
        .min(samples(rate_hz, LONGEST_US))
        .min(pcm.len().checked_sub(window)?);
    // A quarter of a millisecond apart first, then each sample around the best.
    let step = (rate_hz as usize / 4_000).max(1);
    let alike = |lag: usize| likeness(&pcm[..window], &pcm[lag..][..window]);
    let best_of = |lags: &mut dyn Iterator<Item = usize>| {
        lags.map(|lag| (lag, alike(lag)))
            .max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (around, _) = best_of(&mut (low..=high).step_by(step))?;
    best_of(&mut (around.saturating_sub(step - 1).max(low)..=(around + step - 1).min(high)))
}

/// Fades from `from` to `to` over the length of `out`.
fn fade(out: &mut [i16], from: &[i16], to: &[i16]) {
    let len = out.len() as i32;
    for (at, out) in out.iter_mut().enumerate() {
        let share = at as i32;
        let sum = i32::from(from[at]) * (len - share) + i32::from(to[at]) * share;
        *out = (sum / len) as i16;
    }
}

/// Takes a period of at most `most` samples out of the start of `pcm`, if its repetitions are at
/// least `likeness` alike. Gives the samples taken out; 0 if none.
pub(crate) fn shorten(pcm: &mut Vec<i16>, rate_hz: u32, most: usize, least: f64) -> usize {
    let Some((lag, alike)) = period(pcm, rate_hz, most) else {
        return 0;
    };
    if alike < least {
        return 0;
    }
    let window = samples(rate_hz, WINDOW_US);
    let mut joint = vec![0; window];
    fade(&mut joint, &pcm[..window], &pcm[lag..][..window]);
    pcm[lag..][..window].copy_from_slice(&joint);
    pcm.drain(..lag);
    lag
}

/// Repeats a period at the start of `pcm`, on the same terms as [`shorten`].
pub(crate) fn lengthen(pcm: &mut Vec<i16>, rate_hz: u32, most: usize, least: f64) -> usize {
    let Some((lag, alike)) = period(pcm, rate_hz, most) else {
        return 0;
    };
    if alike < least {
        return 0;
    }
    let window = samples(rate_hz, WINDOW_US);
    let mut repeated = pcm[..lag].to_vec();
    repeated.resize(lag + window, 0);
    fade(&mut repeated[lag..], &pcm[lag..][..window], &pcm[..window]);
    pcm.splice(..window, repeated);
    lag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Goertzel, rms};
    use std::f64::consts::TAU;

    fn sine(rate_hz: u32, tone_hz: f64, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| (10_000.0 * (TAU * tone_hz * n as f64 / f64::from(rate_hz)).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_its_purity_when_it_is_stretched() {
        for rate_hz in [8_000, 16_000, 48_000] {
            for tone_hz in [140.0, 440.0, 1_000.0] {
                for longer in [false, true] {
                    let mut pcm = Vec::new();
                    let source = sine(rate_hz, tone_hz, rate_hz as usize * 2);
                    let mut changed = 0;
                    // Each 60 ms once, as a playout would.
                    let mut rest = source.as_slice();
                    let mut tail = Vec::new();
                    while let Some((chunk, behind)) =
                        rest.split_at_checked(rate_hz as usize * 3 / 50)
                    {
                        tail.extend_from_slice(chunk);
                        changed += if longer {
                            lengthen(&mut tail, rate_hz, usize::MAX, 0.5)
                        } else {
                            shorten(&mut tail, rate_hz, usize::MAX, 0.5)
                        };
                        let keep = tail.len() - needed(rate_hz);
                        pcm.extend(tail.drain(..keep));
                        rest = behind;
                    }
                    assert!(changed > rate_hz as usize / 12, "{changed}");
                    // In stretches of 50 ms, for each change may turn the phase a little.
                    for part in pcm.chunks_exact(rate_hz as usize / 20) {
                        let level = Goertzel::new(rate_hz, tone_hz).amplitude(part);
                        let name = format!("{rate_hz} {tone_hz} {longer}");
                        assert!(level > 8_800.0, "{name}: {level}");
                        let other = (rms(part).powi(2) - level * level / 2.0).max(0.0).sqrt();
                        assert!(other < 2_000.0, "{name}: {other} beside");
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_change_by_what_is_said_and_never_by_more_than_allowed() {
        let mut pcm = sine(8_000, 200.0, 400);
        let taken = shorten(&mut pcm, 8_000, 45, 0.5);
        assert_eq!((taken, pcm.len()), (40, 360));
        let added = lengthen(&mut pcm, 8_000, 80, 0.5);
        assert_eq!(pcm.len(), 360 + added);
        assert_eq!(
            shorten(&mut pcm, 8_000, 10, 0.5),
            0,
            "no period is that short"
        );
        let mut few = vec![0; 30];
        assert_eq!(shorten(&mut few, 8_000, 80, 0.5), 0);
        assert_eq!(lengthen(&mut few, 8_000, 80, 0.5), 0);
    }
}
