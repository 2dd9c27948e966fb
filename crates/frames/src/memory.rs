//! Memory that many rings share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Pressure;

/// What all rings of a process may hold together, by default: 1 GiB.
pub const DEFAULT_TOTAL_BYTES: usize = 1 << 30;

/// A number of bytes that rings share, whatever threads they are on.
///
/// It is never exceeded: a ring that finds no room drops groups of its own. From nine tenths on each ring that holds
/// more than its share, a part of the whole for each ring there is, shrinks to it with its next unit, so that those with
/// little find room.
#[derive(Debug, Clone)]
pub struct RingMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
    rings: AtomicUsize,
    refused: AtomicU64,
}

impl RingMemory {
    /// So many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            used: AtomicUsize::new(0),
            rings: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Bytes that all rings hold.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that all rings may hold.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Units that found no room in a ring that had nothing to drop.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// How full it is.
    pub fn pressure(&self) -> Pressure {
        Pressure::of(self.used() as u64, self.0.limit as u64)
    }

    pub(crate) fn join(&self) {
        self.0.rings.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, bytes: usize) {
        self.release(bytes);
        self.0.rings.fetch_sub(1, Ordering::Relaxed);
    }

    /// Take so many bytes; false where they are not there.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.0.limit);
        let used = &self.0.used;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What a ring may keep now; none where there is room for all.
    pub(crate) fn share(&self) -> Option<usize> {
        let rings = self.0.rings.load(Ordering::Relaxed).max(1);
        (self.pressure() == Pressure::Critical).then(|| self.0.limit / rings)
    }
}

impl Default for RingMemory {
    /// [`DEFAULT_TOTAL_BYTES`].
    fn default() -> Self {
        Self::new(DEFAULT_TOTAL_BYTES)
    }
}
