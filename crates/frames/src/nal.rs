//! What the NAL units of H.264 and HEVC have in common: they are told apart by their first byte, and a container has
//! each behind its length (ISO/IEC 14496-15).

use bytes::{BufMut, Bytes, BytesMut};

/// A codec whose pictures are made of NAL units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalCodec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    Hevc,
}

/// What a NAL unit is to a packager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalKind {
    /// Part of a picture at which decoding may begin: IDR, and in HEVC all intra random access points.
    Idr,
    /// Part of another picture.
    Slice,
    /// Video parameter set; HEVC only.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Supplemental information for the picture that follows.
    Sei,
    /// Delimiter, end of sequence, filler: nothing a container needs.
    Delimiter,
    /// Extensions, and what is reserved or comes behind a picture; kept.
    Other,
}

impl NalCodec {
    /// Tell what a NAL unit is (H.264 table 7-1, H.265 table 7-1); none where its header is not whole.
    pub fn kind(self, nal: &[u8]) -> Option<NalKind> {
        let first = *nal.first()?;
        Some(match self {
            Self::H264 => match first & 0x1f {
                5 => NalKind::Idr,
                1..=4 => NalKind::Slice,
                6 => NalKind::Sei,
                7 => NalKind::Sps,
                8 => NalKind::Pps,
                9..=12 => NalKind::Delimiter,
                _ => NalKind::Other,
            },
            Self::Hevc => {
                nal.get(1)?;
                match first >> 1 & 0x3f {
                    16..=23 => NalKind::Idr,
                    0..=31 => NalKind::Slice,
                    32 => NalKind::Vps,
                    33 => NalKind::Sps,
                    34 => NalKind::Pps,
                    35..=38 => NalKind::Delimiter,
                    39 => NalKind::Sei,
                    _ => NalKind::Other,
                }
            }
        })
    }

    /// Whether a NAL unit may be part of a stream: types that mean something in packets instead are none of a stream's
    /// (RFC 6184 section 5.2, RFC 7798 section 4.4).
    pub fn has(self, nal: &[u8]) -> bool {
        self.kind(nal).is_some()
            && match self {
                Self::H264 => (1..24).contains(&(nal[0] & 0x1f)),
                Self::Hevc => nal[0] >> 1 & 0x3f < 48,
            }
    }

    /// Whether a NAL unit says that decoding may begin with its picture though that is none of those of which all is
    /// forgotten: a recovery point of H.264 that needs no further pictures (H.264 section D.2.8). HEVC has kinds of its
    /// own for such pictures.
    pub fn is_recovery_point(self, nal: &[u8]) -> bool {
        self == Self::H264
            && self.kind(nal) == Some(NalKind::Sei)
            && crate::h264::recovers_at_once(nal)
    }

    /// Bytes of the header of a NAL unit.
    pub fn header_bytes(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::Hevc => 2,
        }
    }

    /// Whether a NAL unit holds the first slice of its picture: `first_mb_in_slice` is 0 (H.264 section 7.3.3), or
    /// `first_slice_segment_in_pic_flag` is set (H.265 section 7.3.6.1).
    pub fn begins_picture(self, nal: &[u8]) -> bool {
        matches!(self.kind(nal), Some(NalKind::Idr | NalKind::Slice))
            && nal
                .get(self.header_bytes())
                .is_some_and(|byte| byte & 0x80 != 0)
    }
}

impl NalKind {
    /// Whether it is a parameter set.
    pub fn is_set(self) -> bool {
        matches!(self, Self::Vps | Self::Sps | Self::Pps)
    }

    /// Whether it is part of a picture.
    pub fn is_slice(self) -> bool {
        matches!(self, Self::Idr | Self::Slice)
    }
}

/// Write NAL units behind their lengths, as a container wants them.
pub fn with_lengths<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = BytesMut::new();
    for nal in nals {
        out.put_u32(nal.len() as u32);
        out.put_slice(nal);
    }
    out.freeze()
}

/// Walk over NAL units behind four-byte lengths; ends at the first that is cut short.
pub fn split_lengths(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let nal = rest.get(..length)?;
        data = &rest[length..];
        Some(nal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_back_give_the_same_units() {
        let nals = [&[0x67, 1, 2][..], &[0x68][..], &[0x65, 0][..]];
        let data = with_lengths(nals);
        assert_eq!(split_lengths(&data).collect::<Vec<_>>(), nals);
    }

    #[test]
    fn units_of_both_codecs_are_told_apart() {
        let h264 = |first: u8| NalCodec::H264.kind(&[first]);
        assert_eq!(h264(0x65), Some(NalKind::Idr));
        assert_eq!(h264(0x41), Some(NalKind::Slice));
        assert_eq!(h264(0x67), Some(NalKind::Sps));
        assert_eq!(h264(0x09), Some(NalKind::Delimiter));
        assert_eq!(NalCodec::H264.kind(&[]), None);
        let hevc = |kind: u8| NalCodec::Hevc.kind(&[kind << 1, 1]);
        assert_eq!(hevc(19), Some(NalKind::Idr));
        assert_eq!(hevc(21), Some(NalKind::Idr), "clean random access");
        assert_eq!(hevc(1), Some(NalKind::Slice));
        assert_eq!(hevc(32), Some(NalKind::Vps));
        assert_eq!(hevc(35), Some(NalKind::Delimiter));
        assert_eq!(hevc(39), Some(NalKind::Sei));
        assert_eq!(hevc(40), Some(NalKind::Other), "suffix information");
        assert_eq!(NalCodec::Hevc.kind(&[0x40]), None, "half a header");
    }

    #[test]
    fn the_first_slice_of_a_picture_says_so() {
        assert!(NalCodec::H264.begins_picture(&[0x65, 0x88]));
        assert!(!NalCodec::H264.begins_picture(&[0x65, 0x40]));
        assert!(!NalCodec::H264.begins_picture(&[0x67, 0x88]));
        assert!(NalCodec::Hevc.begins_picture(&[0x02, 0x01, 0x80]));
        assert!(!NalCodec::Hevc.begins_picture(&[0x02, 0x01, 0x00]));
        assert!(!NalCodec::Hevc.begins_picture(&[0x02, 0x81]));
    }
}
