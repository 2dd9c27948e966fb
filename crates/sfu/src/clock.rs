//! Wall time for the wire, derived from the monotonic time that is passed in everywhere.

use std::time::Instant;

use roomtone_rtp::NtpTime;

/// Ties one monotonic instant to wall time; everything the router puts on the wire follows from it.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// A monotonic instant.
    pub at: Instant,
    /// The wall time at that instant: seconds since 1900 as 32.32 (RFC 3550 section 4).
    pub ntp: u64,
}

impl WallClock {
    /// Wall time at `now`; instants before the anchor count as the anchor.
    pub(crate) fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime(self.ntp).plus(now.saturating_duration_since(self.at))
    }

    /// Milliseconds since the anchor.
    pub(crate) fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.at).as_millis() as u64
    }

    /// Microseconds since the anchor.
    pub(crate) fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.at).as_micros() as u64
    }

    /// The 6.18 fixed point seconds of the abs-send-time extension.
    pub(crate) fn abs_send_time(&self, now: Instant) -> u32 {
        ((self.ntp(now).0 >> 14) & 0x00ff_ffff) as u32
    }
}
