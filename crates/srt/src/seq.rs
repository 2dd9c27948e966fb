//! Sequence numbers of packets: 31 bits that wrap.

/// Bits of a sequence number.
const BITS: u32 = 31;
const MASK: u32 = (1 << BITS) - 1;
/// Message numbers have 26 bits; 0 is never used, since it means "unknown" in a drop request.
pub(crate) const MESSAGE_MASK: u32 = (1 << 26) - 1;

/// The sequence number of a data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seq(u32);

impl Seq {
    /// The low 31 bits of `value`.
    pub(crate) const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The number as it stands on the wire.
    pub(crate) const fn value(self) -> u32 {
        self.0
    }

    /// The number `count` packets later, or earlier where negative.
    #[must_use]
    pub(crate) const fn plus(self, count: i32) -> Self {
        Self(self.0.wrapping_add(count as u32) & MASK)
    }

    /// How many packets this one comes after `other`: negative where it comes before.
    pub(crate) const fn since(self, other: Self) -> i32 {
        // Shifted to the top, so that the sign bit is that of 31 bits.
        ((self.0.wrapping_sub(other.0) << 1) as i32) >> 1
    }

    /// Whether this number comes before `other`.
    pub(crate) const fn is_before(self, other: Self) -> bool {
        self.since(other) < 0
    }
}

#[cfg(test)]
mod tests {
    use super::Seq;

    #[test]
    fn distance_and_order_survive_the_wrap() {
        let last = Seq::new(0x7fff_ffff);
        assert_eq!(last.plus(1), Seq::new(0));
        assert_eq!(Seq::new(3).since(last), 4);
        assert_eq!(last.since(Seq::new(3)), -4);
        assert!(last.is_before(Seq::new(0)));
        assert!(!Seq::new(0).is_before(last));
        assert_eq!(Seq::new(2).plus(-4), Seq::new(0x7fff_fffe));
    }
}
