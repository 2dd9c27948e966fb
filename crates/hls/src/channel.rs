//! One packager between whoever feeds it and all who read it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use crate::packager::Packager;

/// Readers of one stream that wait at once; one more is told so.
pub const MAX_WAITING: usize = 65_536;

/// Those that wait for the next change.
#[derive(Default)]
struct Waiting {
    version: u64,
    wakers: Vec<Waker>,
}

/// A packager that one thread feeds and many read.
///
/// Its lock is held for as long as a playlist takes to write, and no longer; nobody waits inside. Limits: [`MAX_WAITING`].
pub struct Channel {
    packager: Mutex<Packager>,
    waiting: Mutex<Waiting>,
}

impl Channel {
    /// Share a packager.
    pub fn new(packager: Packager) -> Self {
        let waiting = Waiting {
            version: packager.version(),
            wakers: Vec::new(),
        };
        Self {
            packager: Mutex::new(packager),
            waiting: Mutex::new(waiting),
        }
    }

    /// Feed or ask it; whoever waits is woken when that changed something.
    pub fn with<R>(&self, act: impl FnOnce(&mut Packager) -> R) -> R {
        let (result, version) = {
            let mut packager = lock(&self.packager);
            (act(&mut packager), packager.version())
        };
        self.wake(version);
        result
    }

    /// Wait until its version is above the one given; refused when too many wait.
    pub fn changed_since(&self, version: u64) -> Changed<'_> {
        Changed {
            channel: self,
            version,
        }
    }

    /// Readers that wait now, those that gave up since the last change included.
    pub fn waiting(&self) -> usize {
        lock(&self.waiting).wakers.len()
    }

    fn wake(&self, version: u64) {
        let wakers = {
            let mut waiting = lock(&self.waiting);
            if waiting.version == version {
                return;
            }
            waiting.version = version;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Ready when a channel has changed.
pub struct Changed<'a> {
    channel: &'a Channel,
    version: u64,
}

/// More than [`MAX_WAITING`] readers wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWait;

impl Future for Changed<'_> {
    type Output = Result<(), TooManyWait>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = lock(&self.channel.waiting);
        if waiting.version > self.version {
            return Poll::Ready(Ok(()));
        }
        // Whoever gave up left a waker behind that wakes nobody; all go at the next change.
        if waiting.wakers.len() >= MAX_WAITING {
            return Poll::Ready(Err(TooManyWait));
        }
        waiting.wakers.push(context.waker().clone());
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
            Box::pin(channel.changed_since(channel.with(|packager| packager.version())));
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
    fn more_than_can_wait_are_told_so() {
        let channel = channel();
        let mut context = Context::from_waker(Waker::noop());
        let version = channel.with(|packager| packager.version());
        let mut poll = || {
            Box::pin(channel.changed_since(version))
                .as_mut()
                .poll(&mut context)
        };
        for _ in 0..MAX_WAITING {
            assert_eq!(poll(), Poll::Pending);
        }
        assert_eq!(poll(), Poll::Ready(Err(TooManyWait)));
    }
}
