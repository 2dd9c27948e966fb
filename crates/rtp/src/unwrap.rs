//! Sequence numbers, timestamps and roll-over counters as numbers that do not wrap.

/// Whether sequence number `a` comes after `b`. Exactly half the space apart counts as neither,
/// so that the relation stays antisymmetric.
#[inline]
pub fn seq_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Whether timestamp `a` comes after `b`; see [`seq_newer`].
#[inline]
pub fn ts_newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// Extends 16-bit sequence numbers to 64 bits by their distance to the last one.
///
/// The low 16 bits of a result are the sequence number itself. Numbering starts in the second
/// cycle (`65_536 + first`), so that packets older than the first one have a place too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SequenceUnwrapper {
    last: Option<u64>,
}

impl SequenceUnwrapper {
    /// An unwrapper that has seen nothing.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The extended number of `sequence`; moves the reference.
    #[inline]
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let extended = self.peek(sequence);
        self.last = Some(extended);
        extended
    }

    /// The extended number of `sequence`, leaving the reference where it is.
    #[inline]
    pub fn peek(&self, sequence: u16) -> u64 {
        let Some(last) = self.last else {
            return 0x1_0000 + u64::from(sequence);
        };
        let step = i64::from(sequence.wrapping_sub(last as u16).cast_signed());
        // A peer can walk the reference down to zero by always sending half a cycle back.
        last.checked_add_signed(step).unwrap_or(u64::from(sequence))
    }

    /// The last extended number, if any.
    pub fn last(&self) -> Option<u64> {
        self.last
    }
}

/// Extends 32-bit timestamps to 64 bits by their distance to the last one.
///
/// Numbering starts in the second cycle, as with [`SequenceUnwrapper`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimestampUnwrapper {
    last: Option<u64>,
}

impl TimestampUnwrapper {
    /// An unwrapper that has seen nothing.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The extended value of `timestamp`; moves the reference.
    #[inline]
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let extended = self.peek(timestamp);
        self.last = Some(extended);
        extended
    }

    /// The extended value of `timestamp`, leaving the reference where it is.
    #[inline]
    pub fn peek(&self, timestamp: u32) -> u64 {
        let Some(last) = self.last else {
            return 0x1_0000_0000 + u64::from(timestamp);
        };
        let step = i64::from(timestamp.wrapping_sub(last as u32).cast_signed());
        last.checked_add_signed(step)
            .unwrap_or(u64::from(timestamp))
    }

    /// The last extended value, if any.
    pub fn last(&self) -> Option<u64> {
        self.last
    }
}

/// The roll-over counter of RFC 3711 section 3.3.1: guesses the 48-bit index of a packet from the
/// highest sequence number accepted so far. Guess and commit are apart because an index counts
/// only once the packet was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloverCounter {
    roc: u32,
    highest: u16,
}

impl RolloverCounter {
    /// A counter that has accepted `first` in cycle `roc`.
    pub const fn new(first: u16, roc: u32) -> Self {
        Self {
            roc,
            highest: first,
        }
    }

    /// The likely index (`roc << 16 | sequence`) of a packet; `None` where it would lie before
    /// the first cycle or after the last.
    #[inline]
    pub fn guess(&self, sequence: u16) -> Option<u64> {
        let index = self.index();
        let step = i64::from(sequence.wrapping_sub(self.highest).cast_signed());
        index
            .checked_add_signed(step)
            .filter(|guess| guess >> 48 == 0)
    }

    /// Accepts a packet's index; the counter only moves forward.
    #[inline]
    pub fn commit(&mut self, index: u64) {
        if index > self.index() {
            self.roc = (index >> 16) as u32;
            self.highest = index as u16;
        }
    }

    /// The highest index accepted.
    #[inline]
    pub fn index(&self) -> u64 {
        (u64::from(self.roc) << 16) | u64::from(self.highest)
    }

    /// How often the sequence number has wrapped.
    pub fn roc(&self) -> u32 {
        self.roc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn newer_is_antisymmetric_and_wraps() {
        assert!(seq_newer(0, 65_535) && !seq_newer(65_535, 0));
        assert!(seq_newer(5, 4) && !seq_newer(4, 5) && !seq_newer(4, 4));
        assert!(!seq_newer(0x8000, 0) && !seq_newer(0, 0x8000));
        assert!(ts_newer(0, u32::MAX) && !ts_newer(u32::MAX, 0) && !ts_newer(7, 7));
        assert!(!ts_newer(0x8000_0000, 0) && !ts_newer(0, 0x8000_0000));
    }

    #[test]
    fn a_packet_from_before_the_first_lies_below_it() {
        let mut unwrapper = SequenceUnwrapper::new();
        let first = unwrapper.unwrap(2);
        assert_eq!(unwrapper.unwrap(65_535), first - 3);
        assert_eq!(unwrapper.unwrap(0), first - 2);
    }

    #[test]
    fn walking_backwards_for_ever_does_not_underflow() {
        let mut sequences = SequenceUnwrapper::new();
        let mut timestamps = TimestampUnwrapper::new();
        for turn in 0..20_u32 {
            sequences.unwrap((turn as u16).wrapping_mul(0x8000));
            timestamps.unwrap(turn.wrapping_mul(0x8000_0000));
        }
        for turn in (0..20_u32).rev() {
            let sequence = (turn as u16).wrapping_mul(0x8001);
            assert_eq!(sequences.unwrap(sequence) as u16, sequence);
        }
    }

    #[test]
    fn the_rollover_counter_guesses_as_rfc_3711_appendix_a() {
        let mut counter = RolloverCounter::new(0xfff0, 7);
        assert_eq!(counter.guess(0x0002), Some(0x8_0002));
        assert_eq!(counter.guess(0xffef), Some(0x7_ffef));
        assert_eq!(counter.index(), 0x7_fff0, "a guess changes nothing");
        counter.commit(0x8_0002);
        assert_eq!((counter.roc(), counter.index()), (8, 0x8_0002));
        counter.commit(0x7_fff5);
        assert_eq!(
            counter.index(),
            0x8_0002,
            "a late packet moves nothing back"
        );
        assert_eq!(counter.guess(0xffff), Some(0x7_ffff));
    }

    #[test]
    fn the_rollover_counter_has_a_first_and_a_last_cycle() {
        assert_eq!(RolloverCounter::new(2, 0).guess(0xffff), None);
        assert_eq!(RolloverCounter::new(0xffff, u32::MAX).guess(0), None);
    }

    proptest! {
        #[test]
        fn steps_under_half_a_cycle_are_followed_exactly(
            start in any::<u16>(), steps in prop::collection::vec(-30_000_i64..=32_767, 0..200),
        ) {
            let mut unwrapper = SequenceUnwrapper::new();
            let mut truth = unwrapper.unwrap(start);
            for step in steps {
                let Some(next) = truth.checked_add_signed(step) else { break };
                truth = next;
                prop_assert_eq!(unwrapper.peek(truth as u16), truth);
                prop_assert_eq!(unwrapper.unwrap(truth as u16), truth);
            }
        }

        #[test]
        fn timestamps_are_followed_across_wraps(
            start in any::<u32>(), steps in prop::collection::vec(0_u64..0x7fff_ffff, 0..50),
        ) {
            let mut unwrapper = TimestampUnwrapper::new();
            let mut truth = unwrapper.unwrap(start);
            for step in steps {
                truth += step;
                prop_assert_eq!(unwrapper.unwrap(truth as u32), truth);
            }
        }
    }
}
