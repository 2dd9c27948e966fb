//! Bits of bytes, most significant first.

/// Reads bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next bit is.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Read at most 32 bits; none where there are fewer left.
    pub(crate) fn read(&mut self, count: usize) -> Option<u32> {
        if self.at + count > self.bytes.len() * 8 {
            return None;
        }
        let mut value = 0;
        let end = self.at + count;
        while self.at < end {
            let bit = self.at % 8;
            let take = (8 - bit).min(end - self.at);
            let byte = u32::from(self.bytes[self.at / 8]);
            value = value << take | byte << bit >> (8 - take) & ((1 << take) - 1);
            // What was shifted out above eight bits is masked.
            self.at += take;
        }
        Some(value)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit != 0)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// Copy bits from here on; the last byte is filled with zeros.
    pub(crate) fn copy(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.at + count > self.bytes.len() * 8 {
            return None;
        }
        if self.at.is_multiple_of(8) && count.is_multiple_of(8) {
            let begin = self.at / 8;
            self.at += count;
            return Some(self.bytes[begin..begin + count / 8].to_vec());
        }
        let whole = count / 8;
        let mut out = Vec::with_capacity(whole + 1);
        for _ in 0..whole {
            out.push(self.read(8)? as u8);
        }
        if !count.is_multiple_of(8) {
            out.push((self.read(count % 8)? as u8) << (8 - count % 8));
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_over_the_edges_of_bytes() {
        let mut bits = Bits::new(&[0b1010_0101, 0xff, 0x00, 0x12]);
        assert_eq!(bits.read(3), Some(0b101));
        assert_eq!(bits.read(10), Some(0b00101_11111));
        assert_eq!(bits.copy(12), Some(vec![0b1110_0000, 0b0000_0000]));
        assert_eq!(bits.position(), 25);
        assert_eq!(bits.read(8), None);
        assert_eq!(bits.read(7), Some(0x12));
    }
}
