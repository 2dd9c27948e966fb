//! One packager between whoever feeds it and all who read it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use crate::packager::{Packager, Shown};

/// Readers of one stream that wait at once; one more is told so.
pub const MAX_WAITING: usize = 65_536;

/// One that waits, and for what: a change of a track behind a version, or of any.
struct Waiter {
    track: Option<usize>,
    version: u64,
    waker: Waker,
}

/// How far the tracks have come, and those that wait for more.
#[derive(Default)]
struct Waiting {
    version: u64,
    /// What each track shows, and in which version that became so.
    tracks: Vec<(Shown, u64)>,
    waiters: Vec<Waiter>,
}

impl Waiting {
    /// The version in which a track last changed; of one that is not known yet, that of the whole.
    fn version_of(&self, track: Option<usize>) -> u64 {
        track
            .and_then(|track| self.tracks.get(track))
            .map_or(self.version, |(_, version)| *version)
    }

    fn note(&mut self, version: u64, shown: Vec<Shown>) {
        self.version = version;
        let before = std::mem::take(&mut self.tracks);
        self.tracks = shown
            .into_iter()
            .enumerate()
            .map(|(track, now)| match before.get(track) {
                Some((then, since)) if *then == now => (now, *since),
                _ => (now, version),
            })
            .collect();
    }

    /// Takes out whoever has what it waits for.
    fn served(&mut self) -> Vec<Waiter> {
        let waiters = std::mem::take(&mut self.waiters);
        let (served, waiting) = waiters
            .into_iter()
            .partition(|one| self.version_of(one.track) > one.version);
        self.waiters = waiting;
        served
    }
}

/// A packager that one thread feeds and many read.
///
/// Its lock is held for as long as a playlist takes to write, and no longer; nobody waits inside. A change of sound wakes
/// nobody who waits for pictures. Limits: [`MAX_WAITING`].
pub struct Channel {
    packager: Mutex<Packager>,
    waiting: Mutex<Waiting>,
}

impl Channel {
    /// Share a packager.
    pub fn new(packager: Packager) -> Self {
        let mut waiting = Waiting::default();
        waiting.note(packager.version(), packager.shown());
        Self {
            packager: Mutex::new(packager),
            waiting: Mutex::new(waiting),
        }
    }

    /// Feed or ask it; whoever waits is woken when that changed something.
    pub fn with<R>(&self, act: impl FnOnce(&mut Packager) -> R) -> R {
        let mut packager = lock(&self.packager);
        let before = packager.version();
        let result = act(&mut packager);
        let version = packager.version();
        if version == before {
            return result;
        }
        let shown = packager.shown();
        // Held until it is noted what changed, so that notes are in the order of changes.
        let served = {
            let mut waiting = lock(&self.waiting);
            waiting.note(version, shown);
            waiting.served()
        };
        drop(packager);
        for one in served {
            one.waker.wake();
        }
        result
    }

    /// Wait until a track, or any without one, has changed after the version given; refused when too many wait.
    pub fn changed_since(&self, version: u64, track: Option<usize>) -> Changed<'_> {
        Changed {
            channel: self,
            track,
            version,
        }
    }

    /// Readers that wait now, those that gave up since the last change included.
    pub fn waiting(&self) -> usize {
        lock(&self.waiting).waiters.len()
    }
}

/// Ready when a channel has changed.
pub struct Changed<'a> {
    channel: &'a Channel,
    track: Option<usize>,
    version: u64,
}

/// More than [`MAX_WAITING`] readers wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWait;

impl Future for Changed<'_> {
    type Output = Result<(), TooManyWait>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = lock(&self.channel.waiting);
        if waiting.version_of(self.track) > self.version {
            return Poll::Ready(Ok(()));
        }
        // Whoever gave up left a waker behind that wakes nobody; it goes at the next change of its track.
        if waiting.waiters.len() >= MAX_WAITING {
            return Poll::Ready(Err(TooManyWait));
        }
        waiting.waiters.push(Waiter {
            track: self.track,
            version: self.version,
            waker: context.waker().clone(),
        });
        Poll::Pending
    }
}

