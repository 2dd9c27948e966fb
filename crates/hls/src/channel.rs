//! One packager between whoever feeds it and all who read it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::herald::Herald;
use crate::packager::Packager;
use crate::waiting::{Changed, Waiting};

/// A packager that one thread feeds and many read.
///
/// Its lock is held for as long as a playlist takes to write, and no longer; nobody waits inside. A change of sound wakes
/// nobody who waits for pictures. Limits: [`MAX_WAITING`](crate::MAX_WAITING).
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
        let woken = {
            let mut waiting = lock(&self.waiting);
            waiting.note(version, shown);
            waiting.release()
        };
        drop(packager);
        for waker in woken {
            waker.wake();
        }
        result
    }

    /// Wait until a track, or any without one, has changed after the version given; refused when too many wait.
    pub fn changed_since(&self, version: u64, track: Option<usize>) -> Changed<'_> {
        Changed::new(self, version, track)
    }

    /// Who wakes those that wait, to be run where they are; none where one does already.
    pub fn herald(self: &Arc<Self>) -> Option<Herald> {
        self.lock_waiting().claim().then(|| Herald::new(self))
    }

    /// Readers that wait now, those that gave up since the last change included.
    pub fn waiting(&self) -> usize {
        self.lock_waiting().len()
    }

    pub(crate) fn lock_waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Drop for Channel {
    /// Nobody waits any more, and nobody is to wait for them.
    fn drop(&mut self) {
        let waiting = self.waiting.get_mut();
        if let Some(herald) = waiting.unwrap_or_else(PoisonError::into_inner).dismiss() {
            herald.wake();
        }
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
