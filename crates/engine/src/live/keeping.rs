//! How much of all live streams is kept, and where: in memory what is new, on disk what is old, and nothing beyond the
//! limits.
//!
//! Whatever has to go, the oldest segment goes first: of the stream that is over its own limit, or of the largest where
//! all together are over theirs. A list is never shorter than three target durations; where that is too much still,
//! nobody begins another stream.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roomtone_hls::{Channel, Holding};

use super::pressing::Fill;
use super::store::{Store, StoreError};
use crate::counters::LiveCounters;
use crate::values::{LiveConfig, PackagerWarning};

/// A disk that failed is tried again after so long.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// A stream that is kept.
pub(super) struct Kept {
    pub(super) packager: u64,
    pub(super) channel: Arc<Channel>,
}

/// What is kept of all streams.
pub(super) struct Keeping {
    limits: LiveConfig,
    store: Option<Store>,
    /// No further stream may begin.
    full: Arc<AtomicBool>,
    /// When the disk may be written to again.
    paused: Option<Instant>,
    counters: Arc<LiveCounters>,
}

impl Keeping {
    pub(super) fn new(
        limits: LiveConfig,
        full: Arc<AtomicBool>,
        counters: Arc<LiveCounters>,
    ) -> io::Result<Self> {
        let is_wanted =
            !limits.store_dir.is_empty() && limits.disk_bytes > 0 && limits.disk_stream_bytes > 0;
        let dir = is_wanted.then(|| PathBuf::from(&limits.store_dir));
        // Without it all stays in memory, within its limits.
        let store = dir.map(|dir| Store::start(dir, counters.clone()));
        Ok(Self {
            limits,
            store: store.transpose()?,
            full,
            paused: None,
            counters,
        })
    }

    /// What a stream holds of what it may.
    pub(super) fn memory_of(&self, channel: &Channel) -> Fill {
        let bytes = in_memory(channel.with(|packager| packager.holding()));
        Fill::of_bytes(bytes, self.limits.memory_stream_bytes)
    }

    /// What all together hold, as of the last turn.
    pub(super) fn all_memory(&self) -> Fill {
        let bytes = self.counters.live_memory_bytes.get();
        Fill::of_bytes(bytes, self.limits.memory_bytes)
    }

    /// Keep all within the limits; what is to be told of whom.
    pub(super) fn tend(&mut self, all: &[Kept], now: Instant) -> Vec<(u64, PackagerWarning)> {
        let mut told = Vec::new();
        self.take_failures(all, now, &mut told);
        if self.paused.is_none_or(|until| until <= now) {
            self.paused = None;
            let sum: u64 = all.iter().map(|one| in_memory(holding(one))).sum();
            let is_pressed = is_near(sum, self.limits.memory_bytes);
            for one in all {
                self.store_old(one, is_pressed, all, &mut told);
            }
        }
        for one in all {
            let limit = self.limits.memory_stream_bytes;
            while in_memory(holding(one)) > limit
                && self.forget(one, PackagerWarning::MemoryFull, &mut told)
            {}
        }
        self.limit_memory(all, &mut told);
        told
    }

    /// All together within their limit: the oldest of the largest goes.
    fn limit_memory(&mut self, all: &[Kept], told: &mut Vec<(u64, PackagerWarning)>) {
        let limit = self.limits.memory_bytes;
        let mut sizes: Vec<u64> = all.iter().map(|one| in_memory(holding(one))).collect();
        let mut may = vec![true; all.len()];
        while sizes.iter().sum::<u64>() > limit {
            let largest = (0..all.len())
                .filter(|&at| may[at])
                .max_by_key(|&at| sizes[at]);
            let Some(at) = largest else {
                break;
            };
            may[at] = self.forget(&all[at], PackagerWarning::MemoryFull, told);
            sizes[at] = in_memory(holding(&all[at]));
        }
        let sum = sizes.iter().sum::<u64>();
        self.full.store(sum >= limit, Ordering::Relaxed);
        self.counters.live_memory_bytes.set(sum);
        let stored = self.store.as_ref().map_or(0, Store::used);
        self.counters.live_stored_bytes.set(stored);
    }

