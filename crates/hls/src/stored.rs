//! Segments that have left memory: whoever drives a packager keeps them, in files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// What is done with a file that nobody needs any more: its path, and its bytes. It must not wait for anything.
pub type Discard = Arc<dyn Fn(&Path, u64) + Send + Sync>;

/// A whole segment in a file, as it is sent. The file is discarded with the last copy of this.
#[derive(Clone)]
pub struct Stored(Arc<Inner>);

struct Inner {
    path: PathBuf,
    bytes: u64,
    discard: Discard,
}

impl Drop for Inner {
    fn drop(&mut self) {
        (self.discard)(&self.path, self.bytes);
    }
}

impl Stored {
    /// So many bytes lie there.
    pub fn new(path: PathBuf, bytes: u64, discard: Discard) -> Self {
        Self(Arc::new(Inner {
            path,
            bytes,
            discard,
        }))
    }

    /// Where they can be read.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How many they are.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Stored({}, {})", self.0.path.display(), self.0.bytes)
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stored {}

/// A whole segment that is to leave memory, as soon as it is stored.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// The place of its track in the list given at the beginning.
    pub track: usize,
    /// Its media sequence number.
    pub segment: u64,
    /// What it is called in the playlist, below its track.
    pub name: String,
    /// What it consists of, one after the other.
    pub bodies: Vec<Bytes>,
    /// All together.
    pub bytes: u64,
}

/// What a program holds, in bytes of media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// In memory: segments and their parts, what is on its way out included.
    pub memory: u64,
    /// Of those, on their way out.
    pub leaving: u64,
    /// Outside of memory.
    pub stored: u64,
}

impl std::ops::Add for Holding {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            memory: self.memory + other.memory,
            leaving: self.leaving + other.leaving,
            stored: self.stored + other.stored,
        }
    }
}
