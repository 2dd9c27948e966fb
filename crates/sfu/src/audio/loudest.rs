//! Whose audio is forwarded where only so many are: those who speak.
//!
//! Who begins to speak is let in with the very packet that says so, even where all places are taken:
//! the beginning of a word must not wait for a ranking. At the end of each window the ranking of the
//! speaker observer takes the surplus out: first who is silent, then who is the quietest. A
//! newcomer must be clearly louder than those who were there before, and who was sent away while
//! speaking stays away for a while unless a place can be had, so that nobody comes and goes.

use crate::ProducerId;

/// How much louder, in dB, a newcomer must be than who was there before.
const MARGIN_DB: u8 = 6;
/// Windows before a newcomer is judged: within them whoever it took the word from has been silent
/// for a whole one.
const FRESH_WINDOWS: u64 = 2;
/// Who was let in so lately is a newcomer.
const NEWCOMER_US: u64 = 1_000_000;
/// Who was sent away while speaking is not let in again before this.
const COOLING_US: u64 = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    producer: ProducerId,
    since_us: u64,
}

/// The producers forwarded now.
#[derive(Debug, Default)]
pub(crate) struct Loudest {
    places: Option<usize>,
    members: Vec<Member>,
    cooling: Vec<(ProducerId, u64)>,
    pub(crate) admissions: u64,
    pub(crate) evictions: u64,
    pub(crate) refusals: u64,
}

impl Loudest {
    pub(crate) fn new(places: Option<u8>) -> Self {
        Self {
            places: places.map(usize::from),
            ..Self::default()
        }
    }

    /// Whether there is a limit at all.
    #[inline]
    pub(crate) fn is_limiting(&self) -> bool {
        self.places.is_some()
    }

    /// Sets the places, and who holds them: so many of `ranked`, the loudest first.
    pub(crate) fn set_places(&mut self, places: Option<u8>, ranked: &[ProducerId], now_us: u64) {
        self.places = places.map(usize::from);
        let taken = self.places.unwrap_or(0).min(ranked.len());
        self.members = ranked[..taken]
            .iter()
            .map(|producer| Member {
                producer: *producer,
                since_us: now_us,
            })
            .collect();
        let rest = ranked[taken..].iter();
        self.cooling = rest
            .map(|producer| (*producer, now_us + COOLING_US))
            .collect();
    }

    /// A producer that has no place sent a packet, loud or not; says whether it has one now.
    pub(crate) fn admit(&mut self, producer: ProducerId, loud: bool, now_us: u64) -> bool {
        let Some(places) = self.places else {
            return true;
        };
        if self.members.len() >= places {
            if !loud {
                return false;
            }
            let cools = self
                .cooling
                .iter()
                .any(|(cooling, until)| *cooling == producer && now_us < *until);
            // As many again may begin at about one time.
            if cools || self.members.len() >= places * 2 {
                self.refusals += 1;
                return false;
            }
        }
        self.admissions += 1;
        self.cooling.retain(|(cooling, _)| *cooling != producer);
        self.members.push(Member {
            producer,
            since_us: now_us,
        });
        true
    }