    /// Hand what is old to the disk, after room was made for it there.
    fn store_old(
        &self,
        one: &Kept,
        is_pressed: bool,
        all: &[Kept],
        told: &mut Vec<(u64, PackagerWarning)>,
    ) {
        let Some(store) = &self.store else {
            return;
        };
        let is_large = is_near(in_memory(holding(one)), self.limits.memory_stream_bytes);
        let keep_us = if is_pressed || is_large {
            0
        } else {
            self.limits.memory_ms * 1000
        };
        while store.has_space() {
            let Some(leaving) = one.channel.with(|packager| packager.next_leaving(keep_us)) else {
                return;
            };
            let on_disk = |of: &Kept| {
                let holding = holding(of);
                holding.stored + holding.leaving
            };
            let limit = self.limits.disk_stream_bytes;
            while on_disk(one) > limit && self.forget(one, PackagerWarning::DiskFull, told) {}
            let limit = self.limits.disk_bytes.saturating_sub(leaving.bytes);
            while store.used() > limit {
                let largest = all.iter().max_by_key(|of| holding(of).stored);
                let largest = largest.filter(|of| holding(of).stored > 0);
                if !largest.is_some_and(|of| self.forget(of, PackagerWarning::DiskFull, told)) {
                    break;
                }
            }
            if on_disk(one) > self.limits.disk_stream_bytes || store.used() > limit {
                // There is no room at all: it stays where it is.
                let (track, segment) = (leaving.track, leaving.segment);
                one.channel
                    .with(|packager| packager.handle_left(track, segment, None));
                return;
            }
            store.write(one.packager, &one.channel, leaving);
        }
        self.counters.store_waits.up();
    }

    fn take_failures(
        &mut self,
        all: &[Kept],
        now: Instant,
        told: &mut Vec<(u64, PackagerWarning)>,
    ) {
        let failures: Vec<_> = self.store.iter().flat_map(Store::failures).collect();
        for (packager, error) in failures {
            self.paused = Some(now + TRY_AGAIN);
            match error {
                StoreError::Failed => told.push((packager, PackagerWarning::DiskFailed)),
                StoreError::Full => {
                    told.push((packager, PackagerWarning::DiskFull));
                    // As much as did not fit, or about: somebody else may have filled it.
                    let largest = all.iter().max_by_key(|of| holding(of).stored);
                    if let Some(of) = largest.filter(|of| holding(of).stored > 0) {
                        self.forget(of, PackagerWarning::DiskFull, told);
                    }
                }
            }
        }
    }

    fn forget(
        &self,
        one: &Kept,
        why: PackagerWarning,
        told: &mut Vec<(u64, PackagerWarning)>,
    ) -> bool {
        let done = one.channel.with(roomtone_hls::Packager::forget_oldest);
        if done {
            self.counters.segments_forgotten.up();
            if !told.contains(&(one.packager, why)) {
                told.push((one.packager, why));
            }
        }
        done
    }
}

fn holding(one: &Kept) -> Holding {
    one.channel.with(|packager| packager.holding())
}

/// From three quarters of a limit on the disk is to help before it is reached.
fn is_near(bytes: u64, limit: u64) -> bool {
    bytes > limit / 4 * 3
}

