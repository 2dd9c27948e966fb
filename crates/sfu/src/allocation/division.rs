//! The division of a budget among tracks.

use std::cmp::Reverse;

use super::holds::{Hold, PLENTY_QUARTERS, ROOMY_QUARTERS, rise, scatter};
use super::ladder::{Step, ladder, moving};
use super::{
    Allocation, AllocationConfig, Budget, Decision, Keep, Layer, LayerTarget, Memory, Terms, Track,
};

/// The cool-down grows by so many doublings at most.
const MOST_STRIKES: u8 = 4;
/// Where others on the line are known there is no need to guess how long they take.
const MOST_LED_STRIKES: u8 = 1;

/// A video track that takes part.
struct Slot {
    track: usize,
    steps: Vec<Step>,
    /// The step it was on.
    before: Option<usize>,
    /// Whether it was paused by the last allocation.
    starved: bool,
    /// The step it is on; `None`: paused.
    at: Option<usize>,
    /// It does not step up before this time, and not to the layer that did not last before the other.
    calm_until_us: u64,
    held: Option<(LayerTarget, u64)>,
    strikes: u8,
    /// Another flow fills the line's queue: then steps fail for its sake.
    is_contended: bool,
    /// The largest picture that it may be given now, and when the next one after it.
    most: Option<((u8, u8), u64)>,
    blocked: bool,
}

impl Slot {
    fn new(track: usize, described: &Track<'_>, terms: Terms, config: &AllocationConfig) -> Self {
        let steps = ladder(described.layers, &described.limits);
        let memory = &described.memory;
        let before = match memory.decision {
            // A step that is no more stands for the next one below it.
            Decision::Layer(_) => {
                let below = steps.iter().rposition(|step| step.target <= memory.reach);
                Some(below.unwrap_or(0))
            }
            Decision::Absent | Decision::Starved => None,
        };
        let most = rise(memory, &steps, before, terms, config);
        Self {
            track,
            steps,
            before,
            starved: memory.decision == Decision::Starved,
            at: None,
            calm_until_us: memory.calm_until_us,
            held: (memory.held_until_us > terms.now_us)
                .then_some((memory.failed, memory.held_until_us)),
            strikes: memory.strikes,
            is_contended: terms.is_contended,
            most,
            blocked: false,
        }
    }

    fn bps(&self) -> u64 {
        self.at.map_or(0, |at| self.steps[at].bps)
    }

    /// What holds a step up back.
    fn hold(&self, at: usize, now_us: u64) -> Option<Hold> {
        let mut hold = Hold {
            until_us: self.calm_until_us,
            quarters: None,
        };
        if hold.until_us > now_us {
            return Some(hold);
        }
        if let Some((most, next_us)) = self.most
            && self.steps[at].picture() > most
        {
            hold.add(next_us, ROOMY_QUARTERS);
        }
        if let Some((failed, until_us)) = self.held
            && self.steps[at].target >= failed
            && !self.is_contended
        {
            hold.add(until_us, PLENTY_QUARTERS + u64::from(self.strikes / 2));
        }
        (hold.until_us > now_us).then_some(hold)
    }

    /// Whether a step is above the one it was on.
    fn is_up(&self, at: usize) -> bool {
        self.before.is_none_or(|before| at > before)
    }
}

/// The budget and what of it is used.
struct Division<'a> {
    budget: Budget,
    config: &'a AllocationConfig,
    now_us: u64,
    used: u64,
    next_bps: Option<u64>,
    wake_us: Option<u64>,
}

impl Division<'_> {
    /// Takes `more` bits per second, where they fit; a step up needs headroom and time.
    fn take(&mut self, more: u64, up: bool, held: Option<Hold>) -> bool {
        let after = self.used + more;
        let fits = match self.budget {
            Budget::Unlimited => true,
            Budget::Cheapest => false,
            Budget::AtLeast(_) if !up => true,
            Budget::Bps(budget) | Budget::AtLeast(budget) => {
                let needed = if up { self.with_headroom(after) } else { after };
                let held = held.filter(|hold| up && !hold.is_lifted(budget, needed));
                if needed > budget {
                    self.needs(needed);
                    false
                } else if let Some(hold) = held {
                    let wake = self.wake_us.unwrap_or(u64::MAX);
                    self.wake_us = Some(wake.min(hold.until_us));
                    if let Some(quarters) = hold.quarters {
                        self.needs((needed * quarters).div_ceil(4));
                    }
                    false
                } else {
                    true
                }
            }
        };
        if fits {
            self.used = after;
        }
        fits
    }

    /// So much would change something.
    fn needs(&mut self, bps: u64) {
        self.next_bps = Some(self.next_bps.map_or(bps, |next| next.min(bps)));
    }

    fn with_headroom(&self, bps: u64) -> u64 {
        let share = u64::from(100 - self.config.headroom.min(90));
        bps.saturating_mul(100).div_ceil(share)
    }

    /// The cheapest layer of a track.
    fn start(&mut self, slot: &mut Slot, keep: Keep) {
        let Some(first) = slot.steps.first() else {
            return;
        };
        let given = match keep {
            _ if matches!(self.budget, Budget::Cheapest | Budget::AtLeast(_)) => {
                Some(moving(&slot.steps))
            }
            Keep::Moving => Some(moving(&slot.steps)),
            Keep::Cheapest => Some(0),
            Keep::Nobody => None,
        };
        if let Some(at) = given {
            self.used += slot.steps[at].bps;
            slot.at = Some(at);
        // Only a track that was paused needs headroom: the others begin, or go on.
        } else if self.take(first.bps, slot.starved, slot.hold(0, self.now_us)) {
            slot.at = Some(0);
        }
    }

    /// The next step of a track.
    fn improve(&mut self, slot: &mut Slot) {
        let Some(at) = slot.at else { return };
        let Some(next) = slot.steps.get(at + 1) else {
            slot.blocked = true;
            return;
        };
        let held = slot.hold(at + 1, self.now_us);
        if self.take(next.bps - slot.bps(), slot.is_up(at + 1), held) {
            slot.at = Some(at + 1);
        } else {
            slot.blocked = true;
        }
    }

    /// Improves tracks of one rank, a step each in turn. Those that keep a step they had come
    /// before those that want a new one, so that equals do not take from each other.
    fn improve_equals(&mut self, slots: &mut [Slot]) {
        let mut level = slots.iter().filter_map(|slot| slot.at).min().unwrap_or(0);
        while slots.iter().any(|slot| slot.at.is_some() && !slot.blocked) {
            for up in [false, true] {
                for slot in &mut *slots {
                    let turn = slot.at == Some(level) && slot.is_up(level + 1) == up;
                    if turn && !slot.blocked {
                        self.improve(slot);
                    }
                }
            }
            level += 1;
        }
    }
}

