//! What is told to a sender of RTP about what came of it (RFC 3550 sections 6.4.2, A.3 and A.8).

use std::time::Instant;

use roomtone_rtp::SequenceUnwrapper;
use roomtone_rtp::rtcp::ReportBlock;

/// Numbers that are so far ahead, or not so far behind, belong to the others (RFC 3550 section A.1).
const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;

/// Counts of one source.
#[derive(Debug)]
pub(super) struct Reception {
    ssrc: u32,
    clock_rate: u32,
    numbers: SequenceUnwrapper,
    first: u64,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// When the last packet came, and its timestamp.
    last: Option<(Instant, u32)>,
    jitter: f64,
    /// The middle of the newest sender report's time, and when it came.
    report: Option<(u32, Instant)>,
}

impl Reception {
    pub(super) fn new(ssrc: u32, sequence: u16, clock_rate: u32) -> Self {
        let mut numbers = SequenceUnwrapper::new();
        let first = numbers.unwrap(sequence);
        Self {
            ssrc,
            clock_rate,
            numbers,
            first,
            highest: first,
            received: 0,
            expected_before: 0,
            received_before: 0,
            last: None,
            jitter: 0.0,
            report: None,
        }
    }

    /// Whether a number has nothing to do with those before.
    pub(super) fn is_far(&self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        (MAX_DROPOUT..=MAX_MISORDER.wrapping_neg()).contains(&ahead)
    }

    pub(super) fn handle_packet(&mut self, sequence: u16, timestamp: u32, now: Instant) {
        let number = self.numbers.unwrap(sequence);
        self.first = self.first.min(number);
        self.highest = self.highest.max(number);
        self.received += 1;
        if let Some((at, before)) = self.last.replace((now, timestamp)) {
            let waited =
                now.saturating_duration_since(at).as_secs_f64() * f64::from(self.clock_rate);
            let apart = f64::from(timestamp.wrapping_sub(before) as i32);
            self.jitter += ((waited - apart).abs() - self.jitter) / 16.0;
        }
    }

    pub(super) fn handle_report(&mut self, compact: u32, now: Instant) {
        self.report = Some((compact, now));
    }

    /// What came since it was asked last.
    pub(super) fn block(&mut self, now: Instant) -> ReportBlock {
        let expected = self.highest - self.first + 1;
        let (news, came) = (
            expected.saturating_sub(self.expected_before),
            self.received - self.received_before,
        );
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost = news.saturating_sub(came);
        let fraction = (lost * 256).checked_div(news).unwrap_or(0);
        let delay =
            |at: Instant| (now.saturating_duration_since(at).as_secs_f64() * 65_536.0) as u32;
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: (expected as i64 - self.received as i64) as i32,
            highest_sequence: self.highest as u32,
            jitter: self.jitter as u32,
            last_sr: self.report.map_or(0, |(compact, _)| compact),
            delay_since_last_sr: self.report.map_or(0, |(_, at)| delay(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_lost_is_said_once_in_part_and_always_in_all() {
        let begun = Instant::now();
        let mut reception = Reception::new(7, 65_534, 90_000);
        for (at, sequence) in [65_534_u16, 65_535, 1, 2].into_iter().enumerate() {
            let now = begun + Duration::from_millis(40 * at as u64);
            reception.handle_packet(sequence, 3_600 * at as u32, now);
        }
        let block = reception.block(begun);
        assert_eq!((block.ssrc, block.cumulative_lost), (7, 1));
        assert_eq!(block.fraction_lost, (256 / 5) as u8);
        assert_eq!(block.highest_sequence & 0xffff, 2);
        let later = reception.block(begun);
        assert_eq!((later.fraction_lost, later.cumulative_lost), (0, 1));
    }

    #[test]
    fn numbers_are_far_that_nothing_lost_and_nothing_late_explains() {
        let mut reception = Reception::new(7, 65_000, 90_000);
        reception.handle_packet(65_500, 0, Instant::now());
        let far = |sequence| reception.is_far(sequence);
        let near = [65_501, 65_500, 65_401, 2_963];
        assert_eq!(near.map(far), [false; 4]);
        assert_eq!([65_400, 2_964, 30_000].map(far), [true; 3]);
    }

    #[test]
    fn the_delay_behind_a_report_is_in_65536ths_of_a_second() {
        let begun = Instant::now();
        let mut reception = Reception::new(7, 0, 8_000);
        assert_eq!(reception.block(begun).last_sr, 0);
        reception.handle_report(0x0102_0304, begun);
        let block = reception.block(begun + Duration::from_millis(500));
        assert_eq!(
            (block.last_sr, block.delay_since_last_sr),
            (0x0102_0304, 32_768)
        );
    }
}
