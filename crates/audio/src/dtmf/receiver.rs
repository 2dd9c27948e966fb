//! Telephone events as digits (RFC 4733 section 2.5.2).

use super::{Digit, EventPayload};
use std::time::Duration;

/// Time without a packet after which a digit counts as ended, should all its last packets be lost
/// (section 2.5.2.2 has three packet times; this leaves space for jitter).
const GIVEN_UP_AFTER: Duration = Duration::from_millis(200);

/// A change of what is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedEvent {
    /// A digit has begun; it counts from here on.
    Started(Digit),
    /// It has ended.
    Ended {
        /// Which one.
        digit: Digit,
        /// How long it lasted, in milliseconds.
        duration_ms: u32,
    },
}

/// What was not made into digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Payloads too short to be an event.
    pub malformed: u64,
    /// Events that are no digits.
    pub other_events: u64,
    /// Digits whose end never came.
    pub given_up: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    digit: Digit,
    /// Timestamp of the latest segment, and the length of all before it.
    started: u32,
    before: u64,
    duration: u16,
    heard_at: Duration,
}

/// Makes digits of events: each once, whatever is repeated, reordered or lost. Inputs: payloads
/// with their RTP timestamps, and time (since any start). Outputs: starts and ends.
#[derive(Clone, Debug)]
pub struct EventReceiver {
    clock_hz: u32,
    pressed: Option<Pressed>,
    /// Timestamp of the newest event that ended: what is not newer is a repeat.
    ended: Option<u32>,
    counters: ReceiverCounters,
}

