//! Who watches: playback sessions, told apart by their grant, or by address and agent where a stream needs none.
//!
//! Whoever asks for a playlist watches, and has gone when nothing was asked for in [`IDLE_MS`]. Limits: so many viewers
//! as configured, further ones watch uncounted; [`MAX_KICKED`] that were sent away, one more cannot be.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::grant::Grant;
use crate::refusal::Refusal;
use crate::stats::Stats;

/// So long after its last request a viewer counts.
const IDLE_MS: u64 = 30_000;
const SWEEP_EVERY_MS: u64 = 5_000;
/// Who watches without a grant and is sent away stays away for so long.
const KICKED_MS: u64 = 600_000;
/// Viewers that are kept away at once.
const MAX_KICKED: usize = 16_384;
/// So much of what a client calls itself is kept.
const MAX_AGENT: usize = 200;

/// One who watches, as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Unlike that of any other viewer of this front door.
    pub id: u64,
    /// The number of its grant; none where it needed none.
    pub grant: Option<u64>,
    /// Where it asks from.
    pub address: IpAddr,
    /// What it calls itself.
    pub agent: String,
    /// When it first asked, in milliseconds since the epoch.
    pub since_ms: u64,
    /// When it last asked for a playlist.
    pub seen_ms: u64,
    /// Playlists it asked for.
    pub playlists: u64,
}

/// Why nobody was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KickError {
    /// No such viewer watches.
    Unknown,
    /// Too many are kept away already.
    Full,
}

/// Who asks for something of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) stream: &'a str,
    pub(super) grant: Option<Grant>,
    pub(super) address: IpAddr,
    pub(super) agent: &'a [u8],
}

struct Known {
    stream: String,
    until: Option<u32>,
    viewer: Viewer,
}

#[derive(Default)]
struct Table {
    known: HashMap<u64, Known>,
    swept_ms: u64,
}

/// All viewers of all streams.
pub(super) struct Audience {
    max: usize,
    hasher: RandomState,
    table: Mutex<Table>,
    /// Until when each is kept away.
    kicked: Mutex<HashMap<u64, u64>>,
    /// So that nothing is locked while nobody is.
    kicks: AtomicUsize,
}

impl Audience {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            hasher: RandomState::new(),
            table: Mutex::default(),
            kicked: Mutex::default(),
            kicks: AtomicUsize::new(0),
        }
    }

    /// Refuses who was sent away; whoever asks for a playlist is counted.
    pub(super) fn admit(
        &self,
        asking: Asking<'_>,
        is_playlist: bool,
        now_ms: u64,
        stats: &Stats,
    ) -> Result<(), Refusal> {
        let may_be_kicked = self.kicks.load(Ordering::Relaxed) > 0;
        if !is_playlist && !may_be_kicked {
            return Ok(());
        }
        let id = self.id_of(asking);
        if may_be_kicked
            && lock(&self.kicked)
                .get(&id)
                .is_some_and(|&until| until > now_ms)
        {
            return Err(Refusal::ViewerKicked);
        }
        if is_playlist {
            self.note(id, asking, now_ms, stats);
        }
        Ok(())
    }

    /// The viewers of a stream.
    pub(super) fn list(&self, stream: &str, now_ms: u64, stats: &Stats) -> Vec<Viewer> {
        let mut table = lock(&self.table);
        table.sweep(now_ms, stats);
        let of_stream = table.known.values().filter(|known| known.stream == stream);
        of_stream.map(|known| known.viewer.clone()).collect()
    }

    /// How many watch each stream, in no order.
    pub(super) fn counts(&self, now_ms: u64, stats: &Stats) -> HashMap<String, u64> {
        let mut table = lock(&self.table);
        table.sweep(now_ms, stats);
        let mut counts = HashMap::new();
        for known in table.known.values() {
            *counts.entry(known.stream.clone()).or_default() += 1;
        }
        counts
    }

    /// Sends a viewer away: its grant is good no more; one without is kept away for a while.
    pub(super) fn kick(
        &self,
        stream: &str,
        id: u64,
        now_ms: u64,
        stats: &Stats,
    ) -> Result<Viewer, KickError> {
        let mut table = lock(&self.table);
        let known = table.known.get(&id).filter(|known| known.stream == stream);
        let until = known.ok_or(KickError::Unknown)?.until;
        let mut kicked = lock(&self.kicked);
        kicked.retain(|_, until| *until > now_ms);
        if kicked.len() >= MAX_KICKED {
            return Err(KickError::Full);
        }
        let until = until.map_or(now_ms + KICKED_MS, |until| u64::from(until) * 1000);
        kicked.insert(id, until);
        self.kicks.store(kicked.len(), Ordering::Relaxed);
        let gone = table.known.remove(&id).ok_or(KickError::Unknown)?;
        stats.live_viewers.decrement();
        stats.live_viewers_kicked.increment();
        Ok(gone.viewer)
    }

    /// Forgets who has gone.
    pub(super) fn sweep(&self, now_ms: u64, stats: &Stats) {
        lock(&self.table).sweep(now_ms, stats);
    }

    fn id_of(&self, asking: Asking<'_>) -> u64 {
        match asking.grant {
            Some(grant) => self.hasher.hash_one((asking.stream, grant.number)),
            None => self
                .hasher
                .hash_one((asking.stream, asking.address, asking.agent)),
        }
    }

    fn note(&self, id: u64, asking: Asking<'_>, now_ms: u64, stats: &Stats) {
        let mut table = lock(&self.table);
        if now_ms >= table.swept_ms + SWEEP_EVERY_MS {
            table.sweep(now_ms, stats);
        }
        if let Some(known) = table.known.get_mut(&id) {
            known.viewer.seen_ms = now_ms;
            known.viewer.playlists += 1;
            known.viewer.address = asking.address;
            return;
        }
        if table.known.len() >= self.max {
            stats.live_viewers_uncounted.increment();
            return;
        }
        let agent = &asking.agent[..asking.agent.len().min(MAX_AGENT)];
        let viewer = Viewer {
            id,
            grant: asking.grant.map(|grant| grant.number),
            address: asking.address,
            agent: String::from_utf8_lossy(agent).into_owned(),
            since_ms: now_ms,
            seen_ms: now_ms,
            playlists: 1,
        };
        let known = Known {
            stream: asking.stream.to_owned(),
            until: asking.grant.map(|grant| grant.until),
            viewer,
        };
        table.known.insert(id, known);
        stats.live_viewers.increment();
    }
}

