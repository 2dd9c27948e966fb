//! The socket of a job: a process connects to it, is fed, and is read from. Nothing here waits.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Instant;

use super::super::program::Program;
use crate::counters::LiveCounters;

/// Read in a turn at most, so that no process keeps the thread.
const MAX_READ: usize = 4 << 20;
const READ_BYTES: usize = 64 << 10;

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

    /// Take a process in, and move what there is in both directions.
    pub(in super::super) fn serve(
        &mut self,
        program: &mut Program,
        counters: &LiveCounters,
        now: Instant,
    ) {
        // Whoever comes last is the one that was started last.
        while let Ok((stream, _)) = self.listener.accept() {
            self.lose(program, counters, now);
            if stream.set_nonblocking(true).is_ok() {
                self.stream = Some(stream);
                program.job_connected(self.job);
            }
        }
        if self.stream.is_some() && !self.read(program, counters, now) {
            self.lose(program, counters, now);
        }
        program.feed_job(self.job, counters, now);
        if self.stream.is_some() && !self.write(program) {
            self.lose(program, counters, now);
        }
    }

    fn lose(&mut self, program: &mut Program, counters: &LiveCounters, now: Instant) {
        if self.stream.take().is_some() {
            counters.transcoders_lost.up();
            program.job_lost(self.job, now);
        }
    }

    /// False where the process is gone, or is to go.
    fn read(&mut self, program: &mut Program, counters: &LiveCounters, now: Instant) -> bool {
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
                    match program.handle_made(self.job, space, now) {
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
    fn write(&mut self, program: &mut Program) -> bool {
        let Some(stream) = &mut self.stream else {
            return true;
        };
        let Some(queue) = program.job_queue(self.job) else {
            return true;
        };
        while let Some(bytes) = queue.front() {
            match stream.write(bytes) {
                Ok(0) => return false,
                Ok(written) => queue.advance(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Whoever made the folder takes it away with what is left in it.
        let _ = std::fs::remove_file(&self.path);
    }
}
