//! Segments as they stand in a playlist, written once.
//!
//! A window of a day has 21,600 segments: to write and compress them all for each state of a playlist would cost more than
//! all else that is done for a stream. What is said of a segment that lists no parts any more never changes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::squeezed::{Known, Squeezed};

/// So many rows are compressed together.
const GROUP: usize = 64;

/// What is said of the oldest segments of a list, one after the other.
#[derive(Default)]
pub(crate) struct Rows {
    text: String,
    /// Where in it what is said of segments begins that are still listed.
    from: usize,
    /// How long what is said of each is.
    lens: VecDeque<usize>,
    /// Compressed groups of rows, one behind the other.
    groups: VecDeque<Arc<Squeezed>>,
    /// Rows before the first group, and behind the last.
    before: usize,
    behind: usize,
}

impl Rows {
    /// How many segments of the list are written.
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    /// Write about the next segment.
    pub(crate) fn write(&mut self, write: impl FnOnce(String) -> String) {
        let before = self.text.len();
        self.text = write(std::mem::take(&mut self.text));
        self.lens.push_back(self.text.len() - before);
        self.behind += 1;
        if self.behind == GROUP {
            let len: usize = self.lens.iter().rev().take(GROUP).sum();
            let group = &self.text[self.text.len() - len..];
            self.groups.push_back(Arc::new(Squeezed::new(group)));
            self.behind = 0;
        }
    }

    /// The first of the list is not in it any more.
    pub(crate) fn unlist(&mut self) {
        let Some(len) = self.lens.pop_front() else {
            return;
        };
        self.from += len;
        if self.before > 0 {
            self.before -= 1;
        } else if self.groups.pop_front().is_some() {
            self.before = GROUP - 1;
        } else {
            self.behind -= 1;
        }
        // Each byte is moved once for each that was written, at most.
        if self.from > self.text.len() / 2 {
            self.text.drain(..self.from);
            self.from = 0;
        }
    }

    /// What is said of all but the first; that one says what those before it had said already.
    pub(crate) fn behind_first(&self) -> &str {
        let first = self.lens.front().copied().unwrap_or(0);
        &self.text[self.from + first..]
    }

    /// What of the same is compressed, in a text in which it begins at `at`.
    pub(crate) fn known(&self, at: usize) -> Vec<Known> {
        // The first row is written anew each time: the group that it begins is of no use.
        let unused = usize::from(self.before == 0);
        let rows = self.before + unused * GROUP;
        let mut lens = self.lens.iter();
        let mut at = at + lens.by_ref().take(rows).skip(1).sum::<usize>();
        let groups = self.groups.iter().skip(unused);
        groups
            .map(|piece| {
                let begins = at;
                at += lens.by_ref().take(GROUP).sum::<usize>();
                Known {
                    at: begins,
                    piece: Arc::clone(piece),
                }
            })
            .collect()
    }
}