impl EventReceiver {
    /// Events on an RTP clock of `clock_hz`.
    pub fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            pressed: None,
            ended: None,
            counters: ReceiverCounters::default(),
        }
    }

    /// What was not made into digits.
    pub const fn counters(&self) -> ReceiverCounters {
        self.counters
    }

    /// A packet with an event came.
    pub fn handle(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        now: Duration,
        out: &mut Vec<ReceivedEvent>,
    ) {
        let Some(payload) = EventPayload::parse(payload) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(digit) = Digit::from_event(payload.event) else {
            self.counters.other_events += 1;
            return;
        };
        let is_old = |known: u32| timestamp.wrapping_sub(known).cast_signed() <= 0;
        if self.ended.is_some_and(is_old) {
            return;
        }
        match &mut self.pressed {
            Some(pressed) if pressed.started == timestamp => {
                pressed.duration = pressed.duration.max(payload.duration);
                pressed.heard_at = now;
            }
            Some(pressed) if is_old(pressed.started) => return,
            // The next segment of a long event: it begins where the last one's duration ended.
            Some(pressed)
                if pressed.digit == digit
                    && timestamp.wrapping_sub(pressed.started) == u32::from(pressed.duration)
                    && pressed.duration > u16::MAX / 2 =>
            {
                pressed.before += u64::from(pressed.duration);
                pressed.started = timestamp;
                pressed.duration = payload.duration;
                pressed.heard_at = now;
            }
            _ => {
                // The end of the one before was lost.
                self.end(out);
                self.pressed = Some(Pressed {
                    digit,
                    started: timestamp,
                    before: 0,
                    duration: payload.duration,
                    heard_at: now,
                });
                out.push(ReceivedEvent::Started(digit));
            }
        }
        if payload.end {
            self.end(out);
        }
    }

    /// Time has passed: gives up a digit of which nothing is heard any more.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut Vec<ReceivedEvent>) {
        if self.next_timeout().is_some_and(|at| now >= at) {
            self.counters.given_up += 1;
            self.end(out);
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.pressed
            .map(|pressed| pressed.heard_at + GIVEN_UP_AFTER)
    }

    fn end(&mut self, out: &mut Vec<ReceivedEvent>) {
        let Some(pressed) = self.pressed.take() else {
            return;
        };
        self.ended = Some(pressed.started);
        let ticks = pressed.before + u64::from(pressed.duration);
        out.push(ReceivedEvent::Ended {
            digit: pressed.digit,
            duration_ms: (ticks * 1000 / u64::from(self.clock_hz)) as u32,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventSender;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What is received of digits sent on `clock_hz` when `is_lost` says which packets are.
    fn dial(clock_hz: u32, length_ms: u32, is_lost: impl Fn(usize) -> bool) -> Vec<ReceivedEvent> {
        let mut sender = EventSender::new(clock_hz, 20, 60);
        for character in "1159#".chars() {
            let digit = Digit::from_char(character).unwrap();
            sender.push(digit, length_ms).unwrap();
        }
        let mut receiver = EventReceiver::new(clock_hz);
        let (mut out, mut packets) = (Vec::new(), 0);
        for tick in 0..2_000_u32 {
            let now = 20 * tick * MS;
            // Timestamps wrap on the way.
            let timestamp = 0xffff_f000_u32.wrapping_add(tick * (clock_hz / 50));
            if let Some(sent) = sender.tick(timestamp) {
                if !is_lost(packets) {
                    let payload = sent.payload.to_bytes();
                    receiver.handle(&payload, sent.timestamp, now, &mut out);
                }
                packets += 1;
            }
            receiver.handle_timeout(now, &mut out);
        }
        out
    }

    fn presses(out: &[ReceivedEvent]) -> String {
        out.iter()
            .filter_map(|event| match event {
                ReceivedEvent::Started(digit) => Some(digit.to_char()),
                ReceivedEvent::Ended { .. } => None,
            })
            .collect()
    }

    #[test]
    fn each_digit_is_given_once_with_its_length_on_every_clock() {
        for clock_hz in [8_000, 16_000, 24_000, 48_000] {
            for length_ms in [40, 100, 3_000] {
                let out = dial(clock_hz, length_ms, |_| false);
                assert_eq!(presses(&out), "1159#");
                assert_eq!(out.len(), 10);
                for pair in out.chunks(2) {
                    let ReceivedEvent::Started(started) = pair[0] else {
                        panic!("{pair:?}");
                    };
                    let duration_ms = length_ms;
                    let digit = started;
                    assert_eq!(pair[1], ReceivedEvent::Ended { digit, duration_ms });
                }
            }
        }
    }

    #[test]
    fn two_of_three_packets_may_be_lost() {
        for kept in 0..3 {
            let out = dial(8_000, 100, |packet| packet % 3 != kept);
            assert_eq!(presses(&out), "1159#");
        }
    }

    #[test]
    fn a_digit_whose_end_is_lost_ends_by_the_next_or_by_time() {
        // Seven packets a digit, the last three of which tell the end.
        let out = dial(8_000, 100, |packet| packet % 7 >= 4);
        assert_eq!(presses(&out), "1159#");
        let ends = out
            .iter()
            .filter(|event| matches!(event, ReceivedEvent::Ended { .. }));
        assert_eq!(ends.count(), 5);
    }

    #[test]
    fn what_is_no_digit_is_counted() {
        let mut receiver = EventReceiver::new(8_000);
        let mut out = Vec::new();
        receiver.handle(&[1, 2], 0, MS, &mut out);
        // 36 is a modem's tone (RFC 4734).
        receiver.handle(&[36, 0, 0, 160], 0, MS, &mut out);
        assert_eq!(out, []);
        let counters = receiver.counters();
        assert_eq!((counters.malformed, counters.other_events), (1, 1));
    }

    #[test]
    fn packets_of_an_ended_digit_that_come_late_are_repeats() {
        let mut receiver = EventReceiver::new(8_000);
        let mut out = Vec::new();
        receiver.handle(&[1, 0x8a, 1, 0], 1_000, MS, &mut out);
        receiver.handle(&[1, 0x0a, 0, 160], 1_000, MS, &mut out);
        receiver.handle(&[2, 0x0a, 0, 160], 900, MS, &mut out);
        assert_eq!(presses(&out), "1");
    }
}
