//! The parameter sets of HEVC (ITU-T H.265 section 7.3.2).

mod sps;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::h264::MAX_PARAMETER_SETS;
use crate::{HevcFormat, NalCodec, NalKind};

/// The parameter sets in force. Those of enhancement layers are left out.
#[derive(Debug, Clone, Default)]
pub struct ParameterSets {
    vps: BTreeMap<u8, Bytes>,
    sps: BTreeMap<u8, Bytes>,
    pps: BTreeMap<u8, Bytes>,
    /// Sets that could not be read, or were one too many.
    pub refused: u64,
}

impl ParameterSets {
    /// Take a set; true when it changes what a decoder must know.
    pub fn take(&mut self, nal: &[u8]) -> bool {
        if layer(nal) != Some(0) {
            return false;
        }
        let changed = match NalCodec::Hevc.kind(nal) {
            Some(NalKind::Vps) => nal
                .get(2)
                .and_then(|byte| put(&mut self.vps, byte >> 4, nal)),
            Some(NalKind::Sps) => sps::read(nal).and_then(|sps| put(&mut self.sps, sps.id, nal)),
            Some(NalKind::Pps) => sps::first_number(nal)
                .filter(|&id| id < 64)
                .and_then(|id| put(&mut self.pps, id as u8, nal)),
            _ => return false,
        };
        changed.unwrap_or_else(|| {
            self.refused += 1;
            false
        })
    }

    /// What a decoder must be told; none before all three kinds have come. Of several sequence parameter sets the lowest
    /// id counts.
    pub fn format(&self) -> Option<HevcFormat> {
        let sps = self.sps.values().next()?;
        if self.vps.is_empty() || self.pps.is_empty() {
            return None;
        }
        let read = sps::read(sps)?;
        Some(HevcFormat {
            vps: self.vps.values().cloned().collect(),
            sps: sps.clone(),
            pps: self.pps.values().cloned().collect(),
            profile: read.profile,
            temporal_layers: read.temporal_layers,
            temporal_id_nested: read.temporal_id_nested,
            width: read.width,
            height: read.height,
            chroma_format: read.chroma_format,
            luma_bits: read.luma_bits,
            chroma_bits: read.chroma_bits,
            max_reorder: read.max_reorder,
            frame_rate: read.frame_rate,
        })
    }
}

/// `nuh_layer_id`: other than 0 for enhancement layers.
pub(crate) fn layer(nal: &[u8]) -> Option<u8> {
    let [first, second, ..] = nal else {
        return None;
    };
    Some((first & 1) << 5 | second >> 3)
}

/// Keep a set by its id: whether it is new, or none where there is no room.
fn put(sets: &mut BTreeMap<u8, Bytes>, id: u8, nal: &[u8]) -> Option<bool> {
    if sets.get(&id).is_some_and(|old| old == nal) {
        return Some(false);
    }
    if sets.len() >= MAX_PARAMETER_SETS && !sets.contains_key(&id) {
        return None;
    }
    sets.insert(id, Bytes::copy_from_slice(nal));
    Some(true)
}
