//! The socket of a job: a process connects to it, is fed, and is read from. Nothing here waits.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Instant;

use super::super::program::Program;
use super::queue::Queue;
use crate::counters::LiveCounters;

/// Read in a turn at most, so that no process keeps the thread.
const MAX_READ: usize = 4 << 20;
const READ_BYTES: usize = 64 << 10;

/// Whoever has units for a process, and takes what that makes of them.
pub(super) trait Served {
    /// A process has come.
    fn connected(&mut self);
    /// It is gone.
    fn lost(&mut self, now: Instant);
    /// Take what it sent; how many units that was, or none where it cannot be read.
    fn handle_bytes(&mut self, bytes: &[u8], now: Instant) -> Option<u64>;
    /// Put what there is into the queue.
    fn feed(&mut self, counters: &LiveCounters, now: Instant);
    /// Work with what waits for the process; true where there is nothing to work with.
    fn with_queue(&mut self, work: &mut dyn FnMut(&mut Queue) -> bool) -> bool;
}

/// A job of a program.
pub(in super::super) struct OfProgram<'a>(pub(in super::super) &'a mut Program, u64);

impl Served for OfProgram<'_> {
    fn connected(&mut self) {
        self.0.job_connected(self.1);
    }

    fn lost(&mut self, now: Instant) {
        self.0.job_lost(self.1, now);
    }

    fn handle_bytes(&mut self, bytes: &[u8], now: Instant) -> Option<u64> {
        self.0.handle_made(self.1, bytes, now)
    }

    fn feed(&mut self, counters: &LiveCounters, now: Instant) {
        self.0.feed_job(self.1, counters, now);
    }

    fn with_queue(&mut self, work: &mut dyn FnMut(&mut Queue) -> bool) -> bool {
        self.0.job_queue(self.1).is_none_or(work)
    }
}

/// Where the process of a job connects.
pub(in super::super) struct Link {
    job: u64,
    path: PathBuf,
    listener: UnixListener,
    stream: Option<UnixStream>,
    space: Vec<u8>,
}

impl Link {
    /// Listen at a path at which there is nothing yet.
    pub(in super::super) fn open(job: u64, path: &str) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            job,
            path: PathBuf::from(path),
            listener,
            stream: None,
            space: vec![0; READ_BYTES],
        })
    }

    pub(in super::super) fn id(&self) -> u64 {
        self.job
    }

    /// Serve a job of a program.
    pub(in super::super) fn serve_program(
        &mut self,
        program: &mut Program,
        counters: &LiveCounters,
        now: Instant,
    ) {
        let mut job = OfProgram(program, self.job);
        self.serve(&mut job, counters, now);
    }

    /// Take a process in, and move what there is in both directions.
    pub(super) fn serve(
        &mut self,
        served: &mut impl Served,
        counters: &LiveCounters,
        now: Instant,
    ) {
        // Whoever comes last is the one that was started last.
        while let Ok((stream, _)) = self.listener.accept() {
            self.lose(served, counters, now);
            if stream.set_nonblocking(true).is_ok() {
                self.stream = Some(stream);
                served.connected();
            }
        }
        if self.stream.is_some() && !self.read(served, counters, now) {
            self.lose(served, counters, now);
        }
        served.feed(counters, now);
        if self.stream.is_some() && !self.write(served) {
            self.lose(served, counters, now);
        }
    }

    fn lose(&mut self, served: &mut impl Served, counters: &LiveCounters, now: Instant) {
        if self.stream.take().is_some() {
            counters.transcoders_lost.up();
            served.lost(now);
        }
    }

    /// False where the process is gone, or is to go.
    fn read(&mut self, served: &mut impl Served, counters: &LiveCounters, now: Instant) -> bool {
        let Some(stream) = &mut self.stream else {
            return true;
        };
        let mut taken = 0;
        while taken < MAX_READ {
            match stream.read(&mut self.space) {
                Ok(0) => return false,
                Ok(bytes) => {
                    taken += bytes;
                    let space = &self.space[..bytes];
                    match served.handle_bytes(space, now) {
                        Some(units) => counters.transcoder_units_made.add(units),
                        None => return false,
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// False where the process is gone.
    fn write(&mut self, served: &mut impl Served) -> bool {
        let Some(stream) = &mut self.stream else {
            return true;
        };
        served.with_queue(&mut |queue| {
            while let Some(bytes) = queue.front() {
                match stream.write(bytes) {
                    Ok(0) => return false,
                    Ok(written) => queue.advance(written),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
            true
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Whoever made the folder takes it away with what is left in it.
        let _ = std::fs::remove_file(&self.path);
    }
}
