//! Segments on disk: a thread writes them, and takes away what nobody needs any more.
//!
//! Files live in a folder of this process, which holds a lock there. What a process that was killed left behind is
//! found by its lock being free, and removed at the next start; nothing of it is read again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use roomtone_hls::{Channel, Discard, Leaving, Stored};

use crate::counters::LiveCounters;

/// Bytes that may wait to be written; what finds no place stays in memory until the next tick.
const MAX_PENDING: u64 = 64 << 20;
const LOCK: &str = "lock";

/// Why a segment was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreError {
    /// There is no room.
    Full,
    /// Something else is wrong with the disk.
    Failed,
}

impl From<&io::Error> for StoreError {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed,
        }
    }
}

enum Job {
    Write {
        packager: u64,
        channel: Weak<Channel>,
        leaving: Leaving,
    },
    Discard(PathBuf),
    Stop,
}

#[derive(Default)]
struct Levels {
    /// Bytes that wait to be written.
    pending: AtomicU64,
    /// Bytes in files, and on their way there.
    used: AtomicU64,
}

/// The thread, as the live thread sees it.
pub(super) struct Store {
    jobs: Sender<Job>,
    failures: Receiver<(u64, StoreError)>,
    levels: Arc<Levels>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts it; files go into a folder below `dir`, which is made with the first of them.
    pub(super) fn start(dir: PathBuf, counters: Arc<LiveCounters>) -> io::Result<Self> {
        let (jobs, jobs_in) = channel();
        let (failures_out, failures) = channel();
        let levels = Arc::<Levels>::default();
        let discard = discard(jobs.clone(), levels.clone());
        let mut writer = Writer {
            dir,
            home: None,
            jobs: jobs_in,
            failures: failures_out,
            levels: levels.clone(),
            discard,
            counters,
        };
        let thread = std::thread::Builder::new()
            .name("live-store".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            jobs,
            failures,
            levels,
            thread: Some(thread),
        })
    }

    /// Whether another segment may be handed over.
    pub(super) fn has_space(&self) -> bool {
        self.levels.pending.load(Ordering::Relaxed) < MAX_PENDING
    }

    /// Bytes in files, and on their way there.
    pub(super) fn used(&self) -> u64 {
        self.levels.used.load(Ordering::Relaxed)
    }

    /// Write a segment, and tell its packager where it is.
    pub(super) fn write(&self, packager: u64, channel: &Arc<Channel>, leaving: Leaving) {
        let bytes = leaving.bytes;
        self.levels.pending.fetch_add(bytes, Ordering::Relaxed);
        self.levels.used.fetch_add(bytes, Ordering::Relaxed);
        let channel = Arc::downgrade(channel);
        // The thread ends after this side only.
        let _ = self.jobs.send(Job::Write {
            packager,
            channel,
            leaving,
        });
    }

    /// Wait until all that was handed over is written.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        while self.levels.pending.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }

    /// What could not be written since last asked, by its packager.
    pub(super) fn failures(&self) -> impl Iterator<Item = (u64, StoreError)> + '_ {
        self.failures.try_iter()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is done with files whose segments are gone; a thread that has ended took them away itself.
fn discard(jobs: Sender<Job>, levels: Arc<Levels>) -> Discard {
    Arc::new(move |path: &Path, bytes| {
        levels.used.fetch_sub(bytes, Ordering::Relaxed);
        let _ = jobs.send(Job::Discard(path.to_owned()));
    })
}

/// The thread's state.
struct Writer {
    dir: PathBuf,
    /// The folder of this process, and the lock in it.
    home: Option<(PathBuf, File)>,
    jobs: Receiver<Job>,
    failures: Sender<(u64, StoreError)>,
    levels: Arc<Levels>,
    discard: Discard,
    counters: Arc<LiveCounters>,
}

