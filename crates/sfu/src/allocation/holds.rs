//! What holds steps up back: layers that did not last, and pictures that grow too fast.

use super::ladder::Step;
use super::{AllocationConfig, Budget, Decision, Memory, Terms};

/// What did not last is tried again at once where the budget is so many quarters of what is needed, and one
/// more for every two times that it did not last.
pub(super) const PLENTY_QUARTERS: u64 = 6;
/// With so many quarters a picture becomes larger by more than one size at once.
pub(super) const ROOMY_QUARTERS: u64 = 8;

/// What holds a step up back: until when, and how many quarters of what is needed lift it before, if any do.
#[derive(Clone, Copy)]
pub(super) struct Hold {
    pub(super) until_us: u64,
    pub(super) quarters: Option<u64>,
}

impl Hold {
    pub(super) fn add(&mut self, until_us: u64, quarters: u64) {
        self.until_us = self.until_us.max(until_us);
        self.quarters = Some(self.quarters.map_or(quarters, |least| least.max(quarters)));
    }

    pub(super) fn is_lifted(&self, budget: u64, needed: u64) -> bool {
        self.quarters
            .is_some_and(|quarters| budget >= (needed * quarters).div_ceil(4))
    }
}

/// Pictures become larger by one size at a time, so that an estimate that was too good, as those of
/// others on the same line may be, is refuted by one step and not by all: the largest size for now, and when
/// the next is due.
pub(super) fn rise(
    memory: &Memory,
    steps: &[Step],
    before: Option<usize>,
    terms: Terms,
    config: &AllocationConfig,
) -> Option<((u8, u8), u64)> {
    let rise_us = config.rise.as_micros() as u64;
    let at = match memory.decision {
        Decision::Absent => return None,
        _ if terms.budget == Budget::Unlimited => return None,
        Decision::Starved => return Some((steps.first()?.picture(), terms.now_us + rise_us)),
        Decision::Layer(_) => steps.get(before?)?.picture(),
    };
    let due = memory.raised_us.map_or(0, |raised| raised + rise_us);
    if due > terms.now_us {
        return Some((at, due));
    }
    let mut above = steps.iter().map(Step::picture);
    let next = above.find(|picture| *picture > at)?;
    Some((next, terms.now_us + rise_us))
}

/// Up to half a hold, another one for each subscriber and time: those who share a line step down
/// together, and must not step up together again.
pub(super) fn scatter(held_us: u64, terms: Terms) -> u64 {
    if terms.salt == 0 || terms.is_led {
        return 0;
    }
    let mixed = (terms.salt ^ terms.now_us.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 48) * held_us) >> 17
}
