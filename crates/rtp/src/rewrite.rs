//! Writing RTP headers and changing packets in place.

use crate::RtpError;
use crate::packet::{
    ExtensionElements, FIXED_HEADER_LEN, ONE_BYTE_PROFILE, RtpPacket, TWO_BYTE_PROFILE,
};
use crate::wire::{be16, put16, put32};

/// The fixed part of an RTP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; the low seven bits are used.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

/// Writes the 12 bytes of a header without CSRCs, extensions or padding; gives 12.
///
/// # Panics
/// Where `out` is shorter than [`FIXED_HEADER_LEN`].
#[inline]
pub fn write_header(out: &mut [u8], header: &RtpHeader) -> usize {
    out[0] = 0x80;
    out[1] = (u8::from(header.marker) << 7) | (header.payload_type & 0x7f);
    put16(out, 2, header.sequence);
    put32(out, 4, header.timestamp);
    put32(out, 8, header.ssrc);
    FIXED_HEADER_LEN
}

/// Sets the marker bit of a packet. Like its siblings it needs the 12 bytes of a header.
#[inline]
pub fn set_marker(packet: &mut [u8], marker: bool) {
    packet[1] = (packet[1] & 0x7f) | (u8::from(marker) << 7);
}

/// Sets the payload type of a packet; the low seven bits are used.
#[inline]
pub fn set_payload_type(packet: &mut [u8], payload_type: u8) {
    packet[1] = (packet[1] & 0x80) | (payload_type & 0x7f);
}

/// Sets the sequence number of a packet.
#[inline]
pub fn set_sequence(packet: &mut [u8], sequence: u16) {
    put16(packet, 2, sequence);
}

/// Sets the timestamp of a packet.
#[inline]
pub fn set_timestamp(packet: &mut [u8], timestamp: u32) {
    put32(packet, 4, timestamp);
}

/// Sets the SSRC of a packet.
#[inline]
pub fn set_ssrc(packet: &mut [u8], ssrc: u32) {
    put32(packet, 8, ssrc);
}

/// Clears the padding bit and gives the length of the packet without its padding.
pub fn strip_padding(packet: &mut [u8]) -> Result<usize, RtpError> {
    let view = RtpPacket::parse(packet)?;
    let len = packet.len() - view.padding_len();
    packet[0] &= !0x20;
    Ok(len)
}

/// Replaces the value of the first extension with this id by one of equal length.
pub fn set_extension(packet: &mut [u8], id: u8, value: &[u8]) -> Result<(), RtpError> {
    let view = RtpPacket::parse(packet)?;
    let mut elements = view.extensions();
    let range = loop {
        match elements.next_range() {
            Some((found, range)) if found == id => break range,
            Some(_) => {}
            None => return Err(RtpError::NoSuchExtension),
        }
    };
    if range.len() != value.len() {
        return Err(RtpError::ExtensionLength);
    }
    packet[range].copy_from_slice(value);
    Ok(())
}

/// How extension elements are written (RFC 8285 section 4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtensionForm {
    /// Ids 1-14, values of 1-16 bytes. What every peer understands.
    OneByte,
    /// Ids 1-255, values of 0-255 bytes. Where a negotiated id is above 14.
    TwoByte,
    /// One-byte elements, turned into two-byte ones when a value needs it; for peers that
    /// negotiated `extmap-allow-mixed`.
    Mixed,
}

/// Appends an extension block to a header already written at the start of a buffer.
///
/// The block costs nothing where nothing is pushed: [`ExtensionWriter::finish`] then leaves the
/// extension bit clear and gives the header's length as it was.
#[derive(Debug)]
pub struct ExtensionWriter<'a> {
    out: &'a mut [u8],
    block: usize,
    at: usize,
    form: ExtensionForm,
}