/// Divides a budget among tracks; see the module.
pub(crate) fn allocate(
    tracks: &[Track<'_>],
    terms: Terms,
    config: &AllocationConfig,
) -> Allocation {
    let mut division = Division {
        budget: terms.budget,
        config,
        now_us: terms.now_us,
        used: 0,
        next_bps: None,
        wake_us: None,
    };
    let mut memories = vec![Memory::default(); tracks.len()];
    let mut slots = Vec::with_capacity(tracks.len());
    for (at, track) in tracks.iter().enumerate() {
        if track.absent || track.layers.is_empty() {
            continue;
        }
        if track.audio {
            let best = track.layers.iter().max_by_key(|layer| layer.target);
            division.used += best.map_or(0, |layer| layer.bps);
            memories[at].decision = best.map_or(Decision::Absent, |l| Decision::Layer(l.target));
        } else {
            slots.push(Slot::new(at, track, terms, config));
        }
    }
    let rank = |slot: &Slot| tracks[slot.track].rank;
    slots.sort_by_key(|slot| (Reverse(rank(slot)), slot.before.is_none(), slot.track));
    let tops = slots.iter().filter_map(|slot| slot.steps.last());
    let wanted_bps = division.used + tops.map(|step| step.bps).sum::<u64>();
    for (order, slot) in slots.iter_mut().enumerate() {
        let keep = if order == 0 { terms.keep } else { Keep::Nobody };
        division.start(slot, keep);
    }
    for equals in slots.chunk_by_mut(|one, other| rank(one) == rank(other)) {
        division.improve_equals(equals);
        // What is left is for nobody who ranks below a track that is paused.
        if equals.iter().any(|slot| slot.at.is_none()) {
            break;
        }
    }
    for slot in &slots {
        memories[slot.track] = remember(slot, &tracks[slot.track], terms, config);
    }
    Allocation {
        memories,
        used_bps: division.used,
        wanted_bps,
        next_bps: division.next_bps,
        wake_us: division.wake_us,
    }
}

/// What is remembered of a track.
fn remember(slot: &Slot, track: &Track<'_>, terms: Terms, config: &AllocationConfig) -> Memory {
    let now_us = terms.now_us;
    let past = track.memory;
    let mut memory = past;
    let began = past.decision == Decision::Absent;
    if slot.at > slot.before && !began {
        memory.raised_us = Some(now_us);
    } else if slot.at < slot.before {
        let relapse_us = config.relapse.as_micros() as u64;
        let relapsed = past
            .raised_us
            .is_some_and(|raised| now_us.saturating_sub(raised) < relapse_us);
        let most_strikes = if terms.is_led {
            MOST_LED_STRIKES
        } else {
            MOST_STRIKES
        };
        memory.strikes = if relapsed {
            (past.strikes + 1).min(most_strikes)
        } else {
            0
        };
        let cool_down_us = config.cool_down.as_micros() as u64;
        memory.calm_until_us = now_us + cool_down_us;
        let held_us = cool_down_us << memory.strikes;
        memory.held_until_us = now_us + held_us + scatter(held_us, terms);
        memory.failed = slot
            .before
            .map_or_else(LayerTarget::default, |at| slot.steps[at].target);
    }
    memory.decision = match slot.at {
        Some(at) => {
            memory.reach = reach(slot.steps[at].target, track.layers);
            Decision::Layer(slot.steps[at].target)
        }
        None => Decision::Starved,
    };
    memory
}

/// A layer; with all its temporal layers, one more that comes or comes back is no step up.
fn reach(target: LayerTarget, layers: &[Layer]) -> LayerTarget {
    let above = |layer: &Layer| {
        let other = layer.target;
        (other.encoding, other.spatial) == (target.encoding, target.spatial)
            && other.temporal > target.temporal
    };
    if layers.iter().any(above) {
        return target;
    }
    LayerTarget {
        temporal: u8::MAX,
        ..target
    }
}
