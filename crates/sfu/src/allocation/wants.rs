//! Which encodings of a producer anyone wants, so that its publisher need not make the others.
//!
//! The encodings below the highest wanted one are wanted too: who must step down has to find the
//! next one flowing. An encoding is wanted at once, and unwanted after a while.

/// Every temporal layer.
pub(crate) const ALL_TEMPORAL: u8 = 7;

/// What one consumer wants: the encoding, and the highest temporal layer.
pub(crate) type Want = (u8, u8);

/// What a publisher was told, and what is true.
#[derive(Debug)]
pub(crate) struct Wants {
    told: Vec<Option<u8>>,
    /// Since when less than that is wanted.
    less_since_us: Vec<Option<u64>>,
}

impl Wants {
    /// A publisher makes everything until it is told something else.
    pub(crate) fn new(encodings: usize) -> Self {
        Self {
            told: vec![Some(ALL_TEMPORAL); encodings],
            less_since_us: vec![None; encodings],
        }
    }

    /// What the publisher was told: the highest temporal layer by encoding.
    pub(crate) fn told(&self) -> &[Option<u8>] {
        &self.told
    }

    /// Whether the publisher was told that nobody wants an encoding.
    pub(crate) fn is_unwanted(&self, encoding: usize) -> bool {
        self.told.get(encoding) == Some(&None)
    }

    /// Somebody wants this. Says whether the publisher is to be told.
    pub(crate) fn want(&mut self, want: Want) -> bool {
        let mut changed = false;
        for at in 0..self.told.len().min(usize::from(want.0) + 1) {
            if self.told[at] < Some(want.1) {
                self.told[at] = Some(want.1);
                changed = true;
            }
            self.less_since_us[at] = None;
        }
        changed
    }

    /// This is all that is wanted. Says whether the publisher is to be told.
    pub(crate) fn review(
        &mut self,
        wants: impl Iterator<Item = Want>,
        now_us: u64,
        hold_us: u64,
    ) -> bool {
        let mut wanted = vec![None; self.told.len()];
        for (encoding, temporal) in wants {
            for at in &mut wanted[..self.told.len().min(usize::from(encoding) + 1)] {
                *at = (*at).max(Some(temporal));
            }
        }
        let mut changed = false;
        for (at, wanted) in wanted.into_iter().enumerate() {
            if wanted >= self.told[at] {
                changed |= wanted > self.told[at];
                self.told[at] = wanted;
                self.less_since_us[at] = None;
                continue;
            }
            let since = *self.less_since_us[at].get_or_insert(now_us);
            if now_us.saturating_sub(since) >= hold_us {
                self.told[at] = wanted;
                self.less_since_us[at] = None;
                changed = true;
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: u64 = 5;

    #[test]
    fn an_encoding_is_unwanted_after_a_while_and_wanted_at_once() {
        let mut wants = Wants::new(3);
        let review =
            |wants: &mut Wants, want: &[Want], now| wants.review(want.iter().copied(), now, HOLD);
        assert!(!review(&mut wants, &[(0, 7), (1, 7)], 0));
        assert!(!review(&mut wants, &[(1, 7)], 4), "not yet");
        assert!(review(&mut wants, &[(1, 7)], 5));
        assert_eq!(
            wants.told(),
            [Some(7), Some(7), None],
            "below the highest all are"
        );
        assert!(wants.is_unwanted(2) && !wants.is_unwanted(1));
        assert!(wants.want((2, 1)));
        assert_eq!(wants.told(), [Some(7), Some(7), Some(1)]);
        assert!(!wants.want((2, 1)), "told already");
    }

    #[test]
    fn a_wish_in_between_begins_the_time_anew() {
        let mut wants = Wants::new(1);
        assert!(!wants.review([].into_iter(), 0, HOLD));
        assert!(!wants.review([(0, 7)].into_iter(), 3, HOLD));
        assert!(!wants.review([].into_iter(), 4, HOLD));
        assert!(!wants.review([].into_iter(), 8, HOLD));
        assert!(wants.review([].into_iter(), 9, HOLD));
        assert_eq!(wants.told(), [None]);
    }

    #[test]
    fn fewer_temporal_layers_are_told_after_a_while_too() {
        let mut wants = Wants::new(2);
        for now in 0..5 {
            assert!(!wants.review([(1, 1)].into_iter(), now, HOLD));
        }
        assert!(wants.review([(1, 1)].into_iter(), 5, HOLD));
        assert_eq!(wants.told(), [Some(1), Some(1)]);
    }
}