impl Table {
    fn sweep(&mut self, now_ms: u64, stats: &Stats) {
        self.swept_ms = now_ms;
        self.known.retain(|_, known| {
            let stays = known.viewer.seen_ms + IDLE_MS > now_ms;
            if !stays {
                stats.live_viewers.decrement();
            }
            stays
        });
    }
}

/// Whoever panicked left a number behind that is one off, at worst.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: Grant = Grant {
        number: 5,
        until: 1_000,
    };

    fn asking(grant: Option<Grant>, agent: &[u8]) -> Asking<'_> {
        Asking {
            stream: "tone",
            grant,
            address: IpAddr::from([10, 0, 0, 1]),
            agent,
        }
    }

    #[test]
    fn a_viewer_counts_until_it_has_asked_for_nothing_for_a_while() {
        let (audience, stats) = (Audience::new(8), Stats::default());
        for now_ms in [0, 1_000, 20_000] {
            audience
                .admit(asking(None, b"a"), true, now_ms, &stats)
                .unwrap();
        }
        audience
            .admit(asking(None, b"b"), true, 20_000, &stats)
            .unwrap();
        audience
            .admit(asking(None, b"c"), false, 20_000, &stats)
            .unwrap();
        let listed = audience.list("tone", 20_000, &stats);
        assert_eq!(listed.len(), 2);
        assert!(
            listed
                .iter()
                .any(|one| one.playlists == 3 && one.agent == "a")
        );
        assert_eq!(audience.counts(20_000, &stats)["tone"], 2);
        assert_eq!(audience.list("other", 20_000, &stats), []);
        audience.sweep(50_000, &stats);
        assert_eq!(stats.live_viewers.value(), 0);
    }

    #[test]
    fn a_grant_is_one_viewer_from_wherever_it_asks() {
        let (audience, stats) = (Audience::new(8), Stats::default());
        audience
            .admit(asking(Some(GRANT), b"a"), true, 0, &stats)
            .unwrap();
        audience
            .admit(asking(Some(GRANT), b"b"), true, 0, &stats)
            .unwrap();
        assert_eq!(audience.list("tone", 0, &stats).len(), 1);
    }

    #[test]
    fn whoever_is_sent_away_is_refused_all_and_nobody_else_is() {
        let (audience, stats) = (Audience::new(8), Stats::default());
        for grant in [Some(GRANT), None] {
            audience
                .admit(asking(grant, b"a"), true, 0, &stats)
                .unwrap();
            let id = audience.list("tone", 0, &stats)[0].id;
            assert_eq!(
                audience.kick("other", id, 0, &stats),
                Err(KickError::Unknown)
            );
            audience.kick("tone", id, 0, &stats).unwrap();
            assert_eq!(
                audience.kick("tone", id, 0, &stats),
                Err(KickError::Unknown)
            );
            for is_playlist in [true, false] {
                let again = audience.admit(asking(grant, b"a"), is_playlist, 1, &stats);
                assert_eq!(again, Err(Refusal::ViewerKicked));
            }
        }
        assert_eq!(audience.admit(asking(None, b"b"), false, 1, &stats), Ok(()));
        assert_eq!(
            audience.admit(asking(None, b"a"), true, KICKED_MS, &stats),
            Ok(())
        );
        assert_eq!(stats.live_viewers.value(), 1);
        assert_eq!(stats.live_viewers_kicked.value(), 2);
    }

    #[test]
    fn more_viewers_than_are_told_apart_watch_uncounted() {
        let (audience, stats) = (Audience::new(1), Stats::default());
        for agent in [b"a", b"b"] {
            audience
                .admit(asking(None, agent), true, 0, &stats)
                .unwrap();
        }
        assert_eq!(stats.live_viewers.value(), 1);
        assert_eq!(stats.live_viewers_uncounted.value(), 1);
    }

    #[test]
    fn no_more_are_kept_away_than_there_is_place_for() {
        let (audience, stats) = (Audience::new(8), Stats::default());
        *lock(&audience.kicked) = (0..MAX_KICKED as u64).map(|id| (id, 10)).collect();
        audience.admit(asking(None, b"a"), true, 0, &stats).unwrap();
        let id = audience.list("tone", 0, &stats)[0].id;
        assert_eq!(audience.kick("tone", id, 0, &stats), Err(KickError::Full));
        assert!(audience.kick("tone", id, 10, &stats).is_ok());
    }
}
