//! Digits as telephone events (RFC 4733 section 2.5.1).

use super::{Digit, EventPayload};
use std::collections::VecDeque;

/// Digits that may wait to be sent; more are refused.
pub const MAX_QUEUED_DIGITS: usize = 64;

/// How often the last report is sent (section 2.5.1.4: three times in all).
const END_REPEATS: u8 = 3;

/// The volume reported, in dBm0 below zero.
const VOLUME: u8 = 10;

/// More digits than [`MAX_QUEUED_DIGITS`] wait to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many digits wait to be sent")]
pub struct QueueFull;

/// A packet to be sent, in place of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// RTP timestamp: that of the event's (or segment's) start.
    pub timestamp: u32,
    /// The marker bit: the first packet of an event.
    pub marker: bool,
    /// What it says.
    pub payload: EventPayload,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    digit: Digit,
    /// The segment's timestamp; section 2.5.1.3: an event longer than a duration can say begins
    /// another segment.
    started: u32,
    /// Ticks from the segment's start, and of the whole event, that were reported.
    in_segment: u32,
    told: u32,
    length: u32,
    is_first: bool,
    end_repeats: u8,
    pause: u32,
}

/// Sends digits one after the other. Inputs: digits, and each tick of `packet_ms` with the
/// timestamp sound would have. Outputs: a packet for the tick, or none, and then sound may be sent.
#[derive(Clone, Debug)]
pub struct EventSender {
    clock_hz: u32,
    packet: u32,
    waiting: VecDeque<(Digit, u32)>,
    pause_ms: u32,
    sending: Option<Sending>,
}

impl EventSender {
    /// Events on an RTP clock of `clock_hz` with a packet each `packet_ms`, and `pause_ms` of
    /// nothing between two digits.
    pub const fn new(clock_hz: u32, packet_ms: u32, pause_ms: u32) -> Self {
        Self {
            clock_hz,
            packet: clock_hz / 1000 * packet_ms,
            waiting: VecDeque::new(),
            pause_ms,
            sending: None,
        }
    }

    /// Queues a digit of `duration_ms`.
    pub fn push(&mut self, digit: Digit, duration_ms: u32) -> Result<(), QueueFull> {
        if self.waiting.len() >= MAX_QUEUED_DIGITS {
            return Err(QueueFull);
        }
        self.waiting.push_back((digit, duration_ms));
        Ok(())
    }

    /// Whether a digit is being sent or waits.
    pub fn is_busy(&self) -> bool {
        self.sending.is_some() || !self.waiting.is_empty()
    }

    /// The packet of this tick; `timestamp` is where sound would stand.
    pub fn tick(&mut self, timestamp: u32) -> Option<OutgoingEvent> {
        if self.sending.is_none() {
            let (digit, duration_ms) = self.waiting.pop_front()?;
            self.sending = Some(Sending {
                digit,
                started: timestamp,
                in_segment: 0,
                told: 0,
                length: (self.clock_hz / 1000 * duration_ms).max(self.packet),
                is_first: true,
                end_repeats: 0,
                pause: self.clock_hz / 1000 * self.pause_ms,
            });
        }
        let sending = self.sending.as_mut()?;
        if sending.end_repeats == END_REPEATS {
            // Repeats take time too, which counts as pause.
            sending.pause = sending.pause.saturating_sub(self.packet);
            if sending.pause == 0 {
                self.sending = None;
            }
            return None;
        }
        if sending.told < sending.length {
            if sending.in_segment + self.packet > u32::from(u16::MAX) {
                sending.started = sending.started.wrapping_add(sending.in_segment);
                sending.in_segment = 0;
            }
            let step = self.packet.min(sending.length - sending.told);
            sending.told += step;
            sending.in_segment += step;
        }
        let end = sending.told >= sending.length;
        if end {
            sending.end_repeats += 1;
        }
        let marker = std::mem::take(&mut sending.is_first);
        Some(OutgoingEvent {
            timestamp: sending.started,
            marker,
            payload: EventPayload {
                event: sending.digit.event(),
                end,
                volume: VOLUME,
                duration: sending.in_segment as u16,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sender: &mut EventSender, packet: u32) -> Vec<OutgoingEvent> {
        let mut out = Vec::new();
        let mut timestamp = 5_000;
        for _ in 0..2_000 {
            if !sender.is_busy() {
                break;
            }
            out.extend(sender.tick(timestamp));
            timestamp += packet;
        }
        out
    }

    #[test]
    fn a_digit_grows_by_packets_and_its_end_is_said_three_times() {
        for clock_hz in [8_000, 16_000, 48_000] {
            let packet = clock_hz / 50;
            let mut sender = EventSender::new(clock_hz, 20, 40);
            sender.push(Digit::from_char('5').unwrap(), 100).unwrap();
            let sent = run(&mut sender, packet);
            let durations: Vec<u32> = sent.iter().map(|out| out.payload.duration.into()).collect();
            let expected: Vec<u32> = [1, 2, 3, 4, 5, 5, 5].map(|n| n * packet).into();
            assert_eq!(durations, expected);
            assert!(
                sent.iter()
                    .all(|out| out.timestamp == 5_000 && out.payload.event == 5)
            );
            let markers: Vec<bool> = sent.iter().map(|out| out.marker).collect();
            assert_eq!(markers, [true, false, false, false, false, false, false]);
            let ends = sent.iter().filter(|out| out.payload.end).count();
            assert_eq!(ends, 3);
        }
    }

    #[test]
    fn digits_follow_each_other_with_a_pause() {
        let mut sender = EventSender::new(8_000, 20, 60);
        for character in "12".chars() {
            sender
                .push(Digit::from_char(character).unwrap(), 60)
                .unwrap();
        }
        let sent = run(&mut sender, 160);
        let starts: Vec<u32> = sent
            .iter()
            .filter(|out| out.marker)
            .map(|out| out.timestamp)
            .collect();
        // Three packets, two more repeats of the end, three packets of pause.
        assert_eq!(starts, [5_000, 5_000 + 8 * 160]);
    }

    #[test]
    fn a_digit_longer_than_a_duration_can_say_begins_segments() {
        let mut sender = EventSender::new(48_000, 20, 0);
        sender.push(Digit::from_char('1').unwrap(), 2_000).unwrap();
        let sent = run(&mut sender, 960);
        let mut starts: Vec<u32> = sent.iter().map(|out| out.timestamp).collect();
        starts.dedup();
        assert_eq!(starts, [5_000, 5_000 + 68 * 960]);
        assert_eq!(sent.iter().filter(|out| out.marker).count(), 1);
        let last = sent.last().unwrap();
        let total = last.timestamp - 5_000 + u32::from(last.payload.duration);
        assert_eq!(total, 96_000);
    }

    #[test]
    fn more_digits_than_the_queue_holds_are_refused() {
        let mut sender = EventSender::new(8_000, 20, 40);
        let digit = Digit::from_char('1').unwrap();
        for _ in 0..MAX_QUEUED_DIGITS {
            assert_eq!(sender.push(digit, 100), Ok(()));
        }
        assert_eq!(sender.push(digit, 100), Err(QueueFull));
    }
}
