//! A received RTP packet as a view over its bytes (RFC 3550 section 5.1, RFC 8285).

use crate::RtpError;
use crate::wire::{be16, be32};

/// Bytes of the header before CSRCs and extensions.
pub const FIXED_HEADER_LEN: usize = 12;
/// The profile field of one-byte extension elements (RFC 8285 section 4.2).
pub(crate) const ONE_BYTE_PROFILE: u16 = 0xbede;
/// The profile field of two-byte extension elements (RFC 8285 section 4.3), the low four bits
/// being the application's.
pub(crate) const TWO_BYTE_PROFILE: u16 = 0x1000;

/// Where things lie in the header.
#[derive(Debug, Clone, Copy)]
struct Layout {
    extensions_at: usize,
    header_len: usize,
    profile: Option<u16>,
}

#[inline]
fn layout(data: &[u8]) -> Result<Layout, RtpError> {
    if data.len() < FIXED_HEADER_LEN {
        return Err(RtpError::Truncated);
    }
    let first = data[0];
    if first >> 6 != 2 {
        return Err(RtpError::Version);
    }
    let csrcs_end = FIXED_HEADER_LEN + 4 * usize::from(first & 0x0f);
    if first & 0x10 == 0 {
        if data.len() < csrcs_end {
            return Err(RtpError::Truncated);
        }
        return Ok(Layout {
            extensions_at: csrcs_end,
            header_len: csrcs_end,
            profile: None,
        });
    }
    let extensions_at = csrcs_end + 4;
    if data.len() < extensions_at {
        return Err(RtpError::Truncated);
    }
    let header_len = extensions_at + 4 * usize::from(be16(data, csrcs_end + 2));
    if data.len() < header_len {
        return Err(RtpError::Truncated);
    }
    Ok(Layout {
        extensions_at,
        header_len,
        profile: Some(be16(data, csrcs_end)),
    })
}

/// The length of the whole RTP header: fixed part, CSRCs and extensions. Works on protected
/// packets too, whose payload and padding cannot be read yet.
#[inline]
pub fn header_len(packet: &[u8]) -> Result<usize, RtpError> {
    layout(packet).map(|layout| layout.header_len)
}

/// A zero-copy view of one RTP packet. [`RtpPacket::parse`] checks every length once; the
/// accessors then cannot fail.
#[derive(Debug, Clone, Copy)]
pub struct RtpPacket<'a> {
    data: &'a [u8],
    layout: Layout,
    payload_end: usize,
}

impl<'a> RtpPacket<'a> {
    /// Parses a plain (not protected) packet.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, RtpError> {
        let layout = layout(data)?;
        let mut payload_end = data.len();
        if data[0] & 0x20 != 0 {
            let padding = usize::from(data[data.len() - 1]);
            if padding == 0 || padding > data.len() - layout.header_len {
                return Err(RtpError::Padding);
            }
            payload_end -= padding;
        }
        Ok(Self {
            data,
            layout,
            payload_end,
        })
    }

    /// The whole packet, padding included.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.data
    }

    /// The marker bit.
    #[inline]
    pub fn marker(&self) -> bool {
        self.data[1] & 0x80 != 0
    }

    /// The payload type, 0-127.
    #[inline]
    pub fn payload_type(&self) -> u8 {
        self.data[1] & 0x7f
    }

    /// The sequence number.
    #[inline]
    pub fn sequence(&self) -> u16 {
        be16(self.data, 2)
    }

    /// The RTP timestamp.
    #[inline]
    pub fn timestamp(&self) -> u32 {
        be32(self.data, 4)
    }

    /// The synchronisation source.
    #[inline]
    pub fn ssrc(&self) -> u32 {
        be32(self.data, 8)
    }

    /// The contributing sources, at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        let end = FIXED_HEADER_LEN + 4 * usize::from(self.data[0] & 0x0f);
        self.data[FIXED_HEADER_LEN..end]
            .chunks_exact(4)
            .map(|csrc| be32(csrc, 0))
    }

    /// Bytes of padding at the end, its count byte included; 0 where there is none.
    #[inline]
    pub fn padding_len(&self) -> usize {
        self.data.len() - self.payload_end
    }

    /// Bytes before the payload.
    #[inline]
    pub fn header_len(&self) -> usize {
        self.layout.header_len
    }

    /// The payload without padding.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.data[self.layout.header_len..self.payload_end]
    }

    /// The header fields that a forwarder rewrites.
    pub fn header(&self) -> crate::RtpHeader {
        crate::RtpHeader {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence: self.sequence(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }

    /// The "defined by profile" field, where the packet has an extension block.
    #[inline]
    pub fn extension_profile(&self) -> Option<u16> {
        self.layout.profile
    }

    /// The extension block without its four-byte header; empty where there is none.
    #[inline]
    pub fn extension_block(&self) -> &'a [u8] {
        &self.data[self.layout.extensions_at..self.layout.header_len]
    }

    /// The extension elements (id, value) in the order of the packet. An element that runs past
    /// the block ends the iteration, as does the reserved id 15 of the one-byte form.
    #[inline]
    pub fn extensions(&self) -> ExtensionElements<'a> {
        ExtensionElements::new(
            self.layout.profile,
            self.data,
            self.layout.extensions_at,
            self.layout.header_len,
        )
    }

    /// The value of the first element with this id.
    #[inline]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions()
            .find(|(found, _)| *found == id)
            .map(|(_, value)| value)
    }
}

