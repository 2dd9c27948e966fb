//! The dependency descriptor header extension (AV1 RTP payload specification, appendix A).
//!
//! A sender describes its layers once in a [`Structure`] of templates; each packet then names a
//! template and tells only what differs. A [`Reader`] keeps the structure of one stream.
//!
//! Words of the specification: a *decode target* is a set of layers that a receiver may want; an
//! *indication* tells what a frame means to a decode target; a *chain* is a sequence of frames
//! that must arrive without gap for the decode targets it protects.

mod bits;
mod frame;
mod structure;

pub use frame::{Descriptor, Reader};
pub use structure::Structure;

use super::DescriptorError;

/// Most templates one structure may have: their identifiers have 6 bits.
pub const MAX_TEMPLATES: usize = 64;
/// Most decode targets one structure may have.
pub const MAX_DECODE_TARGETS: usize = 32;
/// Most chains one structure may have: one for each decode target.
pub const MAX_CHAINS: usize = MAX_DECODE_TARGETS;
/// Most frames one frame may refer to directly; codecs have at most eight.
pub const MAX_REFERENCES: usize = 16;

/// What a frame means to a decode target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indication {
    /// It does not belong to it.
    #[default]
    NotPresent,
    /// It belongs to it, and no other frame of it refers to this one.
    Discardable,
    /// It belongs to it, and everything after this frame can be decoded when this frame can.
    Switch,
    /// It belongs to it.
    Required,
}

impl Indication {
    const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::NotPresent,
            1 => Self::Discardable,
            2 => Self::Switch,
            _ => Self::Required,
        }
    }
}

/// One indication for each decode target.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Indications {
    /// Two bits each, the first decode target lowest.
    bits: u64,
}

impl Indications {
    /// What the frame means to decode target `target`.
    pub const fn get(&self, target: usize) -> Indication {
        if target < MAX_DECODE_TARGETS {
            Indication::from_bits(self.bits >> (2 * target))
        } else {
            Indication::NotPresent
        }
    }

    /// Sets what the frame means to decode target `target`; beyond the last it does nothing.
    pub const fn set(&mut self, target: usize, indication: Indication) {
        if target < MAX_DECODE_TARGETS {
            self.bits &= !(3 << (2 * target));
            self.bits |= (indication as u64) << (2 * target);
        }
    }

    /// The decode targets the frame belongs to, as a mask with the first one lowest.
    pub fn present(&self) -> u32 {
        (0..MAX_DECODE_TARGETS)
            .filter(|&target| self.get(target) != Indication::NotPresent)
            .fold(0, |mask, target| mask | 1 << target)
    }
}

impl std::fmt::Debug for Indications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for target in 0..MAX_DECODE_TARGETS {
            f.write_str(match self.get(target) {
                Indication::NotPresent => "-",
                Indication::Discardable => "D",
                Indication::Switch => "S",
                Indication::Required => "R",
            })?;
        }
        Ok(())
    }
}

/// A short list of distances between frame numbers, kept in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Distances<T, const N: usize> {
    values: [T; N],
    len: u8,
}

impl<T: Copy + Default, const N: usize> Default for Distances<T, N> {
    fn default() -> Self {
        Self {
            values: [T::default(); N],
            len: 0,
        }
    }
}

impl<T: std::fmt::Debug, const N: usize> std::fmt::Debug for Distances<T, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(&self.values[..usize::from(self.len)])
            .finish()
    }
}

impl<T, const N: usize> Distances<T, N> {
    /// The distances.
    pub fn as_slice(&self) -> &[T] {
        &self.values[..usize::from(self.len)]
    }

    /// Adds one; refused when the list is full.
    pub fn push(&mut self, value: T) -> Result<(), DescriptorError> {
        let slot = self.values.get_mut(usize::from(self.len));
        *slot.ok_or(DescriptorError::TooMany("frame distances"))? = value;
        self.len += 1;
        Ok(())
    }
}

/// How a frame depends on others: a template, or one frame's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// What the frame means to each decode target.
    pub indications: Indications,
    /// How many frames back the frames lie that this one refers to.
    pub references: Distances<u16, MAX_REFERENCES>,
    /// How many frames back the previous frame of each chain lies; zero: this frame begins it.
    pub chains: Distances<u8, MAX_CHAINS>,
}

#[cfg(test)]
mod tests;
