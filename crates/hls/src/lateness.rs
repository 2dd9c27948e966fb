//! How late units of a track come: a source that is late for good, or again and again, is placed later, and one that is
//! late again and again is waited for longer, too.

use std::time::{Duration, Instant};

/// What comes too late for so long does so for good.
const FOR_GOOD: Duration = Duration::from_secs(2);
/// Who stumbles so often within so long will go on to: an encoder that hands over a second at a time.
const STUMBLES: u32 = 3;
const WITHIN: Duration = Duration::from_secs(10);
/// Being late by less is no stumble.
const STUMBLE_US: u64 = 100_000;

/// Of one track.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    late: Option<Late>,
    stumbles: Option<Stumbles>,
}

/// Units that all came too late to have a place.
#[derive(Debug, Clone, Copy)]
struct Late {
    since: Instant,
    /// How far behind the end of the list the least late of them was, and the latest.
    least_us: u64,
    most_us: u64,
}

/// Times at which units came too late, with units between that did not.
#[derive(Debug, Clone, Copy)]
struct Stumbles {
    since: Instant,
    count: u32,
    most_us: u64,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// By how much it is to be placed later to be listed again.
    pub(crate) by_us: u64,
    /// Its units come in bursts: so much longer nothing of it is lost.
    pub(crate) waited_us: u64,
}

impl Lateness {
    /// A unit came so far behind the end of the list, or has a place.
    pub(crate) fn note(&mut self, behind_us: i64, now: Instant) {
        let Some(us) = u64::try_from(behind_us).ok().filter(|&us| us > 0) else {
            if let Some(late) = self.late.take() {
                self.note_stumble(late);
            }
            return;
        };
        let late = self.late.get_or_insert(Late {
            since: now,
            least_us: us,
            most_us: us,
        });
        late.least_us = late.least_us.min(us);
        late.most_us = late.most_us.max(us);
    }

    /// What is to be done; told once, then it is looked at anew.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Remedy> {
        let for_good = self.late.filter(|late| late.since + FOR_GOOD <= now);
        let often = self.stumbles.filter(|all| all.count >= STUMBLES);
        let least_us = for_good.map(|late| late.least_us);
        let most_us = often.map(|all| all.most_us);
        let by_us = least_us.max(most_us)?;
        *self = Self::default();
        Some(Remedy {
            by_us,
            waited_us: most_us.unwrap_or(0),
        })
    }

    fn note_stumble(&mut self, late: Late) {
        if late.most_us < STUMBLE_US {
            return;
        }
        let before = self.stumbles.filter(|all| all.since + WITHIN > late.since);
        let all = self.stumbles.insert(before.unwrap_or(Stumbles {
            since: late.since,
            count: 0,
            most_us: 0,
        }));
        all.count += 1;
        all.most_us = all.most_us.max(late.most_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told while units come every 100 ms, each so far behind the list.
    fn told(behind_ms: impl IntoIterator<Item = i64>) -> Vec<(u64, Remedy)> {
        #[expect(clippy::disallowed_methods, reason = "time starts somewhere")]
        let begun = Instant::now();
        let (mut now, mut lateness) = (begun, Lateness::default());
        let mut told = Vec::new();
        for ms in behind_ms {
            lateness.note(ms * 1000, now);
            let at_ms = (now - begun).as_millis() as u64;
            told.extend(lateness.take(now).map(|remedy| (at_ms, remedy)));
            now += Duration::from_millis(100);
        }
        told
    }

    #[test]
    fn what_is_late_for_two_seconds_is_placed_later_by_the_least_it_was() {
        let all = [700, 400, 900].into_iter().cycle().take(21);
        let remedy = Remedy {
            by_us: 400_000,
            waited_us: 0,
        };
        assert_eq!(told(all), [(2000, remedy)]);
        assert_eq!(told([400; 20]), []);
    }

    #[test]
    fn what_stumbles_three_times_within_ten_seconds_is_waited_for_by_the_most_it_was() {
        let burst = [900, 800, 0, -100];
        assert_eq!(told(burst.repeat(2)), []);
        let remedy = Remedy {
            by_us: 900_000,
            waited_us: 900_000,
        };
        assert_eq!(told(burst.repeat(4)), [(1000, remedy)]);
        let seldom: Vec<i64> = [[900].as_slice(), &[-100; 59]].concat();
        assert_eq!(told(seldom.repeat(10)), []);
        assert_eq!(told([90, -100].repeat(20)), []);
    }
}
