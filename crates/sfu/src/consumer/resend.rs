//! Retransmissions waiting for one consumer, bounded against storms.

use std::collections::VecDeque;

use super::rewriting::PictureShift;
use crate::Limits;

/// The same packet is not sent again sooner than this, or than a round trip.
const MIN_INTERVAL_MS: u64 = 10;
/// Packets sent again that are remembered.
const RECENT: usize = 64;
/// Looks into the history in a second, as a multiple of the resends allowed.
const LOOKS_PER_RESEND: u32 = 4;

/// A packet to send again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resend {
    pub(crate) stream: u32,
    pub(crate) serial: u32,
    pub(crate) position: u64,
    pub(crate) sequence: u16,
    pub(crate) timestamp_offset: u32,
    pub(crate) pictures: PictureShift,
    /// The SSRC it was sent with.
    pub(crate) ssrc: u32,
    /// When it was asked for.
    pub(crate) asked_us: u64,
}

/// The waiting list. Boxed by its owner, since most consumers never need one.
#[derive(Debug, Default)]
pub(crate) struct Resends {
    queue: VecDeque<Resend>,
    recent: VecDeque<(u32, u16, u64)>,
    window_start_ms: u64,
    granted: u32,
    looks: u32,
}

impl Resends {
    /// Whether a request for this packet is looked at; a storm is not.
    pub(crate) fn admits(
        &mut self,
        ssrc: u32,
        sequence: u16,
        now_ms: u64,
        round_trip_ms: u64,
        limits: &Limits,
    ) -> bool {
        if now_ms >= self.window_start_ms + 1_000 {
            self.window_start_ms = now_ms;
            self.granted = 0;
            self.looks = 0;
        }
        if self.looks >= limits.resends_per_second.saturating_mul(LOOKS_PER_RESEND) {
            return false;
        }
        self.looks += 1;
        let interval = round_trip_ms.clamp(MIN_INTERVAL_MS, 500);
        self.granted < limits.resends_per_second
            && self.queue.len() < limits.pending_resends
            && !self.recent.iter().any(|(sent_ssrc, sent, at)| {
                *sent == sequence && *sent_ssrc == ssrc && now_ms < at + interval
            })
    }

    /// Takes a packet into the queue; [`Self::admits`] was asked.
    pub(crate) fn push(&mut self, resend: Resend, now_ms: u64) {
        self.granted += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent
            .push_back((resend.ssrc, resend.sequence, now_ms));
        self.queue.push_back(resend);
    }

    pub(crate) fn pop(&mut self) -> Option<Resend> {
        self.queue.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Keeps those that `wanted` names.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&Resend) -> bool) {
        self.queue.retain(wanted);
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resend(sequence: u16) -> Resend {
        Resend {
            stream: 0,
            serial: 0,
            position: 0,
            sequence,
            timestamp_offset: 0,
            pictures: PictureShift::default(),
            ssrc: 1,
            asked_us: 0,
        }
    }

    #[test]
    fn a_packet_is_not_sent_again_within_a_round_trip() {
        let limits = Limits::default();
        let mut resends = Resends::default();
        assert!(resends.admits(1, 7, 1_000, 50, &limits));
        resends.push(resend(7), 1_000);
        assert!(!resends.admits(1, 7, 1_049, 50, &limits));
        assert!(
            resends.admits(2, 7, 1_049, 50, &limits),
            "another stream's packet"
        );
        assert!(resends.admits(1, 7, 1_050, 50, &limits));
    }

    #[test]
    fn a_storm_is_bounded_in_packets_and_in_work() {
        let limits = Limits {
            resends_per_second: 10,
            ..Limits::default()
        };
        let mut resends = Resends::default();
        let mut sent = 0;
        for turn in 0..10_000_u32 {
            if resends.admits(1, turn as u16, 5_000, 20, &limits) {
                resends.push(resend(turn as u16), 5_000);
                sent += 1;
            }
        }
        assert_eq!(sent, 10);
        assert_eq!(resends.looks, 40);
        assert!(
            resends.admits(1, 9, 6_000, 20, &limits),
            "the next second is a new one"
        );
    }
}
