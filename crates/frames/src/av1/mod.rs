//! The units of AV1 (OBUs), and the sequence header among them (AV1 specification, section 5).

mod sequence;

use bytes::{BufMut, Bytes, BytesMut};

use crate::Av1Format;

/// Numbers of more bytes than this are refused (section 4.10.5).
const MAX_LEB128_BYTES: usize = 8;

/// What an OBU is to a packager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObuKind {
    /// What a decoder must be told first.
    SequenceHeader,
    /// Begins a temporal unit; a container has none.
    TemporalDelimiter,
    /// A frame, or its header, or a part of it.
    Frame,
    /// Lists of tiles and padding, which a container has not.
    Dispensable,
    /// Metadata, and what is reserved; kept.
    Other,
}

/// One OBU of a temporal unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// The first byte of its header.
    pub header: u8,
    /// The second byte, where there is one: temporal and spatial layer.
    pub extension: Option<u8>,
    /// What is behind header and size.
    pub payload: &'a [u8],
}

impl<'a> Obu<'a> {
    /// Read one that is `bytes` from the first to the last, with its size in it or without: RTP leaves it out.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (obu, rest) = Self::split_first(bytes)?;
        rest.is_empty().then_some(obu)
    }

    /// Read the first, and give what is behind it; one without a size reaches to the end.
    fn split_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&header, mut rest) = bytes.split_first()?;
        if header & 0x80 != 0 {
            return None; // the forbidden bit
        }
        let mut extension = None;
        if header & 0x04 != 0 {
            let (&byte, behind) = rest.split_first()?;
            (extension, rest) = (Some(byte), behind);
        }
        let size = if header & 0x02 == 0 {
            rest.len()
        } else {
            let (size, behind) = read_leb128(rest)?;
            rest = behind;
            usize::try_from(size).ok()?
        };
        let (payload, rest) = rest.split_at_checked(size)?;
        Some((
            Self {
                header,
                extension,
                payload,
            },
            rest,
        ))
    }

    /// Tell what it is (section 6.2.2).
    pub fn kind(&self) -> ObuKind {
        match self.header >> 3 & 0x0f {
            1 => ObuKind::SequenceHeader,
            2 => ObuKind::TemporalDelimiter,
            3 | 4 | 6 | 7 => ObuKind::Frame,
            8 | 15 => ObuKind::Dispensable,
            _ => ObuKind::Other,
        }
    }

    /// Whether a frame begins here that is a key frame and is shown; needs no sequence header but for still pictures, of
    /// which a stream is not made (section 5.9.2).
    pub fn is_key_frame(&self) -> bool {
        let begins = matches!(self.header >> 3 & 0x0f, 3 | 6);
        // show_existing_frame 0, frame_type 0, show_frame 1.
        begins && self.payload.first().is_some_and(|byte| byte & 0xf0 == 0x10)
    }

    /// Write it with its size, as a container wants it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.header | 0x02);
        if let Some(extension) = self.extension {
            out.put_u8(extension);
        }
        write_leb128(self.payload.len() as u64, out);
        out.put_slice(self.payload);
    }
}

/// Walk over the OBUs of a temporal unit; ends at the first that is cut short.
pub fn split(mut unit: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    std::iter::from_fn(move || {
        let (obu, rest) = Obu::split_first(unit)?;
        unit = rest;
        Some(obu)
    })
}

/// A temporal unit as a container has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemporalUnit {
    /// OBUs with their sizes, without delimiters and padding; the sequence header stays before its key frame.
    pub data: Bytes,
    /// Whether decoding may begin here: a sequence header, and behind it a key frame that is shown.
    pub keyframe: bool,
    /// Whether there is any frame in it.
    pub has_frame: bool,
    /// What a decoder must be told, where it is said here.
    pub format: Option<Av1Format>,
}

/// Read a temporal unit; none where it is not OBUs to its end.
pub fn read(unit: &[u8]) -> Option<TemporalUnit> {
    let mut rest = unit;
    let mut read = TemporalUnit::default();
    let mut data = BytesMut::with_capacity(unit.len());
    let mut has_header = false;
    while !rest.is_empty() {
        let (obu, behind) = Obu::split_first(rest)?;
        rest = behind;
        match obu.kind() {
            ObuKind::TemporalDelimiter | ObuKind::Dispensable => continue,
            ObuKind::SequenceHeader => {
                read.format = read.format.or(read_sequence_header(&obu));
                has_header = read.format.is_some();
            }
            ObuKind::Frame => {
                read.keyframe |= !read.has_frame && has_header && obu.is_key_frame();
                read.has_frame = true;
            }
            ObuKind::Other => {}
        }
        obu.write(&mut data);
    }
    read.data = data.freeze();
    Some(read)
}

/// Read the header of a sequence; none where it cannot be read.
pub fn read_sequence_header(obu: &Obu<'_>) -> Option<Av1Format> {
    if obu.kind() != ObuKind::SequenceHeader {
        return None;
    }
    let read = sequence::read(obu.payload)?;
    let mut bytes = BytesMut::new();
    obu.write(&mut bytes);
    Some(Av1Format {
        sequence_header: bytes.freeze(),
        ..read
    })
}

/// Read a number of seven bits a byte, the lowest first.
pub(crate) fn read_leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().take(MAX_LEB128_BYTES).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

/// Write a number in as few bytes as it needs.
pub(crate) fn write_leb128(mut value: u64, out: &mut BytesMut) {
    while value > 0x7f {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delimiters_and_padding_stay_out_and_sizes_come_in() {
        // Delimiter, padding, and a frame without a size that reaches to the end.
        let unit = [0x12, 0, 0x7a, 2, 0, 0x80, 0x30, 0x10, 1, 2];
        let read = read(&unit).unwrap();
        assert_eq!(&read.data[..], [0x32, 3, 0x10, 1, 2]);
        assert!(read.has_frame);
        assert!(!read.keyframe, "no sequence header");
    }

    #[test]
    fn what_is_no_obu_is_refused() {
        assert_eq!(read(&[0x80, 0]), None, "forbidden bit");
        assert_eq!(read(&[0x32, 5, 1]), None, "cut short");
        assert_eq!(read(&[0x32, 0x80, 0x80]), None, "size without end");
    }

    proptest! {
        #[test]
        fn numbers_come_back(value in 0..1u64 << 56) {
            let mut out = BytesMut::new();
            write_leb128(value, &mut out);
            prop_assert_eq!(read_leb128(&out), Some((value, &[][..])));
        }

        #[test]
        fn no_bytes_upset_it_and_what_is_read_can_be_read_again(
            bytes in prop::collection::vec(any::<u8>(), 0..100)
        ) {
            if let Some(unit) = read(&bytes) {
                let again = read(&unit.data).unwrap();
                prop_assert_eq!(&again.data, &unit.data);
                prop_assert_eq!(again.keyframe, unit.keyframe);
            }
            let _ = read_sequence_header(&Obu { header: 0x08, extension: None, payload: &bytes });
        }
    }
}
