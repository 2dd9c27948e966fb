//! Wall time as RTP puts it on the wire.

use std::time::Duration;

/// Seconds since 1900 as a 32.32 fixed point number (RFC 3550 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Seconds from 1900 to the Unix epoch.
    pub const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;

    /// The time a given duration after the Unix epoch. Wraps in 2036 as the field does.
    pub fn from_unix(since_epoch: Duration) -> Self {
        Self(Self::UNIX_EPOCH_SECONDS << 32).plus(since_epoch)
    }

    /// The middle 32 bits, which LSR, LRR and DLRR work with (RFC 3550 section 6.4.1).
    pub fn compact(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// This time moved forward; wraps with the era.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
        Self(
            self.0
                .wrapping_add(duration.as_secs() << 32)
                .wrapping_add(fraction),
        )
    }

    /// Time since `earlier`, or `None` where `earlier` is later (by less than half an era).
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let difference = self.0.wrapping_sub(earlier.0);
        if difference > u64::MAX / 2 {
            return None;
        }
        let nanos = ((difference & 0xffff_ffff) * 1_000_000_000) >> 32;
        Some(Duration::new(difference >> 32, nanos as u32))
    }

    /// A compact (16.16) interval as a duration: DLSR, or a round trip computed from it.
    pub fn compact_to_duration(interval: u32) -> Duration {
        let nanos = (u64::from(interval & 0xffff) * 1_000_000_000) >> 16;
        Duration::new(u64::from(interval >> 16), nanos as u32)
    }

    /// A duration as a compact (16.16) interval; saturates at 65,535 s.
    pub fn duration_to_compact(duration: Duration) -> u32 {
        if duration.as_secs() > 0xffff {
            return u32::MAX;
        }
        let fraction = (u64::from(duration.subsec_nanos()) << 16) / 1_000_000_000;
        ((duration.as_secs() as u32) << 16) | fraction as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_epoch_is_2208988800_seconds_after_1900() {
        let time = NtpTime::from_unix(Duration::from_millis(1_500));
        assert_eq!(time.0 >> 32, 2_208_988_801);
        assert_eq!(time.0 & 0xffff_ffff, 1 << 31);
        assert_eq!(time.compact(), 0x7e81_8000);
    }

    #[test]
    fn differences_survive_the_end_of_the_era() {
        let before = NtpTime(u64::MAX - (1 << 32));
        let after = before.plus(Duration::from_secs(3));
        assert!(after.0 < before.0);
        assert_eq!(after.since(before), Some(Duration::from_secs(3)));
        assert_eq!(before.since(after), None);
    }

    #[test]
    fn compact_intervals_are_65536ths_of_a_second() {
        assert_eq!(
            NtpTime::duration_to_compact(Duration::from_millis(5_250)),
            0x0005_4000
        );
        assert_eq!(
            NtpTime::compact_to_duration(0x0005_4000),
            Duration::from_millis(5_250)
        );
        assert_eq!(
            NtpTime::duration_to_compact(Duration::from_secs(1 << 20)),
            u32::MAX
        );
    }
}
