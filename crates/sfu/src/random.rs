//! Numbers that nobody need be unable to guess.

/// SplitMix64: SSRCs, first numbers and jitter need no secrecy.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An SSRC that `taken` does not refuse; never 0, which some take for "none".
    pub(crate) fn ssrc(&mut self, taken: impl Fn(u32) -> bool) -> u32 {
        loop {
            let ssrc = (self.next() >> 32) as u32;
            if ssrc != 0 && !taken(ssrc) {
                return ssrc;
            }
        }
    }
}