impl Writer {
    fn run(&mut self) {
        self.counters.stored_leftovers.add(sweep(&self.dir));
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Write {
                    packager,
                    channel,
                    leaving,
                } => self.write(packager, &channel, &leaving),
                // One that cannot be removed goes with the folder, at the end or at the next start.
                Job::Discard(path) => drop(fs::remove_file(path)),
                Job::Stop => break,
            }
        }
        if let Some((home, lock)) = self.home.take() {
            drop(lock);
            let _ = fs::remove_dir_all(home);
        }
    }

    fn write(&mut self, packager: u64, channel: &Weak<Channel>, leaving: &Leaving) {
        let bytes = leaving.bytes;
        // What has ended needs no files.
        let written = channel.upgrade().map(|channel| {
            let path = self.write_file(leaving);
            let stored = path.as_ref().ok();
            let stored = stored.map(|path| Stored::new(path.clone(), bytes, self.discard.clone()));
            channel.with(|one| one.handle_left(leaving.track, leaving.segment, stored));
            path.map(drop)
        });
        self.levels.pending.fetch_sub(bytes, Ordering::Relaxed);
        match written {
            Some(Ok(())) => {
                self.counters.segments_stored.up();
                self.counters.stored_bytes_written.add(bytes);
                return;
            }
            Some(Err(error)) => {
                self.counters.segments_unstored.up();
                let _ = self.failures.send((packager, StoreError::from(&error)));
            }
            None => {}
        }
        self.levels.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn write_file(&mut self, leaving: &Leaving) -> io::Result<PathBuf> {
        let path = self
            .home()?
            .join(format!("{}-{}", leaving.track, leaving.name));
        let write = || -> io::Result<()> {
            let mut file = File::create_new(&path)?;
            leaving
                .bodies
                .iter()
                .try_for_each(|body| file.write_all(body))
        };
        match write() {
            Ok(()) => Ok(path),
            Err(error) => {
                // What is half there is of no use.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// The folder of this process, made where it is not there yet.
    fn home(&mut self) -> io::Result<&Path> {
        if self.home.is_none() {
            self.home = Some(make_home(&self.dir)?);
        }
        self.home
            .as_ref()
            .map(|(home, _)| home.as_path())
            .ok_or_else(|| ErrorKind::NotFound.into())
    }
}

/// A folder that no other process has or takes away.
fn make_home(dir: &Path) -> io::Result<(PathBuf, File)> {
    fs::create_dir_all(dir)?;
    for number in 0.. {
        let home = dir.join(format!("{}-{number}", std::process::id()));
        match fs::create_dir(&home) {
            Ok(()) => {
                // It has its name once it is locked: who finds it free finds nobody.
                let unnamed = home.join("unnamed");
                let lock = File::create_new(&unnamed)?;
                lock.lock()?;
                fs::rename(unnamed, home.join(LOCK))?;
                return Ok((home, lock));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Removes what processes left behind that are gone; how many folders those were.
fn sweep(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    let left = |home: &PathBuf| {
        let lock = File::open(home.join(LOCK));
        lock.is_ok_and(|lock| lock.try_lock().is_ok())
    };
    let homes = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let removed = homes
        .filter(left)
        .filter(|home| fs::remove_dir_all(home).is_ok());
    removed.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let unique = format!("roomtone-store-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(unique);
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn leaving(segment: u64) -> Leaving {
        Leaving {
            track: 0,
            segment,
            name: format!("r-s{segment}.m4s"),
            bodies: vec![vec![1; 10].into(), vec![2; 5].into()],
            bytes: 15,
        }
    }

    fn writer(dir: &Path) -> Writer {
        let (jobs, jobs_in) = channel();
        let levels = Arc::<Levels>::default();
        Writer {
            dir: dir.to_owned(),
            home: None,
            jobs: jobs_in,
            failures: channel().0,
            discard: discard(jobs, levels.clone()),
            levels,
            counters: Arc::default(),
        }
    }

    #[test]
    fn what_is_written_is_what_was_given() {
        let dir = folder("written");
        let mut writer = writer(&dir);
        let path = writer.write_file(&leaving(3)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [&[1; 10][..], &[2; 5]].concat());
        // A name is written once.
        assert!(writer.write_file(&leaving(3)).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_a_process_left_behind_is_removed_and_what_another_has_is_not() {
        let dir = folder("swept");
        let (held, _lock) = make_home(&dir).unwrap();
        let (left, lock) = make_home(&dir).unwrap();
        fs::write(left.join("0-r-s1.m4s"), "x").unwrap();
        drop(lock);
        assert_eq!(sweep(&dir), 1);
        assert!(held.exists() && !left.exists());
        assert_eq!(sweep(&dir.join("nothing")), 0);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_failure_that_is_told() {
        let dir = folder("barred");
        fs::write(&dir, "a file").unwrap();
        let error = writer(&dir.join("below"))
            .write_file(&leaving(0))
            .unwrap_err();
        assert_eq!(StoreError::from(&error), StoreError::Failed);
        let full = io::Error::from(ErrorKind::StorageFull);
        assert_eq!(StoreError::from(&full), StoreError::Full);
        fs::remove_file(dir).unwrap();
    }
}
