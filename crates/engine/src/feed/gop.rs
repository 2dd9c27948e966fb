//! The pictures since the last keyframe, for whoever comes between two.

use roomtone_frames::{AccessUnit, Format};

use super::clock::Placed;

/// Pictures and bytes that are kept; of a longer group nothing is, and who comes waits for the next keyframe. Bytes are
/// shared with what is packaged.
const MAX_UNITS: usize = 1_200;
const MAX_BYTES: usize = 8 << 20;

/// The newest group of pictures, from its keyframe on.
#[derive(Debug, Default)]
pub(super) struct Gop {
    units: Vec<(AccessUnit, Placed, Format)>,
    bytes: usize,
}

impl Gop {
    /// Take the next unit; false where the group has become too long to be kept.
    pub(super) fn handle_unit(
        &mut self,
        unit: &AccessUnit,
        placed: Placed,
        format: &Format,
    ) -> bool {
        if unit.keyframe {
            *self = Self::default();
        } else if self.units.is_empty() {
            return true;
        }
        self.bytes += unit.data.len();
        if self.units.len() >= MAX_UNITS || self.bytes > MAX_BYTES {
            *self = Self::default();
            return false;
        }
        self.units.push((unit.clone(), placed, format.clone()));
        true
    }

    pub(super) fn units(&self) -> &[(AccessUnit, Placed, Format)] {
        &self.units
    }
}
