//! The table of SSRCs: declared in signalling, or learnt from packets.

/// A stream: section, encoding, and whether it repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) section: u16,
    pub(super) encoding: u8,
    pub(super) repair: bool,
}

/// One SSRC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    ssrc: u32,
    pub(super) place: Place,
    pub(super) declared: bool,
    /// The newest packet that named its section.
    pub(super) mid_sequence: Option<u16>,
    learnt_at: u64,
}

/// SSRCs sorted by number: a handful, looked up for each packet.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    sorted: Vec<Source>,
    limit: usize,
    turn: u64,
}

impl Sources {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            sorted: Vec::new(),
            limit,
            turn: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    #[inline]
    pub(super) fn get(&self, ssrc: u32) -> Option<Source> {
        self.position(ssrc).ok().map(|at| self.sorted[at])
    }

    /// Whether so many more can be declared, if all learnt ones go.
    pub(super) fn has_space_for(&self, count: usize) -> bool {
        let declared = self.sorted.iter().filter(|source| source.declared).count();
        declared + count <= self.limit
    }

    /// Enters a declared SSRC in place of a learnt one; [`Sources::has_space_for`] said that there
    /// is room.
    pub(super) fn declare(&mut self, ssrc: u32, place: Place) {
        self.forget(ssrc);
        if self.sorted.len() >= self.limit {
            self.evict();
        }
        self.insert(ssrc, place, true, None);
    }

    /// Enters or moves a learnt SSRC; says whether another had to go. Where all places are taken
    /// by declared ones, nothing is learnt.
    pub(super) fn learn(&mut self, ssrc: u32, place: Place, mid_sequence: Option<u16>) -> bool {
        if let Ok(at) = self.position(ssrc) {
            self.sorted[at].place = place;
            self.sorted[at].mid_sequence = mid_sequence;
            return false;
        }
        let full = self.sorted.len() >= self.limit;
        let evicted = full && self.evict();
        if !full || evicted {
            self.insert(ssrc, place, false, mid_sequence);
        }
        evicted
    }

    /// Forgets a learnt SSRC; says whether it did.
    pub(super) fn forget(&mut self, ssrc: u32) -> bool {
        match self.position(ssrc) {
            Ok(at) if !self.sorted[at].declared => {
                self.sorted.remove(at);
                true
            }
            _ => false,
        }
    }

    /// Forgets all SSRCs of a section.
    pub(super) fn forget_section(&mut self, section: u16) {
        self.sorted.retain(|source| source.place.section != section);
    }

    #[inline]
    fn position(&self, ssrc: u32) -> Result<usize, usize> {
        self.sorted
            .binary_search_by_key(&ssrc, |source| source.ssrc)
    }

    fn insert(&mut self, ssrc: u32, place: Place, declared: bool, mid_sequence: Option<u16>) {
        self.turn += 1;
        if let Err(at) = self.position(ssrc) {
            let learnt_at = self.turn;
            self.sorted.insert(
                at,
                Source {
                    ssrc,
                    place,
                    declared,
                    mid_sequence,
                    learnt_at,
                },
            );
        }
    }

    /// Takes the SSRC learnt longest ago out; says whether there was one.
    fn evict(&mut self) -> bool {
        let learnt = self
            .sorted
            .iter()
            .enumerate()
            .filter(|(_, source)| !source.declared);
        let Some((at, _)) = learnt.min_by_key(|(_, source)| source.learnt_at) else {
            return false;
        };
        self.sorted.remove(at);
        true
    }
}
