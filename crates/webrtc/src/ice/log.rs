//! Which pairs were tried and what answered: the text of a failure.

use std::fmt::Write;

use crate::address::FiveTuple;

/// One pair's history.
#[derive(Debug)]
struct PairHistory {
    tuple: FiveTuple,
    sent: u32,
    answered: u32,
    asked: u32,
    refused: u32,
    last_error: Option<u16>,
    /// Times it was left because it was silent while another one answered.
    left_silent: u32,
}

/// A bounded list of pairs; what does not fit is only counted.
#[derive(Debug)]
pub(super) struct PairLog {
    pairs: Vec<PairHistory>,
    limit: usize,
    overflow: u32,
}

impl PairLog {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            pairs: Vec::new(),
            limit,
            overflow: 0,
        }
    }

    fn entry(&mut self, tuple: FiveTuple) -> Option<&mut PairHistory> {
        if let Some(index) = self.pairs.iter().position(|pair| pair.tuple == tuple) {
            return self.pairs.get_mut(index);
        }
        if self.pairs.len() >= self.limit {
            self.overflow = self.overflow.saturating_add(1);
            return None;
        }
        self.pairs.push(PairHistory {
            tuple,
            sent: 0,
            answered: 0,
            asked: 0,
            refused: 0,
            last_error: None,
            left_silent: 0,
        });
        self.pairs.last_mut()
    }

    fn update(&mut self, tuple: FiveTuple, change: impl FnOnce(&mut PairHistory)) {
        if let Some(pair) = self.entry(tuple) {
            change(pair);
        }
    }

    /// We sent a check.
    pub(super) fn sent(&mut self, tuple: FiveTuple) {
        self.update(tuple, |pair| pair.sent = pair.sent.saturating_add(1));
    }

    /// The peer answered a check of ours.
    pub(super) fn answered(&mut self, tuple: FiveTuple, error: Option<u16>) {
        self.update(tuple, |pair| {
            pair.answered = pair.answered.saturating_add(1);
            pair.last_error = error.or(pair.last_error);
        });
    }

    /// The peer sent an authentic check.
    pub(super) fn asked(&mut self, tuple: FiveTuple) {
        self.update(tuple, |pair| pair.asked = pair.asked.saturating_add(1));
    }

    /// Something came that did not authenticate.
    pub(super) fn refused(&mut self, tuple: FiveTuple) {
        self.update(tuple, |pair| pair.refused = pair.refused.saturating_add(1));
    }

    /// Another pair answers and this one, which was selected, does not.
    pub(super) fn left_silent(&mut self, tuple: FiveTuple) {
        self.update(tuple, |pair| {
            pair.left_silent = pair.left_silent.saturating_add(1);
        });
    }

    /// One line.
    pub(super) fn write(&self, out: &mut String, selected: Option<FiveTuple>) {
        if self.pairs.is_empty() {
            out.push_str("no pair was seen");
        }
        for (index, pair) in self.pairs.iter().enumerate() {
            let mark = if selected == Some(pair.tuple) {
                " selected,"
            } else {
                ""
            };
            let separator = if index == 0 { "" } else { "; " };
            let _ = write!(
                out,
                "{separator}{}:{mark} checks sent {} answered {}, received {} refused {}",
                pair.tuple, pair.sent, pair.answered, pair.asked, pair.refused
            );
            if let Some(code) = pair.last_error {
                let _ = write!(out, " last error {code}");
            }
            if pair.left_silent > 0 {
                out.push_str(" left when it fell silent");
            }
        }
        if self.overflow > 0 {
            let _ = write!(out, "; {} more not listed", self.overflow);
        }
    }
}
