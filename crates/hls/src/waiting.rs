//! Who waits for a change of a stream, and who wakes them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::channel::Channel;
use crate::packager::Shown;

/// Readers of one stream that wait at once; one more is told so.
pub const MAX_WAITING: usize = 65_536;

/// One that waits, and for what: a change of a track behind a version, or of any.
struct Waiter {
    track: Option<usize>,
    version: u64,
    waker: Waker,
}

/// Whether somebody wakes those that wait, where they are.
#[derive(Default)]
enum Post {
    /// Nobody: whoever changes the stream wakes them itself.
    #[default]
    Vacant,
    /// Somebody who has not looked yet.
    Claimed,
    /// By this it hears that there is somebody to wake.
    Manned(Waker),
}

/// How far the tracks have come, and those that wait for more.
#[derive(Default)]
pub(crate) struct Waiting {
    version: u64,
    /// What each track shows, and in which version that became so.
    tracks: Vec<(Shown, u64)>,
    waiters: Vec<Waiter>,
    /// Those that have what they waited for, and are to be woken by the herald.
    served: Vec<Waker>,
    herald: Post,
}

impl Waiting {
    /// The version in which a track last changed; of one that is not known yet, that of the whole.
    fn version_of(&self, track: Option<usize>) -> u64 {
        track
            .and_then(|track| self.tracks.get(track))
            .map_or(self.version, |(_, version)| *version)
    }

    pub(crate) fn note(&mut self, version: u64, shown: Vec<Shown>) {
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

    /// Whoever has what it waited for waits no more; who is to be woken now: all of them, or the herald.
    pub(crate) fn release(&mut self) -> Vec<Waker> {
        let waiters = std::mem::take(&mut self.waiters);
        let (served, waiting): (Vec<_>, _) = waiters
            .into_iter()
            .partition(|one| self.version_of(one.track) > one.version);
        self.waiters = waiting;
        let served = served.into_iter().map(|one| one.waker);
        match &self.herald {
            Post::Vacant => return served.collect(),
            Post::Claimed | Post::Manned(_) => self.served.extend(served),
        }
        match std::mem::replace(&mut self.herald, Post::Claimed) {
            Post::Manned(waker) if !self.served.is_empty() => vec![waker],
            post => {
                self.herald = post;
                Vec::new()
            }
        }
    }

    /// Whether whoever asks is the herald now.
    pub(crate) fn claim(&mut self) -> bool {
        let is_free = matches!(self.herald, Post::Vacant);
        if is_free {
            self.herald = Post::Claimed;
        }
        is_free
    }

    /// Those that the herald is to wake.
    pub(crate) fn take_served(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.served)
    }

    /// The herald waits for more; false where nobody else does, and it is not needed.
    pub(crate) fn stay(&mut self, waker: &Waker) -> bool {
        let is_needed = !self.waiters.is_empty();
        self.herald = if is_needed {
            Post::Manned(waker.clone())
        } else {
            Post::Vacant
        };
        is_needed
    }

    /// There is no herald any more; by what it was woken.
    pub(crate) fn dismiss(&mut self) -> Option<Waker> {
        match std::mem::take(&mut self.herald) {
            Post::Manned(waker) => Some(waker),
            Post::Vacant | Post::Claimed => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }
}

/// Ready when a channel has changed.
pub struct Changed<'a> {
    channel: &'a Channel,
    track: Option<usize>,
    version: u64,
}

impl<'a> Changed<'a> {
    pub(crate) fn new(channel: &'a Channel, version: u64, track: Option<usize>) -> Self {
        Self {
            channel,
            track,
            version,
        }
    }
}

/// More than [`MAX_WAITING`] readers wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWait;

impl Future for Changed<'_> {
    type Output = Result<(), TooManyWait>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = self.channel.lock_waiting();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::{Packager, PackagerConfig, Track};
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
