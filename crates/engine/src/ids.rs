//! Ids of objects: unique in one run of the process, with the shard in the low bits.
//!
//! The shard inside lets a command find its thread without a table that threads would have to share.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits that hold the shard.
const SHARD_BITS: u32 = 8;

/// Most shards an engine can have.
pub const MAX_SHARDS: usize = INGEST;

/// What stands where the shard does in ids of the ingest thread's objects.
pub(crate) const INGEST: usize = (1 << SHARD_BITS) - 1;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A fresh id on `shard`.
pub(crate) fn allocate(shard: usize) -> u64 {
    debug_assert!(
        shard <= INGEST,
        "the configuration limits the number of shards"
    );
    (NEXT.fetch_add(1, Ordering::Relaxed) << SHARD_BITS) | shard as u64
}

/// The shard an id belongs to.
pub(crate) fn shard_of(id: u64) -> usize {
    (id & INGEST as u64) as usize
}

/// What ICE user fragments of a shard begin with, so that a connection that came in elsewhere finds its way.
pub(crate) fn shard_prefix(shard: usize) -> String {
    format!("{shard:02x}")
}

/// The shard a user fragment of ours names.
pub(crate) fn shard_of_ufrag(ufrag: &str) -> Option<usize> {
    usize::from_str_radix(ufrag.get(..2)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_name_their_shard() {
        let (a, b) = (allocate(3), allocate(3));
        assert_ne!(a, b);
        assert_eq!(shard_of_ufrag(&(shard_prefix(171) + "rest")), Some(171));
        assert_eq!(shard_of_ufrag("x"), None);
        assert_eq!(
            (shard_of(a), shard_of(b), shard_of(allocate(255))),
            (3, 3, 255)
        );
    }
}