/// Iterates over the elements of an extension block (RFC 8285 sections 4.2 and 4.3).
#[derive(Debug, Clone)]
pub struct ExtensionElements<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
    one_byte: bool,
}

impl<'a> ExtensionElements<'a> {
    #[inline]
    pub(crate) fn new(profile: Option<u16>, data: &'a [u8], at: usize, end: usize) -> Self {
        let one_byte = profile == Some(ONE_BYTE_PROFILE);
        // The low four bits of the two-byte profile are "appbits" and mean nothing here.
        let two_byte = profile.is_some_and(|profile| profile & 0xfff0 == TWO_BYTE_PROFILE);
        Self {
            data,
            at,
            end: if one_byte || two_byte { end } else { at },
            one_byte,
        }
    }

    /// Where in the packet the element that `next` gives lies.
    #[inline]
    pub(crate) fn next_range(&mut self) -> Option<(u8, std::ops::Range<usize>)> {
        while self.at < self.end && self.data[self.at] == 0 {
            self.at += 1;
        }
        if self.at >= self.end {
            return None;
        }
        let first = self.data[self.at];
        let (id, start, len) = if self.one_byte {
            (first >> 4, self.at + 1, usize::from(first & 0x0f) + 1)
        } else {
            if self.at + 2 > self.end {
                return self.stop();
            }
            (first, self.at + 2, usize::from(self.data[self.at + 1]))
        };
        // One-byte form: id 15 stops processing; id 0 with a length is malformed and stops it too.
        let reserved = self.one_byte && (id == 15 || id == 0);
        if reserved || start + len > self.end {
            return self.stop();
        }
        self.at = start + len;
        Some((id, start..start + len))
    }

    fn stop<T>(&mut self) -> Option<T> {
        self.at = self.end;
        None
    }
}