impl<'a> ExtensionWriter<'a> {
    /// Starts behind the first `header_len` bytes of `out` (the fixed header and any CSRCs).
    #[inline]
    pub fn new(out: &'a mut [u8], header_len: usize, form: ExtensionForm) -> Self {
        Self {
            out,
            block: header_len,
            at: header_len + 4,
            form,
        }
    }

    /// Appends one element. On an error nothing was changed.
    #[inline]
    pub fn push(&mut self, id: u8, value: &[u8]) -> Result<(), RtpError> {
        if id == 0 {
            return Err(RtpError::ExtensionId);
        }
        let fits_one_byte = id < 15 && (1..=16).contains(&value.len());
        if self.form == ExtensionForm::TwoByte || !fits_one_byte {
            return self.push_two_byte(id, value);
        }
        let end = self.at + 1 + value.len();
        if self.out.len() < end {
            return Err(RtpError::NoSpace);
        }
        self.out[self.at] = (id << 4) | (value.len() - 1) as u8;
        self.out[self.at + 1..end].copy_from_slice(value);
        self.at = end;
        Ok(())
    }

    fn push_two_byte(&mut self, id: u8, value: &[u8]) -> Result<(), RtpError> {
        if self.form == ExtensionForm::OneByte {
            let error = if id < 15 {
                RtpError::ExtensionLength
            } else {
                RtpError::ExtensionId
            };
            return Err(error);
        }
        let len = u8::try_from(value.len()).map_err(|_| RtpError::ExtensionLength)?;
        let growth = if self.form == ExtensionForm::Mixed {
            self.element_count()
        } else {
            0
        };
        let end = self.at + growth + 2 + value.len();
        if self.out.len() < end {
            return Err(RtpError::NoSpace);
        }
        if self.form == ExtensionForm::Mixed {
            self.widen(growth);
        }
        self.out[self.at] = id;
        self.out[self.at + 1] = len;
        self.out[self.at + 2..end].copy_from_slice(value);
        self.at = end;
        Ok(())
    }

    fn elements(&self) -> ExtensionElements<'_> {
        ExtensionElements::new(Some(ONE_BYTE_PROFILE), self.out, self.block + 4, self.at)
    }

    fn element_count(&self) -> usize {
        self.elements().count()
    }

    /// Turns the one-byte elements written so far into two-byte ones, last first, so that each
    /// moves to its place without running over one not yet moved.
    fn widen(&mut self, count: usize) {
        for shift in (1..=count).rev() {
            let (id, range) = self.nth_one_byte(shift - 1);
            let len = range.len();
            self.out.copy_within(range.clone(), range.start + shift);
            self.out[range.start + shift - 1] = len as u8;
            self.out[range.start + shift - 2] = id;
        }
        self.at += count;
        self.form = ExtensionForm::TwoByte;
    }

    fn nth_one_byte(&self, index: usize) -> (u8, std::ops::Range<usize>) {
        let mut elements = self.elements();
        for _ in 0..index {
            elements.next_range();
        }
        elements
            .next_range()
            .expect("the index is below the count of elements written")
    }

    /// Pads the block to four bytes, sets the extension bit, and gives the header's length.
    #[inline]
    pub fn finish(self) -> Result<usize, RtpError> {
        let start = self.block + 4;
        if self.at == start {
            self.out[0] &= !0x10;
            return Ok(self.block);
        }
        let end = start + (self.at - start).next_multiple_of(4);
        let words = u16::try_from((end - start) / 4).map_err(|_| RtpError::ExtensionLength)?;
        if self.out.len() < end {
            return Err(RtpError::NoSpace);
        }
        self.out[self.at..end].fill(0);
        let two_byte = self.form == ExtensionForm::TwoByte;
        let profile = if two_byte {
            TWO_BYTE_PROFILE
        } else {
            ONE_BYTE_PROFILE
        };
        put16(self.out, self.block, profile);
        put16(self.out, self.block + 2, words);
        self.out[0] |= 0x10;
        debug_assert_eq!(be16(self.out, self.block), profile);
        Ok(end)
    }
}

#[cfg(test)]
mod tests;
