//! Numbers of any count of bits, highest bit first, and the non-symmetric code `ns(n)`.

use crate::descriptors::DescriptorError;

pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads `count` bits, at most 32.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, DescriptorError> {
        let end = self.at + count as usize;
        if end > self.bytes.len() * 8 {
            return Err(DescriptorError::Truncated);
        }
        let mut value = 0_u64;
        for &byte in &self.bytes[self.at / 8..end.div_ceil(8)] {
            value = value << 8 | u64::from(byte);
        }
        let behind = end.next_multiple_of(8) - end;
        self.at = end;
        Ok((value >> behind & ((1 << count) - 1)) as u32)
    }

    pub(super) fn flag(&mut self) -> Result<bool, DescriptorError> {
        Ok(self.read(1)? == 1)
    }

    /// Reads a number below `n`.
    pub(super) fn non_symmetric(&mut self, n: u32) -> Result<u32, DescriptorError> {
        let (width, short) = code_shape(n);
        let value = self.read(width - 1)?;
        if value < short {
            Ok(value)
        } else {
            Ok((value << 1) - short + self.read(1)?)
        }
    }
}

pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Writes the lowest `count` bits of `value`.
    pub(super) fn write(&mut self, value: u32, count: u32) -> Result<(), DescriptorError> {
        for bit in (0..count).rev() {
            let byte = self
                .out
                .get_mut(self.at / 8)
                .ok_or(DescriptorError::NoSpace)?;
            if self.at.is_multiple_of(8) {
                *byte = 0;
            }
            *byte |= ((value >> bit & 1) as u8) << (7 - self.at % 8);
            self.at += 1;
        }
        Ok(())
    }

    pub(super) fn flag(&mut self, value: bool) -> Result<(), DescriptorError> {
        self.write(u32::from(value), 1)
    }

    pub(super) fn non_symmetric(&mut self, value: u32, n: u32) -> Result<(), DescriptorError> {
        let (width, short) = code_shape(n);
        if value < short {
            self.write(value, width - 1)
        } else {
            self.write(value + short, width)
        }
    }

    /// Whole bytes written; the rest of the last one is zero.
    pub(super) const fn len(&self) -> usize {
        self.at.div_ceil(8)
    }
}

/// Width of the longer codes for numbers below `n`, and how many numbers have shorter ones.
const fn code_shape(n: u32) -> (u32, u32) {
    let width = u32::BITS - n.leading_zeros();
    (width, (1 << width) - n)
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter};
    use crate::descriptors::DescriptorError;
    use proptest::prelude::*;

    #[test]
    fn reading_stops_at_the_end() {
        let mut reader = BitReader::new(&[0b1010_1010, 0xff]);
        assert_eq!(reader.read(3), Ok(0b101));
        assert_eq!(reader.read(7), Ok(0b010_1011));
        assert_eq!(reader.read(7), Err(DescriptorError::Truncated));
        assert_eq!(reader.read(6), Ok(0x3f));
        assert_eq!(reader.read(0), Ok(0));
        assert_eq!(
            BitWriter::new(&mut []).write(0, 1),
            Err(DescriptorError::NoSpace)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            fields in prop::collection::vec((any::<u32>(), 1_u32..=32), 0..20),
            codes in prop::collection::vec((1_u32..40, any::<u32>()), 0..20),
        ) {
            let mut out = [0xff; 200];
            let mut writer = BitWriter::new(&mut out);
            for &(value, count) in &fields {
                writer.write(value, count).unwrap();
            }
            for &(n, value) in &codes {
                writer.non_symmetric(value % n, n).unwrap();
            }
            let len = writer.len();
            let mut reader = BitReader::new(&out[..len]);
            for (value, count) in fields {
                prop_assert_eq!(reader.read(count).unwrap(), value & (u32::MAX >> (32 - count)));
            }
            for (n, value) in codes {
                prop_assert_eq!(reader.non_symmetric(n).unwrap(), value % n);
            }
        }
    }
}
