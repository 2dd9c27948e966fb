//! Segments and their parts, as they stand in a playlist.

use bytes::Bytes;

/// One partial segment.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Counts through the whole rendition, so that the next one's name is known before it is known where it belongs.
    pub number: u64,
    /// In ticks.
    pub duration: u64,
    pub independent: bool,
    /// `moof` and `mdat`; none: the media was lost.
    pub body: Option<Bytes>,
}

/// One segment: its parts, and what a playlist says of it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Media sequence number.
    pub number: u64,
    /// First decode time, in ticks.
    pub start: i64,
    pub parts: Vec<Part>,
    /// Of the header its samples need.
    pub map: u32,
    pub discontinuity: bool,
}

impl Segment {
    pub(crate) fn new(number: u64, start: i64, map: u32, discontinuity: bool) -> Self {
        Self {
            number,
            start,
            parts: Vec::new(),
            map,
            discontinuity,
        }
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

    /// The bytes of the segment are those of its parts.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Bytes> {
        self.parts.iter().filter_map(|part| part.body.as_ref())
    }

    pub(crate) fn part(&self, number: u64) -> Option<&Part> {
        let first = self.parts.first()?.number;
        self.parts
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
    }
}
