//! Per-SSRC state of one context, bounded.

use crate::SrtpError;
use crate::index::{LAST_RTP_INDEX, Newest, Ring, nearest_index};
use smallvec::SmallVec;

/// Streams kept where the context itself is: those of a browser that watches.
const NEAR: usize = 3;

/// One SSRC's state: all that packets in order need.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// Roll-over counter of the first packet.
    rollover: u32,
    newest: Newest,
}

/// Streams sorted by SSRC, with the last hit tried first, because packets of one stream come in runs. The rings of
/// their windows are kept apart, so that few cache lines serve many packets.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Streams<const WORDS: usize> {
    last: u32,
    limit: u32,
    heads: SmallVec<[Stream; NEAR]>,
    rings: Vec<Ring<WORDS>>,
}

/// Where an SSRC is, or where it would go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Known(usize),
    Free(usize),
}

impl<const WORDS: usize> Streams<WORDS> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            last: 0,
            limit: limit as u32,
            heads: SmallVec::new(),
            rings: Vec::new(),
        }
    }

    /// Finds the place of `ssrc`; an unknown one is refused when the context is full.
    pub(crate) fn find(&mut self, ssrc: u32) -> Result<Place, SrtpError> {
        let last = self.last as usize;
        if self
            .heads
            .get(last)
            .is_some_and(|stream| stream.ssrc == ssrc)
        {
            return Ok(Place::Known(last));
        }
        match self.search(ssrc) {
            Ok(at) => {
                self.last = at as u32;
                Ok(Place::Known(at))
            }
            Err(_) if self.heads.len() >= self.limit as usize => Err(SrtpError::TooManyStreams),
            Err(at) => Ok(Place::Free(at)),
        }
    }

    fn search(&self, ssrc: u32) -> Result<usize, usize> {
        self.heads.binary_search_by_key(&ssrc, |stream| stream.ssrc)
    }

    /// The index of the RTP packet with `sequence` in the stream at `place`.
    pub(crate) fn index(&self, place: Place, sequence: u16) -> Result<u64, SrtpError> {
        let Some(stream) = self.stream(place) else {
            return Ok(u64::from(sequence));
        };
        match stream.newest.highest() {
            Some(highest) => nearest_index(highest, sequence),
            None => Ok((u64::from(stream.rollover) << 16) | u64::from(sequence)),
        }
    }

    /// Whether `index` is new in the stream at `place`.
    pub(crate) fn check(&self, place: Place, index: u64) -> Result<(), SrtpError> {
        debug_assert!(index <= LAST_RTP_INDEX);
        let Place::Known(at) = place else {
            return Ok(());
        };
        self.heads[at].newest.check(&self.rings[at], index)
    }

    fn stream(&self, place: Place) -> Option<&Stream> {
        match place {
            Place::Known(at) => self.heads.get(at),
            Place::Free(_) => None,
        }
    }

    /// Marks `index` at `place`, which [`Streams::find`] gave for `ssrc` just before.
    pub(crate) fn accept(&mut self, place: Place, ssrc: u32, index: u64) {
        let at = self.occupy(place, ssrc);
        self.heads[at].newest.accept(&mut self.rings[at], index);
    }

    fn occupy(&mut self, place: Place, ssrc: u32) -> usize {
        match place {
            Place::Known(at) => at,
            Place::Free(at) => {
                let stream = Stream {
                    ssrc,
                    rollover: 0,
                    newest: Newest::default(),
                };
                self.heads.insert(at, stream);
                self.rings.insert(at, [0; WORDS]);
                self.last = at as u32;
                at
            }
        }
    }

    /// Sets the roll-over counter of a stream that has no packet yet.
    pub(crate) fn set_rollover(&mut self, ssrc: u32, rollover: u32) -> Result<(), SrtpError> {
        let place = self.find(ssrc)?;
        let at = self.occupy(place, ssrc);
        self.heads[at].rollover = rollover;
        Ok(())
    }

    /// Drops the state of `ssrc`.
    pub(crate) fn forget(&mut self, ssrc: u32) {
        if let Ok(at) = self.search(ssrc) {
            self.heads.remove(at);
            self.rings.remove(at);
        }
    }

    /// Reads the first streams.
    pub(crate) fn touch(&self) -> u64 {
        let read = |stream: &Stream| stream.newest.highest().unwrap_or(0);
        let near = self.heads.iter().take(NEAR).map(read);
        near.fold(u64::from(self.last), |all, one| all ^ one)
    }

    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }
}
