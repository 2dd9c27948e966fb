//! When the next packet of a source with a steady beat is expected: audio comes every 10 or 20 ms.

/// A longer pause between packets is no beat (DTX sends one every 400 ms).
const LONGEST_US: u64 = 65_000;
/// Equal intervals after which the beat is believed.
const STEADY: u8 = 4;
/// A packet so late is still expected at once; later ones are not waited for.
const LATE_US: u64 = 3_000;

/// The arrivals of one source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rhythm {
    last_us: u64,
    every_us: u64,
    steady: u8,
}

impl Rhythm {
    /// A packet came.
    #[inline]
    pub(crate) fn on_packet(&mut self, now_us: u64) {
        let interval = now_us.saturating_sub(self.last_us);
        let regular = interval.abs_diff(self.every_us) * 4 <= self.every_us;
        self.last_us = now_us;
        if interval > LONGEST_US || interval == 0 {
            *self = Self {
                last_us: now_us,
                ..Self::default()
            };
        } else if regular {
            self.steady = (self.steady + 1).min(STEADY);
            // A share of the jitter only, so that one late packet does not move the beat.
            self.every_us = (self.every_us * 7 + interval) / 8;
        } else {
            self.steady = self.steady.saturating_sub(1);
            if self.steady == 0 {
                self.every_us = interval;
            }
        }
    }

    /// When the next packet comes, where that can be told.
    #[inline]
    pub(crate) fn next(&self, now_us: u64) -> Option<u64> {
        let next = self.last_us + self.every_us;
        (self.steady >= STEADY && next + LATE_US > now_us).then_some(next.max(now_us))
    }
}

/// Another stream that was silent for so long is no company.
const COMPANY_US: u64 = 100_000;

/// Whether several streams send: only then is there anything for a packet to wait for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Company {
    last: Option<(u32, u64)>,
    other_us: Option<u64>,
}

impl Company {
    /// A packet of `stream` came; says whether no other stream has sent lately.
    #[inline]
    pub(crate) fn is_alone(&mut self, stream: u32, now_us: u64) -> bool {
        if let Some((last, at_us)) = self.last
            && last != stream
        {
            self.other_us = Some(at_us);
        }
        self.last = Some((stream, now_us));
        self.other_us
            .is_none_or(|other_us| now_us.saturating_sub(other_us) > COMPANY_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_alone_until_another_sends_and_again_when_that_has_fallen_silent() {
        let mut company = Company::default();
        assert!(company.is_alone(1, 0));
        assert!(company.is_alone(1, 20_000));
        assert!(!company.is_alone(2, 30_000));
        assert!(!company.is_alone(1, 40_000));
        assert!(!company.is_alone(1, 130_000));
        assert!(company.is_alone(1, 130_001));
    }

    fn after(intervals: &[u64]) -> (Rhythm, u64) {
        let (mut rhythm, mut now) = (Rhythm::default(), 1_000_000);
        for interval in intervals {
            now += interval;
            rhythm.on_packet(now);
        }
        (rhythm, now)
    }

    #[test]
    fn a_steady_beat_is_foretold() {
        let (rhythm, now) = after(&[0, 20_000, 20_500, 19_500, 20_300, 19_800, 20_000]);
        let next = rhythm.next(now + 15_000).unwrap();
        assert!(next.abs_diff(now + 20_000) < 500, "{}", next - now);
    }

    #[test]
    fn a_late_packet_is_expected_at_once_and_then_no_more() {
        let (rhythm, now) = after(&[20_000; 8]);
        assert_eq!(rhythm.next(now + 22_000), Some(now + 22_000));
        assert_eq!(rhythm.next(now + 24_000), None);
    }

    #[test]
    fn silence_and_irregular_packets_have_no_beat() {
        let (rhythm, now) = after(&[20_000; 3]);
        assert_eq!(rhythm.next(now), None, "too few");
        let (rhythm, now) = after(&[400_000; 10]);
        assert_eq!(rhythm.next(now), None, "DTX");
        let (rhythm, now) = after(&[5_000, 40_000, 12_000, 33_000, 7_000, 50_000, 3_000]);
        assert_eq!(rhythm.next(now), None, "no order");
    }
}
