//! How fast packets leave (draft-sharabayko-srt section 5.1).

use crate::config::Bandwidth;
use crate::time::Micros;

/// What may leave at once although the rate is limited.
const BURST: Micros = 5_000;
/// Over how long the input is measured.
const WINDOW: Micros = 1_000_000;
/// A measured input below this is taken for this: a stream that begins must not be choked.
const LEAST_BPS: u64 = 1_000_000;

/// Spaces packets out by a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    bandwidth: Bandwidth,
    /// When the next packet may leave.
    next: Micros,
    window_began: Micros,
    window_bytes: u64,
    input_bps: Option<u64>,
}

impl Pacing {
    pub(crate) fn new(bandwidth: Bandwidth, now: Micros) -> Self {
        Self {
            bandwidth,
            next: now,
            window_began: now,
            window_bytes: 0,
            input_bps: None,
        }
    }

    fn rate(&self) -> Option<u64> {
        match self.bandwidth {
            Bandwidth::Unlimited => None,
            Bandwidth::Fixed(bps) => Some(bps.max(1)),
            Bandwidth::Overhead(percent) => {
                let input = self.input_bps?.max(LEAST_BPS);
                Some(input.saturating_mul(u64::from(percent) + 100) / 100)
            }
        }
    }

    /// Bytes were given to be sent.
    pub(crate) fn note_input(&mut self, bytes: usize, now: Micros) {
        self.window_bytes += bytes as u64;
        let elapsed = now - self.window_began;
        if elapsed >= WINDOW {
            self.input_bps = Some(self.window_bytes * 8 * 1_000_000 / elapsed as u64);
            (self.window_began, self.window_bytes) = (now, 0);
        }
    }

    /// When the next packet may leave; none where nothing is limited.
    pub(crate) fn ready_at(&self) -> Option<Micros> {
        self.rate().map(|_| self.next)
    }

    /// A packet leaves.
    pub(crate) fn note_sent(&mut self, bytes: usize, now: Micros) {
        if let Some(rate) = self.rate() {
            let takes = bytes as u64 * 8 * 1_000_000 / rate;
            self.next = self.next.max(now - BURST) + takes as Micros;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that leave in a second.
    fn run(mut pacing: Pacing) -> usize {
        let mut bytes = 0;
        for now in (0..1_000_000).step_by(1000) {
            while pacing.ready_at().is_none_or(|at| at <= now) && bytes < 2_000_000 {
                pacing.note_sent(1000, now);
                bytes += 1000;
            }
        }
        bytes
    }

    #[test]
    fn a_rate_is_kept() {
        let bytes = run(Pacing::new(Bandwidth::Fixed(8_000_000), 0));
        assert!((990_000..1_020_000).contains(&bytes), "{bytes}");
        assert_eq!(run(Pacing::new(Bandwidth::Unlimited, 0)), 2_000_000);
    }

    #[test]
    fn overhead_follows_what_is_given() {
        let mut pacing = Pacing::new(Bandwidth::Overhead(25), -1_000_000);
        assert_eq!(pacing.ready_at(), None);
        pacing.note_input(500_000, 0);
        let bytes = run(pacing);
        assert!((620_000..640_000).contains(&bytes), "{bytes}");
    }
}
