//! Continuous numbering of a received stream.
//!
//! What leaves here never jumps: padding-only packets are taken out, and a sequence number or
//! timestamp that jumps (a publisher restarted, an SSRC replaced) goes on behind the last one.
//! Consumers of the stream need not know.

use std::collections::VecDeque;

use crate::RtpDrop;

/// A step forward beyond this is a jump (RFC 3550 appendix A.1, `MAX_DROPOUT`).
const MAX_DROPOUT: u16 = 3_000;
/// A timestamp that leaves the arrival clock by more than this many seconds has jumped.
const MAX_CLOCK_STEP_SECONDS: i64 = 5;
/// Pictures are sent out of their order in time by less than this: a newer packet that is earlier by more has jumped.
const MAX_BACK_SECONDS: i64 = 1;
/// Places where padding was taken out that are remembered for late packets.
const MAX_SWALLOWED: usize = 512;

/// How a packet fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The newest one; `missing` numbers right before it have not come.
    Newest {
        /// How many.
        missing: u16,
    },
    /// Late: reordered or retransmitted.
    Late,
}

/// A packet's place on the wire side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The received number without wraps.
    pub(crate) raw: u64,
    pub(crate) order: Order,
    /// Whether the numbering started anew here.
    pub(crate) jumped: bool,
}

/// The numbering of one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbering {
    /// Highest received number without wraps.
    highest: Option<u64>,
    /// Numbers below belong to before a jump and have no place any more.
    floor: u64,
    /// What is subtracted from received numbers.
    gap: u64,
    /// Received numbers that were taken out since the floor, in rising order.
    swallowed: VecDeque<u64>,
    /// The number that would confirm a jump.
    probation: Option<u16>,
    clock: Clock,
}

/// The timestamp side.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    started: bool,
    shift: u32,
    last: u32,
    last_arrival_us: u64,
    /// Timestamps of numbers below belong to the shift before.
    boundary: u64,
    shift_before: u32,
    realign: bool,
}

impl Numbering {
    /// Places a received number; its SSRC is the stream's.
    #[inline]
    pub(crate) fn place(&mut self, sequence: u16) -> Result<Place, RtpDrop> {
        let Some(highest) = self.highest else {
            // The second cycle: late packets from before the first have a place too.
            let raw = 0x1_0000 + u64::from(sequence);
            self.highest = Some(raw);
            return Ok(Place {
                raw,
                order: Order::Newest { missing: 0 },
                jumped: false,
            });
        };
        let ahead = sequence.wrapping_sub(highest as u16);
        if ahead != 0 && ahead <= MAX_DROPOUT {
            let raw = highest + u64::from(ahead);
            self.highest = Some(raw);
            self.probation = None;
            return Ok(Place {
                raw,
                order: Order::Newest { missing: ahead - 1 },
                jumped: false,
            });
        }
        let behind = highest as u16;
        let behind = behind.wrapping_sub(sequence);
        if behind <= MAX_DROPOUT {
            let raw = highest
                .checked_sub(u64::from(behind))
                .ok_or(RtpDrop::TooOld)?;
            if raw < self.floor {
                return Err(RtpDrop::TooOld);
            }
            return Ok(Place {
                raw,
                order: Order::Late,
                jumped: false,
            });
        }
        if self.probation != Some(sequence) {
            self.probation = Some(sequence.wrapping_add(1));
            return Err(RtpDrop::Jump);
        }
        // The packet that announced the jump was dropped: it stays open as one missing number.
        let raw = self.restart_at(sequence, 1);
        Ok(Place {
            raw,
            order: Order::Newest { missing: 1 },
            jumped: true,
        })
    }

    /// The next number is the first of another source (the SSRC changed).
    pub(crate) fn restart(&mut self, sequence: u16) -> Place {
        let raw = if self.highest.is_some() {
            self.restart_at(sequence, 0)
        } else {
            let raw = 0x1_0000 + u64::from(sequence);
            self.highest = Some(raw);
            raw
        };
        Place {
            raw,
            order: Order::Newest { missing: 0 },
            jumped: true,
        }
    }

    fn restart_at(&mut self, sequence: u16, open: u64) -> u64 {
        let highest = self.highest.unwrap_or_default();
        let next = self.closed(highest) + 1 + open;
        let ahead = sequence.wrapping_sub(highest as u16);
        let ahead = if ahead == 0 {
            0x1_0000
        } else {
            u64::from(ahead)
        };
        // A small step forward could fall below the closed-up number: go one cycle further.
        let mut raw = highest + ahead;
        if raw < next {
            raw += 0x1_0000;
        }
        self.highest = Some(raw);
        self.floor = raw - open;
        self.gap = raw - next;
        self.swallowed.clear();
        self.probation = None;
        self.clock.realign = true;
        raw
    }

