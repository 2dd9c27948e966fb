//! Per-SSRC state of one context, bounded.

use crate::SrtpError;
use crate::index::{LAST_RTP_INDEX, ReplayWindow, nearest_index};

/// One SSRC's state.
#[derive(Clone, Debug)]
struct Stream<const WORDS: usize> {
    window: ReplayWindow<WORDS>,
    /// Roll-over counter of the first packet.
    rollover: u32,
}

/// Streams by SSRC: two sorted columns, so that a search touches only the SSRCs, with the last
/// hit tried first, because packets of one stream come in runs.
#[derive(Clone, Debug)]
pub(crate) struct Streams<const WORDS: usize> {
    ssrcs: Vec<u32>,
    states: Vec<Stream<WORDS>>,
    last: usize,
    limit: usize,
}

/// Where an SSRC is, or where it would go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Known(usize),
    Free(usize),
}

impl<const WORDS: usize> Streams<WORDS> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            ssrcs: Vec::new(),
            states: Vec::new(),
            last: 0,
            limit,
        }
    }

    /// Finds the place of `ssrc`; an unknown one is refused when the context is full.
    pub(crate) fn find(&mut self, ssrc: u32) -> Result<Place, SrtpError> {
        if self.ssrcs.get(self.last) == Some(&ssrc) {
            return Ok(Place::Known(self.last));
        }
        match self.ssrcs.binary_search(&ssrc) {
            Ok(at) => {
                self.last = at;
                Ok(Place::Known(at))
            }
            Err(_) if self.ssrcs.len() >= self.limit => Err(SrtpError::TooManyStreams),
            Err(at) => Ok(Place::Free(at)),
        }
    }

    /// The index of the RTP packet with `sequence` in the stream at `place`.
    pub(crate) fn index(&self, place: Place, sequence: u16) -> Result<u64, SrtpError> {
        let Some(stream) = self.stream(place) else {
            return Ok(u64::from(sequence));
        };
        match stream.window.highest() {
            Some(highest) => nearest_index(highest, sequence),
            None => Ok((u64::from(stream.rollover) << 16) | u64::from(sequence)),
        }
    }

    /// Whether `index` is new in the stream at `place`.
    pub(crate) fn check(&self, place: Place, index: u64) -> Result<(), SrtpError> {
        debug_assert!(index <= LAST_RTP_INDEX);
        self.stream(place)
            .map_or(Ok(()), |stream| stream.window.check(index))
    }

    fn stream(&self, place: Place) -> Option<&Stream<WORDS>> {
        match place {
            Place::Known(at) => self.states.get(at),
            Place::Free(_) => None,
        }
    }

    /// Marks `index` at `place`, which [`Streams::find`] gave for `ssrc` just before.
    pub(crate) fn accept(&mut self, place: Place, ssrc: u32, index: u64) {
        let at = self.occupy(place, ssrc);
        self.states[at].window.accept(index);
    }

    fn occupy(&mut self, place: Place, ssrc: u32) -> usize {
        match place {
            Place::Known(at) => at,
            Place::Free(at) => {
                self.ssrcs.insert(at, ssrc);
                self.states.insert(
                    at,
                    Stream {
                        window: ReplayWindow::new(),
                        rollover: 0,
                    },
                );
                self.last = at;
                at
            }
        }
    }

    /// Sets the roll-over counter of a stream that has no packet yet.
    pub(crate) fn set_rollover(&mut self, ssrc: u32, rollover: u32) -> Result<(), SrtpError> {
        let place = self.find(ssrc)?;
        let at = self.occupy(place, ssrc);
        self.states[at].rollover = rollover;
        Ok(())
    }

    /// Drops the state of `ssrc`.
    pub(crate) fn forget(&mut self, ssrc: u32) {
        if let Ok(at) = self.ssrcs.binary_search(&ssrc) {
            self.ssrcs.remove(at);
            self.states.remove(at);
        }
    }

    /// Reads the highest index of the first few streams.
    pub(crate) fn touch(&self) -> u64 {
        let read = |stream: &Stream<WORDS>| stream.window.highest().unwrap_or(0);
        let states = self.states.iter().take(4).map(read);
        states.fold(self.ssrcs.len() as u64, |all, one| all ^ one)
    }

    pub(crate) fn len(&self) -> usize {
        self.ssrcs.len()
    }
}
