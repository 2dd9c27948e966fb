//! Wakes those that wait for a stream from the thread on which they are.
//!
//! Woken from another thread each of them is a message to the runtime that runs them, behind a lock and with a system
//! call, and comes behind whoever asks for something new meanwhile. A herald is one message for all: it wakes the others
//! in one turn, so that all of them come before whoever has been answered and asks again.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use crate::channel::Channel;

/// The one that wakes the others, as long as there are any: to be spawned.
///
/// Input: it is woken by a change. Output: it wakes who has waited for that. Ready when nobody waits any more, or the
/// channel is gone.
pub struct Herald {
    channel: Weak<Channel>,
}

impl Herald {
    pub(crate) fn new(channel: &Arc<Channel>) -> Self {
        Self {
            channel: Arc::downgrade(channel),
        }
    }
}

impl Future for Herald {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let herald = self.get_mut();
        let Some(channel) = herald.channel.upgrade() else {
            return Poll::Ready(());
        };
        loop {
            let mut waiting = channel.lock_waiting();
            let served = waiting.take_served();
            if served.is_empty() {
                if waiting.stay(context.waker()) {
                    return Poll::Pending;
                }
                // Another may be called by now.
                herald.channel = Weak::new();
                return Poll::Ready(());
            }
            drop(waiting);
            for waker in served {
                waker.wake();
            }
        }
    }
}

impl Drop for Herald {
    /// Whoever waits is woken by whoever changes the stream from now on.
    fn drop(&mut self) {
        let Some(channel) = self.channel.upgrade() else {
            return;
        };
        let left = {
            let mut waiting = channel.lock_waiting();
            waiting.dismiss();
            waiting.take_served()
        };
        for waker in left {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::Instant;

    use roomtone_frames::{Format, OpusFormat};

    use super::*;
    use crate::{Changed, Packager, PackagerConfig, Track};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn channel() -> Arc<Channel> {
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
        let name = "audio".to_owned();
        let track = Track { name, format };
        Arc::new(Channel::new(Packager::new(config, vec![track])))
    }

    fn change(channel: &Channel) {
        #[allow(clippy::disallowed_methods, reason = "any moment")]
        let now = Instant::now();
        channel.with(|packager| packager.end(now)).unwrap();
    }

    fn poll(future: &mut (impl Future + Unpin), count: &Arc<Count>) -> bool {
        let waker = Waker::from(Arc::clone(count));
        let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
        polled.is_ready()
    }

    fn wait<'a>(channel: &'a Channel, count: &Arc<Count>) -> Changed<'a> {
        let version = channel.with(|packager| packager.version());
        let mut changed = channel.changed_since(version, None);
        assert!(!poll(&mut changed, count));
        changed
    }

    #[test]
    fn a_change_is_one_message_and_all_who_wait_are_woken_by_who_hears_it() {
        let channel = channel();
        let (waiting, heard) = (Arc::<Count>::default(), Arc::<Count>::default());
        let _all = [(); 3].map(|()| wait(&channel, &waiting));
        let mut herald = channel.herald().unwrap();
        assert!(channel.herald().is_none(), "there is one already");
        assert!(!poll(&mut herald, &heard));
        change(&channel);
        assert_eq!((waiting.get(), heard.get()), (0, 1));
        assert!(poll(&mut herald, &heard), "nobody waits any more");
        assert_eq!((waiting.get(), heard.get()), (3, 1));
        // Another may have been called before this one is gone.
        let next = channel.herald();
        drop(herald);
        assert!(next.is_some() && channel.herald().is_none());
    }

    #[test]
    fn one_that_has_not_looked_yet_misses_nothing() {
        let channel = channel();
        let (waiting, heard) = (Arc::<Count>::default(), Arc::<Count>::default());
        let _one = wait(&channel, &waiting);
        let mut herald = channel.herald().unwrap();
        change(&channel);
        assert_eq!(waiting.get(), 0);
        assert!(poll(&mut herald, &heard));
        assert_eq!((waiting.get(), heard.get()), (1, 0));
    }

    #[test]
    fn where_it_is_gone_those_who_wait_are_woken_without() {
        let channel = channel();
        let (waiting, heard) = (Arc::<Count>::default(), Arc::<Count>::default());
        let _first = wait(&channel, &waiting);
        let mut herald = channel.herald().unwrap();
        assert!(!poll(&mut herald, &heard));
        change(&channel);
        drop(herald);
        assert_eq!(waiting.get(), 1, "who was to be woken by it");
        let second = channel.herald();
        assert!(second.is_some(), "its post is free");
    }

    #[test]
    fn a_channel_that_is_gone_ends_it() {
        let channel = channel();
        let (waiting, heard) = (Arc::<Count>::default(), Arc::<Count>::default());
        let mut herald = {
            let _one = wait(&channel, &waiting);
            channel.herald().unwrap()
        };
        assert!(!poll(&mut herald, &heard));
        drop(channel);
        assert_eq!(heard.get(), 1);
        assert!(poll(&mut herald, &heard));
    }
}