    /// The number given out for a received one.
    #[inline]
    pub(crate) fn closed(&self, raw: u64) -> u64 {
        if self.swallowed.back().is_none_or(|last| *last < raw) {
            return raw - self.gap;
        }
        let after = self.swallowed.len() - self.swallowed.partition_point(|taken| *taken < raw);
        raw - (self.gap - after as u64)
    }

    /// Takes the newest number out: the ones after it close up.
    pub(crate) fn swallow(&mut self, raw: u64) {
        if self.swallowed.len() == MAX_SWALLOWED {
            // What is older than the forgotten place cannot be numbered any more.
            if let Some(oldest) = self.swallowed.pop_front() {
                self.floor = self.floor.max(oldest + 1);
            }
        }
        self.swallowed.push_back(raw);
        self.gap += 1;
    }

    /// Whether a received number was taken out.
    pub(crate) fn was_swallowed(&self, raw: u64) -> bool {
        self.swallowed.back().is_some_and(|last| *last >= raw)
            && self.swallowed.binary_search(&raw).is_ok()
    }

    /// Whether a received number could still be given out: it is not from before a jump, and was not
    /// taken out.
    pub(crate) fn has_place(&self, raw: u64) -> bool {
        raw >= self.floor && !self.was_swallowed(raw)
    }

    /// The timestamp given out for a received one, and whether the clock jumped.
    #[inline]
    pub(crate) fn timestamp(
        &mut self,
        place: &Place,
        timestamp: u32,
        arrival_us: u64,
        clock_rate: u32,
    ) -> (u32, bool) {
        let clock = &mut self.clock;
        if place.order == Order::Late {
            let before = place.raw < clock.boundary;
            return (
                timestamp.wrapping_add(if before {
                    clock.shift_before
                } else {
                    clock.shift
                }),
                false,
            );
        }
        let mut jumped = false;
        if clock.started {
            let arrived = arrival_us.saturating_sub(clock.last_arrival_us);
            let elapsed = (i128::from(arrived) * i128::from(clock_rate) / 1_000_000) as i64;
            let step = i64::from(timestamp.wrapping_sub(clock.last).cast_signed());
            // Modulo the wrap: a day of silence is not a jump.
            let off = i64::from((step - elapsed) as i32);
            let rate = i64::from(clock_rate);
            let strays = off.abs() > MAX_CLOCK_STEP_SECONDS * rate;
            // After half a turn of the clock in silence a step looks backward that is none.
            let is_back = step.max(off) < -MAX_BACK_SECONDS * rate;
            if clock.realign || strays || is_back {
                let next = clock
                    .last
                    .wrapping_add(clock.shift)
                    .wrapping_add((elapsed as u32).max(1));
                clock.shift_before = clock.shift;
                clock.boundary = place.raw;
                clock.shift = next.wrapping_sub(timestamp);
                jumped = true;
            }
        }
        clock.started = true;
        clock.realign = false;
        clock.last = timestamp;
        clock.last_arrival_us = arrival_us;
        (timestamp.wrapping_add(clock.shift), jumped)
    }

    /// What is added to received timestamps now.
    pub(crate) fn timestamp_shift(&self) -> u32 {
        self.clock.shift
    }

    /// Whether the next packet's timestamp starts anew: mappings made before are void.
    pub(crate) fn is_realigning(&self) -> bool {
        self.clock.realign
    }

