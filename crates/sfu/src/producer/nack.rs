//! Which packets are missing, when to ask for them, when to give up.

use std::collections::VecDeque;

use crate::NackConfig;

#[derive(Debug, Clone, Copy)]
struct Missing {
    raw: u64,
    since_us: u64,
    next_us: u64,
    attempts: u8,
}

/// The missing packets of one stream, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct NackList {
    missing: VecDeque<Missing>,
}

/// What became of a packet that came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    /// It was not missed.
    None,
    /// It came by itself: reordered.
    Reordered,
    /// It came after a request.
    Repaired,
}

impl NackList {
    /// The `count` numbers before `raw` are missing; says whether they were too many, in which
    /// case the whole list is given up (gives how many were).
    pub(crate) fn on_gap(
        &mut self,
        raw: u64,
        count: u16,
        now_us: u64,
        limit: usize,
        config: &NackConfig,
    ) -> Option<u64> {
        if self.missing.len() + usize::from(count) > limit {
            let given_up = self.missing.len() as u64 + u64::from(count);
            self.missing.clear();
            return Some(given_up);
        }
        let next_us = now_us + config.first_delay.as_micros() as u64;
        for raw in raw - u64::from(count)..raw {
            self.missing.push_back(Missing {
                raw,
                since_us: now_us,
                next_us,
                attempts: 0,
            });
        }
        None
    }

    /// A late packet came.
    pub(crate) fn on_late(&mut self, raw: u64) -> Repair {
        let Ok(at) = self
            .missing
            .binary_search_by_key(&raw, |missing| missing.raw)
        else {
            return Repair::None;
        };
        let found = self.missing.remove(at);
        if found.is_some_and(|missing| missing.attempts > 0) {
            Repair::Repaired
        } else {
            Repair::Reordered
        }
    }

    /// Collects the numbers to ask for now into `out`; gives how many were given up.
    pub(crate) fn collect_due(
        &mut self,
        now_us: u64,
        retry_us: u64,
        config: &NackConfig,
        out: &mut Vec<u16>,
    ) -> u64 {
        let max_age = config.max_age.as_micros() as u64;
        let before = self.missing.len();
        self.missing.retain_mut(|missing| {
            if missing.next_us > now_us {
                return true;
            }
            if missing.attempts >= config.max_attempts || now_us - missing.since_us > max_age {
                return false;
            }
            missing.attempts += 1;
            missing.next_us = now_us + retry_us;
            out.push(missing.raw as u16);
            true
        });
        (before - self.missing.len()) as u64
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.missing.iter().map(|missing| missing.next_us).min()
    }

    /// Forgets everything (the numbering started anew).
    pub(crate) fn clear(&mut self) -> u64 {
        let count = self.missing.len() as u64;
        self.missing.clear();
        count
    }

    /// Packets missing.
    pub(crate) fn len(&self) -> usize {
        self.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MS: u64 = 1_000;

    fn config() -> NackConfig {
        NackConfig {
            first_delay: Duration::from_millis(5),
            max_attempts: 3,
            max_age: Duration::from_millis(200),
            ..NackConfig::default()
        }
    }

    fn due(list: &mut NackList, now_us: u64) -> (Vec<u16>, u64) {
        let mut out = Vec::new();
        let given_up = list.collect_due(now_us, 40 * MS, &config(), &mut out);
        (out, given_up)
    }

    #[test]
    fn a_gap_is_asked_for_after_the_delay_and_again_until_given_up() {
        let mut list = NackList::default();
        assert_eq!(list.on_gap(65_540, 3, 0, 100, &config()), None);
        assert_eq!(list.next_due(), Some(5 * MS));
        assert_eq!(due(&mut list, 4 * MS), (vec![], 0));
        assert_eq!(due(&mut list, 5 * MS), (vec![1, 2, 3], 0));
        assert_eq!(list.on_late(65_538), Repair::Repaired);
        assert_eq!(due(&mut list, 44 * MS), (vec![], 0));
        assert_eq!(due(&mut list, 45 * MS), (vec![1, 3], 0));
        assert_eq!(due(&mut list, 85 * MS), (vec![1, 3], 0));
        assert_eq!(
            due(&mut list, 125 * MS),
            (vec![], 2),
            "three requests, then no more"
        );
        assert_eq!(list.next_due(), None);
    }

    #[test]
    fn reordering_costs_no_request() {
        let mut list = NackList::default();
        list.on_gap(11, 1, 0, 100, &config());
        assert_eq!(list.on_late(10), Repair::Reordered);
        assert_eq!(list.on_late(10), Repair::None);
        assert_eq!(due(&mut list, 50 * MS), (vec![], 0));
    }

    #[test]
    fn too_many_missing_are_given_up_together() {
        let mut list = NackList::default();
        assert_eq!(list.on_gap(1_000, 60, 0, 100, &config()), None);
        assert_eq!(list.on_gap(2_000, 41, 0, 100, &config()), Some(101));
        assert_eq!(list.len(), 0);
    }
}
