//! The parameter sets of H.264 (ITU-T H.264 section 7).

use std::collections::BTreeMap;

use bytes::Bytes;
use h264_reader::nal::sps::{ChromaFormat, SeqParameterSet};
use h264_reader::rbsp::{BitReader, ByteReader, decode_nal};

use crate::{H264Format, NalCodec, NalKind};

/// Parameter sets of one stream that are kept at most; a further id replaces nothing and is counted as refused.
pub const MAX_PARAMETER_SETS: usize = 32;

/// The parameter sets in force.
#[derive(Debug, Clone, Default)]
pub struct ParameterSets {
    sps: BTreeMap<u8, Bytes>,
    pps: BTreeMap<u16, Bytes>,
    /// Sets that could not be read, or were one too many.
    pub refused: u64,
}

impl ParameterSets {
    /// Take a set; true when it changes what a decoder must know.
    pub fn take(&mut self, nal: &[u8]) -> bool {
        let changed = match NalCodec::H264.kind(nal) {
            Some(NalKind::Sps) => read_sps(nal).map(|sps| put(&mut self.sps, sps.id().id(), nal)),
            Some(NalKind::Pps) => read_pps_id(nal).map(|id| put(&mut self.pps, id, nal)),
            _ => return false,
        };
        changed.flatten().unwrap_or_else(|| {
            self.refused += 1;
            false
        })
    }

    /// What a decoder must be told; none before both kinds have come. Of several sequence parameter sets the lowest id
    /// counts.
    pub fn format(&self) -> Option<H264Format> {
        let sps = self.sps.values().next()?;
        if self.pps.is_empty() {
            return None;
        }
        let read = read_sps(sps)?;
        let (width, height) = read.pixel_dimensions().ok()?;
        Some(H264Format {
            sps: sps.clone(),
            pps: self.pps.values().cloned().collect(),
            width,
            height,
            chroma_format: chroma_format(&read),
            luma_bits: 8 + read.chroma_info.bit_depth_luma_minus8,
            chroma_bits: 8 + read.chroma_info.bit_depth_chroma_minus8,
        })
    }
}

/// Keep a set by its id: whether it is new, or none where there is no room.
fn put<K: Ord>(sets: &mut BTreeMap<K, Bytes>, id: K, nal: &[u8]) -> Option<bool> {
    if sets.get(&id).is_some_and(|old| old == nal) {
        return Some(false);
    }
    if sets.len() >= MAX_PARAMETER_SETS && !sets.contains_key(&id) {
        return None;
    }
    sets.insert(id, Bytes::copy_from_slice(nal));
    Some(true)
}

pub(crate) fn read_sps(nal: &[u8]) -> Option<SeqParameterSet> {
    SeqParameterSet::from_bits(BitReader::new(ByteReader::skipping_bytes(
        nal,
        std::num::NonZeroUsize::MIN,
    )))
    .ok()
}

/// Whether supplemental information has a recovery point of no frames (sections 7.3.2.3 and D.1.8).
pub(crate) fn recovers_at_once(nal: &[u8]) -> bool {
    const RECOVERY_POINT: u32 = 6;
    let Ok(bytes) = decode_nal(nal) else {
        return false;
    };
    let mut rest = &bytes[..];
    while let Some((kind, behind)) = read_sei_number(rest) {
        let Some((size, behind)) = read_sei_number(behind) else {
            return false;
        };
        let Some((payload, behind)) = behind.split_at_checked(size as usize) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            // `recovery_frame_cnt` is the first number; of 0 one bit is written.
            return payload.first().is_some_and(|byte| byte & 0x80 != 0);
        }
        rest = behind;
    }
    false
}

/// A number of as many bytes of 255 as it takes, and a last one.
fn read_sei_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let full = bytes.iter().take_while(|&&byte| byte == 0xff).count();
    let (&last, rest) = bytes.get(full..)?.split_first()?;
    Some((full as u32 * 255 + u32::from(last), rest))
}

fn chroma_format(sps: &SeqParameterSet) -> u8 {
    match sps.chroma_info.chroma_format {
        ChromaFormat::Monochrome => 0,
        ChromaFormat::YUV420 | ChromaFormat::Invalid(_) => 1,
        ChromaFormat::YUV422 => 2,
        ChromaFormat::YUV444 => 3,
    }
}

/// The id is the first Exp-Golomb number of the set (section 7.3.2.2); the rest may need a set that has not come.
fn read_pps_id(nal: &[u8]) -> Option<u16> {
    let first = u32::from_be_bytes([
        *nal.get(1)?,
        nal.get(2).copied().unwrap_or(0),
        nal.get(3).copied().unwrap_or(0),
        nal.get(4).copied().unwrap_or(0),
    ]);
    let zeros = first.leading_zeros();
    // An id is at most 255: eight zeros and nine bits.
    (zeros <= 8).then(|| ((first >> (31 - 2 * zeros)) - 1) as u16)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;
    use crate::annexb::split;
    use crate::nal::split_lengths;

    /// x264, 1280x720, main profile.
    const SPS: [u8; 24] = hex!("674d401fd9005005ba10000003001000000303c8f1832480");
    const PPS: [u8; 5] = hex!("68ebc3cb20");

    #[test]
    fn the_size_of_the_picture_is_known_once_both_sets_have_come() {
        let mut sets = ParameterSets::default();
        assert!(sets.take(&SPS));
        assert_eq!(sets.format(), None);
        assert!(sets.take(&PPS));
        let format = sets.format().unwrap();
        assert_eq!((format.width, format.height), (1280, 720));
        assert!(!sets.take(&SPS), "the same again changes nothing");
    }

    #[test]
    fn a_recovery_point_is_found_among_other_information() {
        // User data of five bytes, then a recovery point of no frames; the same of two frames; none at all.
        assert!(recovers_at_once(&hex!("0605051122334455 060184 80")));
        assert!(!recovers_at_once(&hex!("0605051122334455 060160 80")));
        assert!(!recovers_at_once(&hex!("0605051122334455 80")));
        assert!(!recovers_at_once(&hex!("06ffff")));
    }

    #[test]
    fn a_set_that_cannot_be_read_is_counted_and_changes_nothing() {
        let mut sets = ParameterSets::default();
        assert!(!sets.take(&[0x67]));
        assert!(!sets.take(&[0x68]));
        assert_eq!(sets.refused, 2);
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut sets = ParameterSets::default();
            for nal in split(&bytes).chain(split_lengths(&bytes)) {
                sets.take(nal);
            }
            let _ = sets.format();
        }
    }
}
