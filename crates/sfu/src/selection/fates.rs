//! What became of the newest frames: a few bits each.

use crate::producer::WINDOW;

/// Frames in one word.
const PER_WORD: u32 = 16;
const WORDS: usize = (WINDOW / PER_WORD) as usize;

const DECIDED: u64 = 1;
const FORWARDED: u64 = 2;
const MARKED: u64 = 4;

/// The fates of the frames in the window, four bits each; those who ask see to it that a number is
/// in it.
#[derive(Debug, Clone)]
pub(super) struct Fates([u64; WORDS]);

impl Default for Fates {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

/// Where the bits of a number are: the word, and the shift in it.
#[inline]
fn place(number: u32) -> (usize, u32) {
    let at = number % WINDOW;
    ((at / PER_WORD) as usize, at % PER_WORD * 4)
}

impl Fates {
    #[inline]
    fn get(&self, number: u32) -> u64 {
        let (word, shift) = place(number);
        self.0[word] >> shift
    }

    #[inline]
    pub(super) fn is_decided(&self, number: u32) -> bool {
        self.get(number) & DECIDED != 0
    }

    #[inline]
    pub(super) fn is_forwarded(&self, number: u32) -> bool {
        self.get(number) & FORWARDED != 0
    }

    #[inline]
    pub(super) fn is_marked(&self, number: u32) -> bool {
        self.get(number) & MARKED != 0
    }

    #[inline]
    pub(super) fn decide(&mut self, number: u32, forward: bool) {
        let (word, shift) = place(number);
        let fate = if forward {
            DECIDED | FORWARDED
        } else {
            DECIDED
        };
        self.0[word] |= fate << shift;
    }

    /// A number is not forwarded to its end: nothing can refer to it.
    pub(super) fn cut(&mut self, number: u32) {
        let (word, shift) = place(number);
        self.0[word] &= !((FORWARDED | MARKED) << shift);
    }

    /// A new number is forwarded.
    #[inline]
    pub(super) fn follow(&mut self, number: u32) {
        let (word, shift) = place(number);
        let word = &mut self.0[word];
        *word = (*word & !(0xf << shift)) | (DECIDED | FORWARDED) << shift;
    }

    /// The last packet of the frame ends the picture.
    pub(super) fn mark(&mut self, number: u32) {
        let (word, shift) = place(number);
        self.0[word] |= MARKED << shift;
    }

    /// Nothing is known of the `count` numbers from `first` on.
    #[inline]
    pub(super) fn forget(&mut self, first: u32, count: u32) {
        if count >= WINDOW {
            *self = Self::default();
            return;
        }
        for step in 0..count {
            let (word, shift) = place(first.wrapping_add(step));
            self.0[word] &= !(0xf << shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_forgotten_when_their_place_is_used_again() {
        let mut fates = Fates::default();
        let first = u32::MAX - 3;
        fates.decide(first, true);
        fates.mark(first);
        assert!(fates.is_decided(first) && fates.is_forwarded(first) && fates.is_marked(first));
        fates.forget(first.wrapping_add(1), WINDOW - 1);
        assert!(fates.is_forwarded(first));
        fates.forget(first.wrapping_add(WINDOW), 1);
        let again = first.wrapping_add(WINDOW);
        assert!(!fates.is_decided(again) && !fates.is_forwarded(again) && !fates.is_marked(again));
        fates.decide(first, true);
        fates.forget(7, WINDOW);
        assert!(!fates.is_decided(first));
    }
}
