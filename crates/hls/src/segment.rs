//! Segments and their parts, as they stand in a playlist.

use bytes::Bytes;

use crate::boxes::BoxError;
use crate::encryption::Encryption;

/// One partial segment.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Counts through the whole rendition, so that the next one's name is known before it is known where it belongs.
    pub number: u64,
    /// In ticks.
    pub duration: u64,
    pub independent: bool,
    /// `moof` and `mdat`, encrypted where the program is; none: the media was lost.
    pub body: Option<Bytes>,
    /// The same before it was encrypted, until the segment is complete.
    pub clear: Option<Bytes>,
}

/// One segment: its parts, and what a playlist says of it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Media sequence number.
    pub number: u64,
    /// First decode time, in ticks.
    pub start: i64,
    /// How much later its first sample is shown: pictures that are reordered are decoded before they are.
    pub shown_after: i64,
    pub parts: Vec<Part>,
    /// Of the header its samples need.
    pub map: u32,
    pub discontinuity: bool,
    /// The whole, where it is encrypted and complete.
    pub sealed: Option<Bytes>,
}

impl Segment {
    pub(crate) fn new(number: u64, start: i64, map: u32, discontinuity: bool) -> Self {
        Self {
            number,
            start,
            shown_after: 0,
            parts: Vec::new(),
            map,
            discontinuity,
            sealed: None,
        }
    }

    /// Encrypt the whole of it: a part that was encrypted alone is none of a whole.
    pub(crate) fn seal(&mut self, encryption: &mut Encryption) -> Result<(), BoxError> {
        let clear: Vec<Bytes> = self
            .parts
            .iter_mut()
            .filter_map(|part| part.clear.take())
            .collect();
        if !clear.is_empty() {
            let clear: Vec<&[u8]> = clear.iter().map(|body| &body[..]).collect();
            self.sealed = Some(encryption.seal(self.number, &clear)?);
        }
        Ok(())
    }

    /// In ticks.
    pub(crate) fn duration(&self) -> u64 {
        self.parts.iter().map(|part| part.duration).sum()
    }

    /// Whether nothing of it can be had.
    pub(crate) fn is_gap(&self) -> bool {
        self.parts.iter().all(|part| part.body.is_none())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bodies().map(Bytes::len).sum()
    }

    /// The bytes of the segment are those of its parts, where they are not encrypted.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Bytes> {
        let parts = self.parts.iter().filter(|_| self.sealed.is_none());
        let bodies = parts.filter_map(|part| part.body.as_ref());
        self.sealed.iter().chain(bodies)
    }

    pub(crate) fn part(&self, number: u64) -> Option<&Part> {
        let first = self.parts.first()?.number;
        self.parts
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
    }
}
