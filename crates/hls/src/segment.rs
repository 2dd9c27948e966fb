//! Segments and their parts, as they stand in a playlist.

use bytes::Bytes;

use crate::boxes::BoxError;
use crate::encryption::Encryption;
use crate::stored::Stored;

/// One partial segment.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Counts through the whole rendition, so that the next one's name is known before it is known where it belongs.
    pub number: u64,
    /// In ticks.
    pub duration: u64,
    pub independent: bool,
    /// `moof` and `mdat`, or a document; encrypted where the program is; none: the media was lost.
    pub body: Option<Bytes>,
    /// The same before it was encrypted, until the segment is complete.
    pub clear: Option<Bytes>,
}

/// Where the media of a segment is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Place {
    #[default]
    Memory,
    /// In memory until it is stored.
    Leaving,
    /// In a file; its parts are gone.
    Outside(Stored),
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
    /// None where it has left memory.
    pub parts: Vec<Part>,
    /// The number of the first of its parts, also when they are gone.
    pub first_part: u64,
    /// How much of the rendition was listed before it, in ticks; what a clock jumped over was not.
    pub listed_before: u64,
    /// Of the header its samples need.
    pub map: u32,
    pub discontinuity: bool,
    /// The whole of a complete one, where it is not its parts one after the other: encrypted, or text.
    pub sealed: Option<Bytes>,
    pub place: Place,
    /// In ticks.
    duration: u64,
    /// Bytes of the whole, as it is sent.
    bytes: u64,
    has_media: bool,
}

impl Segment {
    pub(crate) fn new(number: u64, start: i64, map: u32, discontinuity: bool) -> Self {
        Self {
            number,
            start,
            shown_after: 0,
            parts: Vec::new(),
            first_part: 0,
            listed_before: 0,
            map,
            discontinuity,
            sealed: None,
            place: Place::Memory,
            duration: 0,
            bytes: 0,
            has_media: false,
        }
    }

    /// Another part of it.
    pub(crate) fn push(&mut self, part: Part) {
        if self.parts.is_empty() {
            self.first_part = part.number;
        }
        self.duration += part.duration;
        self.bytes += part.body.as_ref().map_or(0, |body| body.len() as u64);
        self.has_media |= part.body.is_some();
        self.parts.push(part);
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
            let sealed = encryption.seal(self.number, &clear)?;
            self.replace_whole(sealed);
        }
        Ok(())
    }

    /// The whole of it are these bytes.
    pub(crate) fn replace_whole(&mut self, whole: Bytes) {
        self.bytes = whole.len() as u64;
        self.sealed = Some(whole);
    }

    /// In ticks.
    pub(crate) fn duration(&self) -> u64 {
        self.duration
    }

    /// How much of the rendition was listed up to its end, in ticks.
    pub(crate) fn listed_to(&self) -> u64 {
        self.listed_before + self.duration
    }

    /// Whether nothing of it can be had.
    pub(crate) fn is_gap(&self) -> bool {
        !self.has_media
    }

    /// Of the whole, wherever it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What of it is in memory: the whole, and its parts where they are others.
    pub(crate) fn held(&self) -> u64 {
        let bodies = self.parts.iter().flat_map(|part| [&part.body, &part.clear]);
        let bytes = |body: &Option<Bytes>| body.as_ref().map_or(0, |body| body.len() as u64);
        bodies.map(bytes).sum::<u64>() + bytes(&self.sealed)
    }

    /// The bytes of the segment are those of its parts, unless it has a whole of its own; none where it is outside.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Bytes> {
        let parts = self.parts.iter().filter(|_| self.sealed.is_none());
        let bodies = parts.filter_map(|part| part.body.as_ref());
        self.sealed.iter().chain(bodies)
    }

    pub(crate) fn part(&self, number: u64) -> Option<&Part> {
        self.parts
            .get(usize::try_from(number.checked_sub(self.first_part)?).ok()?)
    }

    /// What it was made of is elsewhere now.
    pub(crate) fn leave(&mut self, stored: Stored) {
        (self.parts, self.sealed) = (Vec::new(), None);
        self.place = Place::Outside(stored);
    }
}