    /// A window is over: gives those who lose their place. `level_of` tells the smoothed level of
    /// who speaks, 0 being the loudest; `None`: it is silent.
    pub(crate) fn rank(
        &mut self,
        now_us: u64,
        window_us: u64,
        level_of: impl Fn(ProducerId) -> Option<u8>,
    ) -> Vec<ProducerId> {
        let Some(places) = self.places else {
            return Vec::new();
        };
        let standing = |member: &Member| {
            let age = now_us.saturating_sub(member.since_us);
            let fresh = age < window_us * FRESH_WINDOWS;
            let handicap = if age < NEWCOMER_US { MARGIN_DB } else { 0 };
            match level_of(member.producer) {
                _ if fresh => 0,
                Some(level) => 1 + u16::from(level) + u16::from(handicap),
                None => u16::MAX,
            }
        };
        // The oldest member first among equals.
        self.members
            .sort_by_key(|member| (standing(member), member.since_us));
        let fresh = self
            .members
            .iter()
            .take_while(|member| standing(member) == 0)
            .count();
        let silent = self
            .members
            .iter()
            .rev()
            .take_while(|member| standing(member) == u16::MAX)
            .count();
        // Who is new may take a silent member's place at once; a speaker's only later, by rank.
        let speaking = self.members.len() - silent - fresh;
        let kept = places.max(fresh + speaking.min(places));
        let kept = kept.min(self.members.len());
        let gone: Vec<Member> = self.members.split_off(kept);
        self.cooling.retain(|(_, until)| now_us < *until);
        for member in &gone {
            if level_of(member.producer).is_some() {
                self.cooling.push((member.producer, now_us + COOLING_US));
            }
        }
        self.warm_up(places, &level_of);
        self.evictions += gone.len() as u64;
        gone.into_iter().map(|member| member.producer).collect()
    }

    /// Whoever cools may come back as soon as somebody with a place is silent or clearly quieter.
    fn warm_up(&mut self, places: usize, level_of: &impl Fn(ProducerId) -> Option<u8>) {
        let weakest = self
            .members
            .iter()
            .map(|member| level_of(member.producer).unwrap_or(u8::MAX))
            .max();
        let free = self.members.len() < places;
        self.cooling.retain(|(producer, _)| {
            let Some(level) = level_of(*producer) else {
                return false;
            };
            !free && weakest.is_none_or(|weakest| level.saturating_add(MARGIN_DB) >= weakest)
        });
    }

    /// A producer is gone or paused; says whether it had a place.
    pub(crate) fn remove(&mut self, producer: ProducerId) -> bool {
        let before = self.members.len();
        self.members.retain(|member| member.producer != producer);
        self.cooling.retain(|(cooling, _)| *cooling != producer);
        self.members.len() < before
    }