/// All live streams that can be read, by name.
#[derive(Default)]
pub struct Shelf {
    channels: RwLock<BTreeMap<String, Arc<Channel>>>,
}

impl Shelf {
    /// Put a stream there; one of the same name leaves, and is given back.
    pub fn put(&self, name: String, channel: Arc<Channel>) -> Option<Arc<Channel>> {
        self.channels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, channel)
    }

    /// Take a stream away.
    pub fn take(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name)
    }

    /// Find a stream.
    pub fn get(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }
}

/// A reader that panicked has changed nothing that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::{PackagerConfig, Track};
    use roomtone_frames::{Format, OpusFormat};

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn channel() -> Channel {
        let config = PackagerConfig {
            run: "r".to_owned(),
            part_us: None,
            window_us: 0,
            zero_us: 0,
        };
        let format = Format::Opus(OpusFormat {
            channels: 1,
            pre_skip: 0,
        });
        Channel::new(Packager::new(
            config,
            vec![Track {
                name: "audio".to_owned(),
                format,
            }],
        ))
    }

    #[test]
    fn whoever_waits_is_woken_once_by_a_change_and_by_nothing_else() {
        let channel = channel();
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut changed =
            Box::pin(channel.changed_since(channel.with(|packager| packager.version()), None));
        assert_eq!(changed.as_mut().poll(&mut context), Poll::Pending);
        channel.with(|packager| packager.cadence());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        #[allow(clippy::disallowed_methods, reason = "any moment")]
        channel
            .with(|packager| packager.end(std::time::Instant::now()))
            .unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(changed.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_change_of_one_track_wakes_nobody_who_waits_for_another() {
        let format = |channels| {
            Format::Opus(OpusFormat {
                channels,
                pre_skip: 0,
            })
        };
        let track = |name: &str, format| Track {
            name: name.to_owned(),
            format,
        };
        let config = PackagerConfig {
            run: "r".to_owned(),
            part_us: None,
            window_us: 0,
            zero_us: 0,
        };
        let tracks = vec![track("one", format(1)), track("two", format(2))];
        let channel = Channel::new(Packager::new(config, tracks));
        #[allow(clippy::disallowed_methods, reason = "any moment")]
        let now = std::time::Instant::now();
        let feed = |track, frames: std::ops::Range<i64>| {
            for frame in frames {
                let unit = roomtone_frames::AccessUnit {
                    dts: frame * 960,
                    pts: frame * 960,
                    keyframe: true,
                    data: vec![0; 10].into(),
                };
                channel
                    .with(|packager| packager.handle_unit(track, unit, now))
                    .unwrap();
            }
        };
        for second in 0..10 {
            let frames = second * 50..(second + 1) * 50;
            feed(0, frames.clone());
            feed(1, frames);
        }
        let version = channel.with(|packager| packager.version());
        let find = |name| channel.with(|packager| packager.track(name));
        let counts: Vec<_> = ["one", "two"]
            .into_iter()
            .map(|name| {
                let woken = Arc::new(Count(AtomicUsize::new(0)));
                let waker = Waker::from(Arc::clone(&woken));
                let mut changed = Box::pin(channel.changed_since(version, find(name)));
                let polled = changed.as_mut().poll(&mut Context::from_waker(&waker));
                assert_eq!(polled, Poll::Pending);
                woken
            })
            .collect();
        let woken = || -> Vec<_> {
            let counts = counts.iter();
            counts.map(|one| one.0.load(Ordering::Relaxed)).collect()
        };
        feed(0, 500..520);
        assert_eq!(woken(), [1, 0]);
        assert_eq!(channel.waiting(), 1);
        feed(1, 500..520);
        assert_eq!(woken(), [1, 1]);
    }

    #[test]
    fn more_than_can_wait_are_told_so() {
        let channel = channel();
        let mut context = Context::from_waker(Waker::noop());
        let version = channel.with(|packager| packager.version());
        let mut poll = || {
            Box::pin(channel.changed_since(version, None))
                .as_mut()
                .poll(&mut context)
        };
        for _ in 0..MAX_WAITING {
            assert_eq!(poll(), Poll::Pending);
        }
        assert_eq!(poll(), Poll::Ready(Err(TooManyWait)));
    }
}