    /// The highest received number without wraps.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(numbering: &mut Numbering, sequence: u16) -> u64 {
        let place = numbering.place(sequence).unwrap();
        numbering.closed(place.raw)
    }

    #[test]
    fn numbers_pass_unchanged_across_the_wrap() {
        let mut numbering = Numbering::default();
        let first = closed(&mut numbering, 65_534);
        assert_eq!(first as u16, 65_534);
        assert_eq!(
            [65_535, 0, 1].map(|seq| closed(&mut numbering, seq)),
            [first + 1, first + 2, first + 3]
        );
        assert_eq!(numbering.place(65_535).unwrap().order, Order::Late);
        assert_eq!(closed(&mut numbering, 65_535), first + 1);
    }

    #[test]
    fn swallowed_padding_closes_up_also_for_late_packets() {
        let mut numbering = Numbering::default();
        let first = closed(&mut numbering, 100);
        for seq in [102, 103] {
            let place = numbering.place(seq).unwrap();
            numbering.swallow(place.raw);
        }
        // 101 is missing, 102 and 103 are gone.
        assert_eq!(closed(&mut numbering, 104), first + 2);
        assert_eq!(closed(&mut numbering, 105), first + 3);
        assert_eq!(
            closed(&mut numbering, 101),
            first + 1,
            "the late one fits its hole"
        );
        let late = numbering.place(102).unwrap();
        assert!(numbering.was_swallowed(late.raw));
    }

    #[test]
    fn a_far_jump_needs_a_second_packet_and_leaves_one_number_open() {
        let mut numbering = Numbering::default();
        let first = closed(&mut numbering, 100);
        assert_eq!(numbering.place(20_000), Err(RtpDrop::Jump));
        let place = numbering.place(20_001).unwrap();
        assert_eq!(
            (place.order, place.jumped),
            (Order::Newest { missing: 1 }, true)
        );
        assert_eq!(numbering.closed(place.raw), first + 2);
        assert_eq!(
            closed(&mut numbering, 20_000),
            first + 1,
            "the announcing packet, retransmitted"
        );
        assert_eq!(closed(&mut numbering, 20_002), first + 3);
        assert_eq!(numbering.place(19_999), Err(RtpDrop::TooOld));
    }

    #[test]
    fn one_stray_number_changes_nothing() {
        let mut numbering = Numbering::default();
        let first = closed(&mut numbering, 100);
        assert_eq!(numbering.place(40_000), Err(RtpDrop::Jump));
        assert_eq!(closed(&mut numbering, 101), first + 1);
        assert_eq!(numbering.place(40_001), Err(RtpDrop::Jump));
    }

    #[test]
    fn another_source_goes_on_behind_the_last() {
        let mut numbering = Numbering::default();
        let mut last = closed(&mut numbering, 100);
        for sequence in [100, 99, 101, 5_000, 0, 65_535] {
            let place = numbering.restart(sequence);
            assert_eq!(numbering.closed(place.raw), last + 1, "{sequence}");
            assert_eq!(place.raw as u16, sequence);
            last += 1;
        }
        assert_eq!(closed(&mut numbering, 0), last + 1);
    }

    #[test]
    fn restarting_after_much_padding_never_underflows() {
        let mut numbering = Numbering::default();
        closed(&mut numbering, 0);
        for seq in 1..2_000 {
            let place = numbering.place(seq).unwrap();
            numbering.swallow(place.raw);
        }
        let last = closed(&mut numbering, 2_000);
        let place = numbering.restart(2_001);
        assert_eq!(numbering.closed(place.raw), last + 1);
        assert_eq!(
            numbering.place(5).map(|place| place.order),
            Err(RtpDrop::TooOld)
        );
    }

    #[test]
    fn a_clock_jump_continues_by_arrival_time() {
        let mut numbering = Numbering::default();
        let rate = 90_000;
        let mut at = |sequence, timestamp, arrival_ms: u64| {
            let place = numbering.place(sequence).unwrap();
            numbering.timestamp(&place, timestamp, arrival_ms * 1_000, rate)
        };
        assert_eq!(at(1, u32::MAX - 1_499, 0), (u32::MAX - 1_499, false));
        assert_eq!(at(2, 1_500, 33), (1_500, false), "a wrap is no jump");
        assert_eq!(at(3, 900_001_500, 66), (1_500 + 2_970, true));
        assert_eq!(at(4, 900_004_500, 100), (1_500 + 2_970 + 3_000, false));
        assert_eq!(at(6, 900_010_500, 166), (1_500 + 2_970 + 9_000, false));
        assert_eq!(
            at(2, 1_500, 170),
            (1_500, false),
            "a late packet from before keeps its time"
        );
        assert_eq!(at(5, 900_007_500, 171), (1_500 + 2_970 + 6_000, false));
    }

    #[test]
    fn silence_is_no_jump_however_long() {
        let mut numbering = Numbering::default();
        let place = numbering.place(1).unwrap();
        assert_eq!(numbering.timestamp(&place, 0, 0, 48_000), (0, false));
        let day_us = 86_400_000_000_u64;
        let ticks = (day_us / 1_000_000 * 48_000) as u32;
        let place = numbering.place(2).unwrap();
        assert_eq!(
            numbering.timestamp(&place, ticks, day_us, 48_000),
            (ticks, false)
        );
    }
}