/// What is on its way to the disk is no burden much longer, and bounded.
fn in_memory(holding: Holding) -> u64 {
    holding.memory.saturating_sub(holding.leaving)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use roomtone_frames::{AccessUnit, Format, OpusFormat};
    use roomtone_hls::{Packager, PackagerConfig, Track};

    use super::*;

    /// Bytes of a second of a stream: 50 frames.
    const SECOND: u64 = 50 * 1_000;

    fn folder(name: &str) -> PathBuf {
        let unique = format!("roomtone-keeping-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(unique);
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn limits(dir: &Path) -> LiveConfig {
        LiveConfig {
            store_dir: dir.to_str().unwrap().to_owned(),
            memory_ms: 60_000,
            ..LiveConfig::default()
        }
    }

    /// Streams of sound that are kept within limits.
    struct Hall {
        keeping: Keeping,
        full: Arc<AtomicBool>,
        streams: Vec<Kept>,
        fed: Vec<i64>,
        begun: Instant,
        told: Vec<(u64, PackagerWarning)>,
    }

    impl Hall {
        fn new(limits: LiveConfig, streams: u64) -> Self {
            let full = Arc::<AtomicBool>::default();
            let stream = |packager| {
                let config = PackagerConfig {
                    run: format!("r{packager}"),
                    part_us: None,
                    window_us: 600_000_000,
                    zero_us: 0,
                };
                let format = Format::Opus(OpusFormat {
                    channels: 2,
                    pre_skip: 0,
                });
                let track = Track {
                    name: "audio".to_owned(),
                    format,
                };
                let channel = Arc::new(Channel::new(Packager::new(config, vec![track])));
                Kept { packager, channel }
            };
            Self {
                keeping: Keeping::new(limits, full.clone(), Arc::default()).unwrap(),
                full,
                streams: (1..=streams).map(stream).collect(),
                fed: vec![0; streams as usize],
                begun: Instant::now(),
                told: Vec::new(),
            }
        }

        fn feed(&mut self, stream: usize, seconds: i64) {
            for _ in 0..seconds {
                for _ in 0..50 {
                    let at = self.fed[stream] * 960;
                    self.fed[stream] += 1;
                    let unit = AccessUnit {
                        dts: at,
                        pts: at,
                        keyframe: true,
                        data: vec![7; 1_000].into(),
                    };
                    let channel = &self.streams[stream].channel;
                    let now = self.begun + Duration::from_millis(at as u64 / 48);
                    channel.with(|one| one.handle_unit(0, unit, now)).unwrap();
                }
                self.tend();
            }
        }

        fn tend(&mut self) {
            let newest = self.fed.iter().max().copied().unwrap_or(0);
            let now = self.begun + Duration::from_millis(newest as u64 * 20);
            let told = self.keeping.tend(&self.streams, now);
            self.told.extend(told);
            self.keeping.store.iter().for_each(Store::settle);
        }

        fn holding(&self, stream: usize) -> Holding {
            holding(&self.streams[stream])
        }

        fn listed_s(&self, stream: usize) -> u64 {
            self.streams[stream]
                .channel
                .with(|one| one.held()[0].listed_ms / 1000)
        }
    }

    fn files(dir: &Path) -> usize {
        let homes = fs::read_dir(dir).into_iter().flatten().flatten();
        let files =
            homes.flat_map(|home| fs::read_dir(home.path()).into_iter().flatten().flatten());
        files
            .filter(|file| file.path().extension().is_some_and(|kind| kind == "m4s"))
            .count()
    }

    #[test]
    fn what_is_old_is_on_disk_and_goes_with_the_stream() {
        let dir = folder("old");
        let mut hall = Hall::new(limits(&dir), 1);
        hall.feed(0, 300);
        let holding = hall.holding(0);
        assert!(holding.memory < 70 * SECOND * 11 / 10, "{holding:?}");
        assert!(holding.stored > 225 * SECOND, "{holding:?}");
        assert_eq!(
            hall.keeping.counters.live_stored_bytes.get(),
            holding.stored
        );
        assert!(files(&dir) > 55);
        assert_eq!((hall.listed_s(0) / 10, hall.told.len()), (29, 0));
        hall.streams.clear();
        // All is done in its order: what is to be removed is so before the thread ends.
        drop(hall);
        assert_eq!((files(&dir), fs::read_dir(&dir).unwrap().count()), (0, 0));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_disk_that_is_full_shortens_the_window_and_the_stream_goes_on() {
        let dir = folder("full");
        let limits = LiveConfig {
            disk_stream_bytes: 60 * SECOND,
            disk_bytes: 90 * SECOND,
            ..limits(&dir)
        };
        let mut hall = Hall::new(limits, 2);
        hall.feed(0, 200);
        assert!(hall.holding(0).stored <= 60 * SECOND);
        assert!(
            (100..140).contains(&hall.listed_s(0)),
            "{}",
            hall.listed_s(0)
        );
        assert!(
            hall.told
                .iter()
                .all(|told| *told == (1, PackagerWarning::DiskFull))
        );
        assert!(!hall.told.is_empty());
        // Another stream has its share: the larger one gives it up.
        hall.feed(1, 115);
        let stored = [0, 1].map(|stream| hall.holding(stream).stored);
        assert!(stored.iter().sum::<u64>() <= 90 * SECOND, "{stored:?}");
        assert!(stored[0].abs_diff(stored[1]) < 15 * SECOND, "{stored:?}");
        assert!(hall.holding(0).memory < 75 * SECOND);
        drop(hall);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_disk_that_fails_is_told_of_and_memory_stays_within_its_limit() {
        let dir = folder("failed");
        fs::write(&dir, "no folder").unwrap();
        let limits = LiveConfig {
            memory_stream_bytes: 120 * SECOND,
            ..limits(&dir)
        };
        let mut hall = Hall::new(limits, 1);
        hall.feed(0, 100);
        assert!(
            hall.told
                .iter()
                .all(|told| *told == (1, PackagerWarning::DiskFailed))
        );
        assert!(!hall.told.is_empty());
        assert_eq!(hall.listed_s(0) / 10, 9);
        hall.feed(0, 200);
        let holding = hall.holding(0);
        assert!(
            holding.memory <= 121 * SECOND && holding.stored == 0,
            "{holding:?}"
        );
        assert!(hall.told.contains(&(1, PackagerWarning::MemoryFull)));
        // As soon as it can be written to, it is.
        fs::remove_file(&dir).unwrap();
        hall.feed(0, 20);
        assert!(hall.holding(0).memory < 70 * SECOND * 11 / 10);
        drop(hall);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_largest_gives_way_and_nobody_begins_where_that_does_not_suffice() {
        let limits = LiveConfig {
            memory_stream_bytes: 150 * SECOND,
            memory_bytes: 200 * SECOND,
            ..LiveConfig::default()
        };
        let mut hall = Hall::new(limits, 2);
        hall.feed(0, 200);
        assert!(hall.holding(0).memory <= 150 * SECOND);
        assert!(hall.told.contains(&(1, PackagerWarning::MemoryFull)));
        hall.told.clear();
        hall.feed(1, 80);
        let memory = [0, 1].map(|stream| hall.holding(stream).memory);
        assert!(memory.iter().sum::<u64>() <= 200 * SECOND, "{memory:?}");
        assert!(memory[1] >= 78 * SECOND, "{memory:?}");
        assert!(hall.told.iter().all(|(packager, _)| *packager == 1));
        assert!(!hall.full.load(Ordering::Relaxed));
        // So little that three target durations of each are more.
        hall.keeping.limits.memory_bytes = 20 * SECOND;
        hall.tend();
        assert!(hall.full.load(Ordering::Relaxed));
        assert!([0, 1].into_iter().all(|stream| hall.listed_s(stream) >= 12));
        assert!(hall.keeping.counters.live_memory_bytes.get() > 20 * SECOND);
    }

    #[test]
    fn with_a_disk_memory_that_is_used_up_is_relieved_by_it() {
        let dir = folder("relieved");
        let limits = LiveConfig {
            memory_bytes: 40 * SECOND,
            ..limits(&dir)
        };
        let mut hall = Hall::new(limits, 1);
        hall.feed(0, 200);
        assert!(hall.holding(0).memory <= 40 * SECOND);
        assert_eq!((hall.listed_s(0) / 10, hall.told.len()), (19, 0));
        drop(hall);
        fs::remove_dir_all(dir).unwrap();
    }
}
