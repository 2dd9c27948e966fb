//! Packet indices: the roll-over guess and the replay window (RFC 3711 section 3.3).

use crate::SrtpError;

/// The largest index: 32 bits of roll-over counter and 16 of sequence number.
pub(crate) const LAST_RTP_INDEX: u64 = (1 << 48) - 1;

/// The index of `sequence` nearest to the `highest` one known (RFC 3711 section 3.3.1); none when
/// it would lie before the very first or behind the last.
pub(crate) fn nearest_index(highest: u64, sequence: u16) -> Result<u64, SrtpError> {
    let delta = i64::from(sequence.wrapping_sub(highest as u16) as i16);
    let index = highest.checked_add_signed(delta).ok_or(SrtpError::TooOld)?;
    if index > LAST_RTP_INDEX {
        Err(SrtpError::KeyExhausted)
    } else {
        Ok(index)
    }
}

/// Which of the latest indices have been seen: a ring of `WORDS` 64-bit words, of which the newest is kept apart.
///
/// One word is always partly ahead of the highest index, so `64 * (WORDS - 1)` indices are held
/// for sure. Packets mostly come in order: then nothing but this is read, and the ring stays out of the caches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Newest {
    highest: Option<u64>,
    /// The word of the highest index.
    word: u64,
}

/// The other words. What lies at the place of the newest one means nothing.
pub(crate) type Ring<const WORDS: usize> = [u64; WORDS];

impl Newest {
    /// The highest index seen.
    pub(crate) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `index` is new.
    pub(crate) fn check<const WORDS: usize>(
        &self,
        ring: &Ring<WORDS>,
        index: u64,
    ) -> Result<(), SrtpError> {
        let Some(highest) = self.highest.filter(|highest| index <= *highest) else {
            return Ok(());
        };
        let back = highest / 64 - index / 64;
        let word = match back {
            0 => self.word,
            _ if back >= WORDS as u64 => return Err(SrtpError::TooOld),
            _ => ring[place::<WORDS>(index / 64)],
        };
        if word & bit(index) == 0 {
            Ok(())
        } else {
            Err(SrtpError::Replayed)
        }
    }

    /// Marks `index` as seen; the caller has [checked](Self::check) and authenticated it.
    pub(crate) fn accept<const WORDS: usize>(&mut self, ring: &mut Ring<WORDS>, index: u64) {
        let at = index / 64;
        let from = self.highest.map_or(at, |highest| highest / 64);
        if at < from {
            ring[place::<WORDS>(at)] |= bit(index);
            return;
        }
        if at > from {
            ring[place::<WORDS>(from)] = self.word;
            // After a jump beyond the whole ring this clears it all.
            for step in 1..=(at - from).min(WORDS as u64) {
                ring[place::<WORDS>(from + step)] = 0;
            }
            self.word = 0;
        }
        self.word |= bit(index);
        self.highest = Some(self.highest.map_or(index, |highest| highest.max(index)));
    }
}

const fn place<const WORDS: usize>(word: u64) -> usize {
    (word % WORDS as u64) as usize
}

const fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::{LAST_RTP_INDEX, Newest, Ring, nearest_index};
    use crate::SrtpError;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Default)]
    struct Window {
        newest: Newest,
        ring: Ring<4>,
    }

    impl Window {
        fn check(&self, index: u64) -> Result<(), SrtpError> {
            self.newest.check(&self.ring, index)
        }

        fn accept(&mut self, index: u64) {
            self.newest.accept(&mut self.ring, index);
        }
    }

    #[test]
    fn guess_follows_wraps_both_ways() {
        assert_eq!(nearest_index(65_535, 0), Ok(65_536));
        assert_eq!(nearest_index(65_536, 65_535), Ok(65_535));
        assert_eq!(nearest_index(0x3_0000 + 10, 5), Ok(0x3_0000 + 5));
        assert_eq!(nearest_index(5, 65_530), Err(SrtpError::TooOld));
        assert_eq!(
            nearest_index(LAST_RTP_INDEX, 0),
            Err(SrtpError::KeyExhausted)
        );
    }

    #[test]
    fn window_refuses_second_and_old() {
        let mut window = Window::default();
        window.accept(1000);
        assert_eq!(window.check(1000), Err(SrtpError::Replayed));
        assert_eq!(window.check(999), Ok(()));
        assert_eq!(window.check(1000 - 192), Ok(()));
        assert_eq!(window.check(1000 - 256), Err(SrtpError::TooOld));
        window.accept(1_000_000);
        assert_eq!(window.check(1000), Err(SrtpError::TooOld));
        assert_eq!(window.check(999_999), Ok(()));
    }

    proptest! {
        #[test]
        fn window_agrees_with_a_set(steps in prop::collection::vec((-300_i64..300, any::<bool>()), 1..300)) {
            let mut window = Window::default();
            let mut seen = BTreeSet::new();
            let mut at = 100_000_u64;
            for (step, far) in steps {
                at = at.saturating_add_signed(if far { step * 7 } else { step });
                match window.check(at) {
                    Ok(()) => {
                        prop_assert!(seen.insert(at), "accepted twice");
                        window.accept(at);
                    }
                    Err(SrtpError::Replayed) => prop_assert!(seen.contains(&at)),
                    Err(SrtpError::TooOld) => prop_assert!(at + 192 < *seen.last().unwrap()),
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
        }

        #[test]
        fn guess_is_within_half_the_range(highest in 0x8000_u64..(1 << 40), sequence: u16) {
            let index = nearest_index(highest, sequence).unwrap();
            prop_assert_eq!(index as u16, sequence);
            prop_assert!(index.abs_diff(highest) <= 0x8000);
        }
    }
}
