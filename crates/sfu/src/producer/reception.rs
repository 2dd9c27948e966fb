//! Receive statistics of one source (RFC 3550 sections 6.4.1, A.3 and A.8).

use crate::quality::bursts::Bursts;

/// What a report block says about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportFigures {
    pub(crate) fraction_lost: u8,
    pub(crate) cumulative_lost: i32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
}

/// Counts of one stream. Numbers are received ones without wraps; after a jump they start anew.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    base: u64,
    highest: u64,
    started: bool,
    received: u64,
    /// Expected and received before the numbering started anew.
    expected_before: u64,
    expected_prior: u64,
    received_prior: u64,
    transit: i64,
    jitter_q4: u64,
    pub(crate) fraction_lost: u8,
    /// Bytes since the last look at the bitrate.
    window_bytes: u64,
    window_start_us: u64,
    pub(crate) bitrate: u64,
    window_expected: u64,
    window_received: u64,
    /// Bursts of loss, once somebody asks for them.
    pub(crate) bursts: Option<Box<Bursts>>,
}

impl Reception {
    /// A packet that is no duplicate.
    #[inline]
    pub(crate) fn on_packet(&mut self, raw: u64, newest: bool, bytes: usize) {
        if !self.started {
            self.started = true;
            self.base = raw;
            self.highest = raw;
        }
        if newest {
            if let Some(bursts) = &mut self.bursts {
                bursts.lose(raw.saturating_sub(self.highest + 1));
                bursts.receive();
            }
            self.highest = raw;
        } else if raw < self.base {
            self.base = raw;
        }
        self.received += 1;
        self.window_bytes += bytes as u64;
    }

    /// Whether a number lies between the first and the newest received.
    pub(crate) fn covers(&self, raw: u64) -> bool {
        self.started && (self.base..=self.highest).contains(&raw)
    }

    /// The numbering starts anew at `raw`.
    pub(crate) fn restart(&mut self, raw: u64) {
        self.expected_before = self.expected();
        self.base = raw;
        self.highest = raw;
    }

    /// The arrival of a newest packet, for the jitter. The first packet of a frame only would be
    /// fairer to video; RFC 3550 counts every one.
    #[inline]
    pub(crate) fn on_arrival(&mut self, timestamp: u32, arrival_us: u64, clock_rate: u32) {
        let arrival = (u128::from(arrival_us) * u128::from(clock_rate) / 1_000_000) as i64;
        let transit = arrival - i64::from(timestamp);
        let first = self.received <= 1;
        // Modulo the timestamp's wrap.
        let d = u64::from(
            (transit as i32)
                .wrapping_sub(self.transit as i32)
                .unsigned_abs(),
        );
        self.transit = transit;
        // A clock that jumped is not jitter.
        if !first && d < u64::from(clock_rate) * 5 {
            self.jitter_q4 = self.jitter_q4 + d - ((self.jitter_q4 + 8) >> 4);
        }
    }

    /// Packets that should have come, from the first to the newest.
    pub(crate) fn expected(&self) -> u64 {
        if !self.started {
            return 0;
        }
        self.expected_before + (self.highest - self.base + 1)
    }

    /// Packets received, duplicates not counted.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Expected less received.
    pub(crate) fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Arrival time less timestamp of the newest packet, in timestamp units, modulo their wrap.
    pub(crate) fn transit(&self) -> i32 {
        self.transit as i32
    }

    /// Jitter in timestamp units.
    pub(crate) fn jitter(&self) -> u32 {
        (self.jitter_q4 >> 4) as u32
    }

    /// The figures of a report block; starts a new interval.
    pub(crate) fn report(&mut self) -> ReportFigures {
        let expected = self.expected();
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.received - self.received_prior;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost = expected_interval.saturating_sub(received_interval);
        self.fraction_lost = (lost * 256)
            .checked_div(expected_interval)
            .unwrap_or(0)
            .min(255) as u8;
        ReportFigures {
            fraction_lost: self.fraction_lost,
            cumulative_lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest: self.highest as u32,
            jitter: self.jitter(),
        }
    }

    /// Closes a window of the bitrate; gives the share received of what was expected in it, of 100.
    pub(crate) fn close_window(&mut self, now_us: u64) -> u8 {
        let elapsed = now_us.saturating_sub(self.window_start_us).max(1);
        self.bitrate = self.window_bytes * 8 * 1_000_000 / elapsed;
        self.window_bytes = 0;
        self.window_start_us = now_us;
        let expected = self.expected().saturating_sub(self.window_expected);
        let received = self.received - self.window_received;
        self.window_expected = self.expected();
        self.window_received = self.received;
        (received * 100).checked_div(expected).unwrap_or(0).min(100) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_counted_as_in_appendix_a_3() {
        let mut reception = Reception::default();
        for raw in [100, 101, 102, 105, 106] {
            reception.on_packet(raw, true, 10);
        }
        let figures = reception.report();
        assert_eq!(figures.cumulative_lost, 2);
        assert_eq!(figures.fraction_lost, (2 * 256 / 7) as u8);
        assert_eq!(figures.highest, 106);
        reception.on_packet(103, false, 10);
        reception.on_packet(107, true, 10);
        let figures = reception.report();
        assert_eq!(figures.cumulative_lost, 1, "a repaired packet is not lost");
        assert_eq!(
            figures.fraction_lost, 0,
            "more came than was due in the interval"
        );
    }

    #[test]
    fn a_restart_keeps_the_counts() {
        let mut reception = Reception::default();
        for raw in [100, 101, 103] {
            reception.on_packet(raw, true, 10);
        }
        reception.restart(70_000);
        reception.on_packet(70_000, true, 10);
        reception.on_packet(70_001, true, 10);
        assert_eq!(reception.lost(), 1);
        assert_eq!(reception.received(), 5);
    }

    #[test]
    fn jitter_follows_appendix_a_8() {
        let mut reception = Reception::default();
        reception.on_packet(1, true, 10);
        reception.on_arrival(0, 0, 8_000);
        reception.on_packet(2, true, 10);
        reception.on_arrival(160, 20_000, 8_000);
        assert_eq!(reception.jitter(), 0);
        reception.on_packet(3, true, 10);
        // 4 ms late: 32 units; one sixteenth of it.
        reception.on_arrival(320, 44_000, 8_000);
        assert_eq!(reception.jitter(), 2);
    }
}