impl<'a> Iterator for ExtensionElements<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (id, range) = self.next_range()?;
        Some((id, &self.data[range]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn the_fixed_header_is_read_field_by_field() {
        let data = hex!("80 e0 1234 89abcdef 01020304 aabb");
        let packet = RtpPacket::parse(&data).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 96);
        assert_eq!(packet.sequence(), 0x1234);
        assert_eq!(packet.timestamp(), 0x89ab_cdef);
        assert_eq!(packet.ssrc(), 0x0102_0304);
        assert_eq!(
            (
                packet.csrcs().len(),
                packet.padding_len(),
                packet.header_len()
            ),
            (0, 0, 12)
        );
        assert_eq!(packet.extension_profile(), None);
        assert_eq!(packet.extensions().count(), 0);
        assert_eq!(packet.payload(), hex!("aabb"));
    }

    #[test]
    fn csrcs_extensions_and_padding_are_kept_apart() {
        let data = hex!(
            "b2 60 0001 00000002 00000003 0000000a 0000000b"
            "bede 0002 10 aa 21 bbcc 00 30 dd"
            "eeff 00 00 03"
        );
        let packet = RtpPacket::parse(&data).unwrap();
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [10, 11]);
        assert_eq!(packet.header_len(), 32);
        assert_eq!(header_len(&data), Ok(32));
        assert_eq!(packet.payload(), hex!("eeff"));
        assert_eq!(packet.padding_len(), 3);
        let expected: [(u8, &[u8]); 3] = [(1, &[0xaa]), (2, &[0xbb, 0xcc]), (3, &[0xdd])];
        assert_eq!(packet.extensions().collect::<Vec<_>>(), expected);
        assert_eq!(packet.extension(2), Some(&[0xbb, 0xcc][..]));
        assert_eq!(packet.extension(4), None);
    }

    #[test]
    fn two_byte_elements_may_be_empty_and_have_high_ids() {
        let data = hex!("90 60 0001 00000002 00000003 1007 0002 c8 00 0f 02 aabb 00 00");
        let packet = RtpPacket::parse(&data).unwrap();
        let expected: [(u8, &[u8]); 2] = [(200, &[]), (15, &[0xaa, 0xbb])];
        assert_eq!(packet.extensions().collect::<Vec<_>>(), expected);
        assert!(packet.payload().is_empty());
    }

    #[test]
    fn an_unknown_profile_has_a_block_but_no_elements() {
        let data = hex!("90 60 0001 00000002 00000003 abcd 0001 10 aa 00 00 ff");
        let packet = RtpPacket::parse(&data).unwrap();
        assert_eq!(packet.extension_profile(), Some(0xabcd));
        assert_eq!(packet.extension_block(), hex!("10 aa 00 00"));
        assert_eq!(packet.extensions().count(), 0);
        assert_eq!(packet.payload(), [0xff]);
    }

    #[test]
    fn one_byte_processing_stops_at_id_15_and_at_a_false_padding_byte() {
        for stop in [0xf0_u8, 0x03] {
            let mut data = hex!("90 60 0001 00000002 00000003 bede 0002 10 aa 00 20 bb 00 00 00");
            data[18] = stop;
            let packet = RtpPacket::parse(&data).unwrap();
            assert_eq!(
                packet.extensions().collect::<Vec<_>>(),
                [(1, &[0xaa][..])],
                "{stop:#x}"
            );
        }
    }

    #[test]
    fn an_element_past_the_block_is_not_given_out() {
        let one =
            hex!("90 60 0001 00000002 00000003 bede 0001 10 aa 2f bb ffffffffffffffffffffffff");
        assert_eq!(RtpPacket::parse(&one).unwrap().extensions().count(), 1);
        let two = hex!("90 60 0001 00000002 00000003 1000 0001 01 01 aa 02 ffffffffffffffff");
        assert_eq!(RtpPacket::parse(&two).unwrap().extensions().count(), 1);
        let long = hex!("90 60 0001 00000002 00000003 1000 0001 01 03 aa bb ffffffffffffffff");
        assert_eq!(RtpPacket::parse(&long).unwrap().extensions().count(), 0);
    }

    #[test]
    fn every_truncation_of_a_header_is_an_error() {
        let data = hex!("91 60 0001 00000002 00000003 0000000a bede 0001 10 aa 00 00");
        for len in 0..data.len() {
            assert_eq!(
                RtpPacket::parse(&data[..len]).unwrap_err(),
                RtpError::Truncated,
                "{len}"
            );
            assert_eq!(header_len(&data[..len]), Err(RtpError::Truncated), "{len}");
        }
        assert!(RtpPacket::parse(&data).is_ok());
    }

    #[test]
    fn other_versions_are_refused() {
        for version in [0x00, 0x40, 0xc0] {
            let mut data = [0_u8; 12];
            data[0] = version;
            assert_eq!(RtpPacket::parse(&data).unwrap_err(), RtpError::Version);
        }
    }

    #[test]
    fn padding_must_fit_behind_the_header() {
        let mut data = hex!("a0 60 0001 00000002 00000003 aa bb 02");
        for (count, result) in [
            (0, None),
            (1, Some(2)),
            (3, Some(0)),
            (4, None),
            (255, None),
        ] {
            data[14] = count;
            let parsed = RtpPacket::parse(&data).map(|packet| packet.payload().len());
            assert_eq!(parsed, result.ok_or(RtpError::Padding), "{count}");
        }
        assert_eq!(
            RtpPacket::parse(&hex!("a0 60 0001 00000002 00000001")).unwrap_err(),
            RtpError::Padding
        );
    }
}
