//! Lists of entries of one size, over received bytes or over a caller's slice.

use std::fmt;

use super::RtcpError;
use crate::wire::{be32, put32};

/// An entry that always takes the same number of bytes.
pub trait WireEntry: Copy + PartialEq + fmt::Debug {
    /// How many bytes it takes.
    const SIZE: usize;

    /// Reads an entry from exactly [`WireEntry::SIZE`] bytes.
    fn read(bytes: &[u8]) -> Self;

    /// Writes the entry to exactly [`WireEntry::SIZE`] bytes, which are zero before.
    fn write(&self, out: &mut [u8]);
}

/// An SSRC.
impl WireEntry for u32 {
    const SIZE: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        be32(bytes, 0)
    }

    fn write(&self, out: &mut [u8]) {
        put32(out, 0, *self);
    }
}

#[derive(Debug, Clone, Copy)]
enum Source<'a, T> {
    Wire(&'a [u8]),
    Values(&'a [T]),
}

/// A list of entries: what was received, or what is to be written. Two lists are equal when
/// their entries are, wherever they lie.
#[derive(Clone, Copy)]
pub struct Entries<'a, T>(Source<'a, T>);

impl<'a, T: WireEntry> Entries<'a, T> {
    /// A list over a caller's values.
    pub const fn new(values: &'a [T]) -> Self {
        Self(Source::Values(values))
    }

    /// An empty list.
    pub const fn empty() -> Self {
        Self(Source::Values(&[]))
    }

    /// A list over all of `bytes`.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        if !bytes.len().is_multiple_of(T::SIZE) {
            return Err(RtcpError::Length);
        }
        Ok(Self(Source::Wire(bytes)))
    }

    /// A list over the first `count` entries in `bytes`, and what follows them.
    pub(super) fn split(bytes: &'a [u8], count: u8) -> Result<(Self, &'a [u8]), RtcpError> {
        let (list, rest) = bytes
            .split_at_checked(T::SIZE * usize::from(count))
            .ok_or(RtcpError::Truncated)?;
        Ok((Self(Source::Wire(list)), rest))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Wire(bytes) => bytes.len() / T::SIZE,
            Source::Values(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in their order.
    pub fn iter(&self) -> EntriesIter<'a, T> {
        EntriesIter(self.0)
    }

    pub(super) fn wire_len(&self) -> usize {
        self.len() * T::SIZE
    }

    /// Writes all entries to the start of `out`, which [`Entries::wire_len`] has measured.
    pub(super) fn write(&self, out: &mut [u8]) {
        for (entry, place) in self.iter().zip(out.chunks_exact_mut(T::SIZE)) {
            entry.write(place);
        }
    }
}

impl<T: WireEntry> Default for Entries<'_, T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: WireEntry> PartialEq for Entries<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: WireEntry> fmt::Debug for Entries<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: WireEntry> From<&'a [T]> for Entries<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Self::new(values)
    }
}

impl<'a, T: WireEntry> IntoIterator for Entries<'a, T> {
    type Item = T;
    type IntoIter = EntriesIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: WireEntry> IntoIterator for &Entries<'a, T> {
    type Item = T;
    type IntoIter = EntriesIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterates over [`Entries`].
#[derive(Debug, Clone)]
pub struct EntriesIter<'a, T>(Source<'a, T>);

impl<T: WireEntry> Iterator for EntriesIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Source::Wire(bytes) => {
                let (entry, rest) = bytes.split_at_checked(T::SIZE)?;
                *bytes = rest;
                Some(T::read(entry))
            }
            Source::Values(values) => {
                let (entry, rest) = values.split_first()?;
                *values = rest;
                Some(*entry)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = Entries(self.0).len();
        (len, Some(len))
    }
}

impl<T: WireEntry> ExactSizeIterator for EntriesIter<'_, T> {}