    /// Those forwarded, in the order of their ids.
    pub(crate) fn members(&self) -> Vec<ProducerId> {
        let mut members: Vec<_> = self.members.iter().map(|member| member.producer).collect();
        members.sort_unstable();
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 300_000;
    const SECOND: u64 = 1_000_000;

    fn id(n: u64) -> ProducerId {
        ProducerId(n)
    }

    fn ids(numbers: &[u64]) -> Vec<ProducerId> {
        numbers.iter().map(|n| ProducerId(*n)).collect()
    }

    /// Two places, taken by 1 and 2 a while ago.
    fn two() -> Loudest {
        let mut loudest = Loudest::new(Some(2));
        assert!(loudest.admit(id(1), false, 0) && loudest.admit(id(2), false, 0));
        loudest
    }

    fn rank(loudest: &mut Loudest, now_us: u64, levels: &[(u64, u8)]) -> Vec<ProducerId> {
        loudest.rank(now_us, WINDOW, |producer| {
            let found = levels.iter().find(|(n, _)| *n == producer.0);
            found.map(|(_, level)| *level)
        })
    }

    #[test]
    fn free_places_are_for_anybody_and_taken_ones_for_who_speaks() {
        let mut loudest = two();
        assert!(
            !loudest.admit(id(3), false, 1),
            "silent, and all places taken"
        );
        assert!(loudest.admit(id(3), true, 1), "its first loud packet");
        assert_eq!(loudest.members(), ids(&[1, 2, 3]));
        assert!(loudest.admit(id(4), true, 1));
        assert!(!loudest.admit(id(5), true, 1), "as many again, no more");
        assert_eq!(loudest.refusals, 1);
    }

    #[test]
    fn the_silent_give_way_to_who_began() {
        let mut loudest = two();
        loudest.admit(id(3), true, 10 * SECOND);
        let gone = rank(&mut loudest, 10 * SECOND + 1, &[(1, 30)]);
        assert_eq!(gone, ids(&[2]));
        assert_eq!(loudest.members(), ids(&[1, 3]));
        assert!(rank(&mut loudest, 11 * SECOND, &[(1, 30), (3, 40)]).is_empty());
    }

    #[test]
    fn who_just_began_is_not_judged_by_half_a_word() {
        let mut loudest = two();
        loudest.admit(id(3), true, 10 * SECOND);
        let both = [(1, 30), (2, 35)];
        assert!(rank(&mut loudest, 10 * SECOND + WINDOW / 2, &both).is_empty());
        assert_eq!(loudest.members(), ids(&[1, 2, 3]));
        let gone = rank(&mut loudest, 10 * SECOND + 2 * WINDOW, &both);
        assert_eq!(gone, ids(&[3]), "it was a click");
    }

    #[test]
    fn a_newcomer_must_be_clearly_louder() {
        for (level, expected) in [(30, 3), (28, 2)] {
            let mut loudest = two();
            loudest.admit(id(3), true, 10 * SECOND);
            let levels = [(1, 20), (2, 35), (3, level)];
            let gone = rank(&mut loudest, 10 * SECOND + 2 * WINDOW, &levels);
            assert_eq!(gone, ids(&[expected]), "{level}");
        }
    }

    #[test]
    fn who_was_sent_away_speaking_does_not_come_and_go() {
        let mut loudest = two();
        let levels = [(1, 20), (2, 22), (3, 30)];
        let mut comings = 0;
        for window in 0..20 {
            let now_us = 10 * SECOND + window * WINDOW;
            for _ in 0..15 {
                if !loudest.members().contains(&id(3)) {
                    comings += u64::from(loudest.admit(id(3), true, now_us));
                }
            }
            rank(&mut loudest, now_us + WINDOW, &levels);
        }
        assert!(comings <= 3, "{comings} times in six seconds");
        assert_eq!(loudest.members(), ids(&[1, 2]));
        // One of the others falls silent: there is a place at once.
        rank(&mut loudest, 17 * SECOND, &[(1, 20), (3, 30)]);
        assert!(loudest.admit(id(3), true, 17 * SECOND));
        let gone = rank(&mut loudest, 18 * SECOND, &[(1, 20), (3, 30)]);
        assert_eq!(gone, ids(&[2]));
    }

    #[test]
    fn places_are_never_more_than_so_many_for_long() {
        let mut loudest = Loudest::new(Some(3));
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for window in 1..2_000_u64 {
            let now_us = window * 2 * WINDOW;
            for _ in 0..10 {
                let producer = id(random() % 12);
                if !loudest.members().contains(&producer) {
                    loudest.admit(producer, random() % 2 == 0, now_us);
                }
                assert!(loudest.members().len() <= 6);
            }
            let levels: Vec<(u64, u8)> = (0..12)
                .map(|n| (n, (random() % 100) as u8))
                .filter(|(_, level)| *level < 50)
                .collect();
            rank(&mut loudest, now_us + 2 * WINDOW, &levels);
            assert!(loudest.members().len() <= 3, "window {window}");
        }
        assert!(loudest.cooling.len() <= 12);
    }

    #[test]
    fn no_place_at_all_and_no_limit_at_all() {
        let mut none = Loudest::new(Some(0));
        assert!(!none.admit(id(1), true, 0));
        assert!(rank(&mut none, 0, &[]).is_empty());
        let mut any = Loudest::new(None);
        assert!(any.admit(id(1), false, 0) && !any.is_limiting());
        assert!(rank(&mut any, 0, &[]).is_empty());
    }

    #[test]
    fn another_number_of_places_keeps_the_loudest() {
        let mut loudest = two();
        loudest.set_places(Some(1), &ids(&[2, 1]), 5);
        assert_eq!(loudest.members(), ids(&[2]));
        assert!(loudest.remove(id(2)) && !loudest.remove(id(2)));
        loudest.set_places(None, &[], 6);
        assert!(loudest.members().is_empty());
    }
}
