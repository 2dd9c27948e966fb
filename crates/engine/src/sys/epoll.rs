//! The poller of one shard.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Descriptors reported by one wait.
const BATCH: usize = 256;

/// A level-triggered epoll instance.
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// One descriptor that can act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// As given when it was added.
    pub(crate) token: u64,
    /// Data, a connection, an error or the end waits.
    pub(crate) readable: bool,
    /// There is room to write again.
    pub(crate) writable: bool,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            fd,
            events: Vec::with_capacity(BATCH),
        })
    }

    /// Watches a descriptor for input. Closing the descriptor ends the watch.
    pub(crate) fn add(&self, fd: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd.as_raw_fd(), token, interest(false))
    }

    /// Stops watching a descriptor that stays open.
    pub(crate) fn remove(&self, fd: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd.as_raw_fd(), 0, 0)
    }

    /// Also wants to know when there is room to write, or no more.
    pub(crate) fn watch_writable(&self, fd: &impl AsRawFd, token: u64, on: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_raw_fd(), token, interest(on))
    }

    /// Does not want to know of input for now; of errors, of the end of both ways and, with `writable`, of room to write.
    pub(crate) fn watch_no_input(
        &self,
        fd: &impl AsRawFd,
        token: u64,
        writable: bool,
    ) -> io::Result<()> {
        let wanted = interest(writable) & !libc::EPOLLIN;
        self.control(libc::EPOLL_CTL_MOD, fd.as_raw_fd(), token, wanted)
    }

    fn control(&self, operation: i32, fd: RawFd, token: u64, wanted: i32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: wanted as u32,
            u64: token,
        };
        // SAFETY: `event` is a valid epoll_event for the length of the call.
        let rc = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &raw mut event) };
        if rc < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Waits until something is ready or the time is over (rounded up to milliseconds); appends to `ready`.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let millis = timeout.map_or(-1, |t| {
            i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
        });
        // SAFETY: the vector has room for BATCH events; the kernel writes at most that many.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                BATCH as i32,
                millis,
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error)
            };
        };
        // SAFETY: the kernel initialised `count` events, which is at most the capacity.
        unsafe { self.events.set_len(count) };
        for event in &self.events {
            let (flags, token) = (event.events as i32, event.u64);
            let input = libc::EPOLLIN | libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP;
            ready.push(Ready {
                token,
                readable: flags & input != 0,
                writable: flags & libc::EPOLLOUT != 0,
            });
        }
        Ok(())
    }
}

/// What is watched for: input, and room to write where that is wanted.
const fn interest(writable: bool) -> i32 {
    libc::EPOLLIN | if writable { libc::EPOLLOUT } else { 0 }
}
