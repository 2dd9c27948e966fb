//! Peers at one address, and which of them share the line behind it.
//!
//! Whoever sends to several peers behind one router knows more than each of the estimators does: that all of them see
//! one queue. [`Neighbours`] finds out who shares a bottleneck, as RFC 8382 does by what delays of different flows have
//! in common, over its intervals (section 4: 350 ms); here both delays are seen by one observer, so that they are
//! compared themselves, not their statistics. Those who do share are led by one rate, and each has its part of it, as
//! the flow state exchange of RFC 8699 gives it (section 5.3.1: sum, then divide, none more than it wants).

/// The interval of RFC 8382 section 2.2 over which a delay is averaged.
const INTERVAL_US: u64 = 350_000;
/// So many of them are compared, at most and at least.
const WINDOW: usize = 30;
const LEAST: usize = 14;
/// Delays that move together by this are of one queue; those that were stay so down to the second.
const JOINED: f32 = 0.5;
const PARTED: f32 = 0.1;
/// Delays that moved by less, in milliseconds, say nothing.
const EVENTFUL_MS: f32 = 15.0;
/// A peer that was not heard for so long is left out.
const SILENT_US: u64 = 2_000_000;
/// So long a turn lasts in which one of them may probe.
const TURN_US: u64 = 2_000_000;

/// What is known of one of them after feedback.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sighting {
    /// How long packets wait in the line's queue, in microseconds.
    pub queue_us: i64,
    /// What arrives, in bits per second.
    pub arriving_bps: f64,
    /// What there is to send, in bits per second.
    pub wanted_bps: f64,
}

/// What one of those who share a line has to know of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Company {
    /// What arrives at the others, in bits per second.
    pub others_bps: f64,
    /// What there is to send to the others, in bits per second.
    pub others_wanted_bps: f64,
    /// Its share of the line, from 0 to 1.
    pub part: f64,
    /// The shortest queue that one of the others sees.
    pub least_queue_us: i64,
    /// Whether it may probe now.
    pub may_probe: bool,
}

#[derive(Debug)]
struct Neighbour {
    id: u32,
    seen: Sighting,
    last_us: u64,
    /// Of the interval under way.
    sum_ms: f32,
    count: u16,
    /// Mean delays of past intervals, in milliseconds, the newest at `head - 1`.
    delays: [f32; WINDOW],
    head: usize,
    len: usize,
    /// Those with the same number share a line; zero: nobody is known to.
    line: u8,
}

/// Who is at one address.
///
/// - **Inputs**: [`Self::note`] after feedback, [`Self::step`] after it, [`Self::leave`].
/// - **Outputs**: [`Self::fellows`], [`Self::company`].
/// - **Limits**: [`Self::MOST`] are compared; further ones are on their own.
#[derive(Debug, Default)]
pub struct Neighbours {
    members: Vec<Neighbour>,
    interval_us: u64,
}

impl Neighbours {
    /// So many are compared.
    pub const MOST: usize = 16;

    /// Takes what is known of one after feedback; false where there is no place for it.
    pub fn note(&mut self, id: u32, seen: Sighting, now_us: u64) -> bool {
        let at = match self.members.iter().position(|member| member.id == id) {
            Some(at) => at,
            None if self.members.len() >= Self::MOST => return false,
            None => {
                self.members.push(Neighbour::new(id, now_us));
                self.members.len() - 1
            }
        };
        let member = &mut self.members[at];
        member.seen = seen;
        member.last_us = now_us;
        member.sum_ms += seen.queue_us as f32 / 1e3;
        member.count = member.count.saturating_add(1);
        true
    }

    /// One is gone.
    pub fn leave(&mut self, id: u32) {
        self.members.retain(|member| member.id != id);
    }

    /// Whether nobody is left.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Compares, where an interval is over; says whether somebody shares a line with others than before.
    pub fn step(&mut self, now_us: u64) -> bool {
        if now_us < self.interval_us + INTERVAL_US {
            return false;
        }
        self.interval_us = now_us;
        for member in &mut self.members {
            member.close();
        }
        let before: Vec<u8> = self.members.iter().map(|member| member.line).collect();
        let mut after = vec![0; before.len()];
        let mut next = 0;
        for first in 0..self.members.len() {
            if after[first] != 0 {
                continue;
            }
            let mut found = vec![first];
            let mut looked = 0;
            while let Some(one) = found.get(looked).copied() {
                looked += 1;
                for other in first + 1..self.members.len() {
                    if !found.contains(&other) && self.are_joined(one, other, now_us) {
                        found.push(other);
                    }
                }
            }
            if found.len() > 1 {
                next += 1;
                for at in found {
                    after[at] = next;
                }
            }
        }
        for (member, line) in self.members.iter_mut().zip(&after) {
            member.line = *line;
        }
        before != after
    }

    fn are_joined(&self, one: usize, other: usize, now_us: u64) -> bool {
        let (one, other) = (&self.members[one], &self.members[other]);
        if one.is_silent(now_us) || other.is_silent(now_us) {
            return false;
        }
        let were = one.line != 0 && one.line == other.line;
        match one.likeness(other) {
            Some(likeness) => likeness >= if were { PARTED } else { JOINED },
            None => were,
        }
    }

    /// All who are compared.
    pub fn members(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.iter().map(|member| member.id)
    }

    /// All who share a line with one, itself among them; nobody where it is on its own.
    pub fn fellows(&self, id: u32) -> impl Iterator<Item = u32> + '_ {
        let line = self.line_of(id);
        self.members
            .iter()
            .filter(move |member| line != 0 && member.line == line)
            .map(|member| member.id)
    }

    fn line_of(&self, id: u32) -> u8 {
        let member = self.members.iter().find(|member| member.id == id);
        member.map_or(0, |member| member.line)
    }

    /// What one has to know of those who share a line of `line_bps` with it.
    pub fn company(&self, id: u32, line_bps: f64, now_us: u64) -> Option<Company> {
        let line = self.line_of(id);
        if line == 0 {
            return None;
        }
        let fellows = || self.members.iter().filter(|member| member.line == line);
        let count = fellows().count();
        let rank = fellows().position(|member| member.id == id)?;
        let own = fellows().nth(rank)?.seen.wanted_bps;
        let others = || fellows().filter(|member| member.id != id);
        let turn = (now_us / TURN_US) as usize % count;
        let level = level(fellows().map(|member| member.seen.wanted_bps), line_bps);
        Some(Company {
            others_bps: others().map(|member| member.seen.arriving_bps).sum(),
            others_wanted_bps: others().map(|member| member.seen.wanted_bps).sum(),
            least_queue_us: others()
                .map(|member| member.seen.queue_us)
                .min()
                .unwrap_or(0),
            part: level.part(own, line_bps),
            may_probe: turn == rank,
        })
    }
}

impl Neighbour {
    fn new(id: u32, now_us: u64) -> Self {
        Self {
            id,
            seen: Sighting::default(),
            last_us: now_us,
            sum_ms: 0.0,
            count: 0,
            delays: [0.0; WINDOW],
            head: 0,
            len: 0,
            line: 0,
        }
    }

    fn is_silent(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.last_us) > SILENT_US
    }

    fn close(&mut self) {
        let newest = (self.head + WINDOW - 1) % WINDOW;
        let mean = match self.count {
            0 => self.delays[newest],
            count => self.sum_ms / f32::from(count),
        };
        (self.sum_ms, self.count) = (0.0, 0);
        self.delays[self.head] = mean;
        self.head = (self.head + 1) % WINDOW;
        self.len = (self.len + 1).min(WINDOW);
    }

    /// The last delays, from the newest to the oldest.
    fn recent(&self) -> impl Iterator<Item = f32> + '_ {
        (1..=self.len).map(|age| self.delays[(self.head + WINDOW - age) % WINDOW])
    }

    /// How much delays move together, from -1 to 1; none where they move too little to tell.
    fn likeness(&self, other: &Self) -> Option<f32> {
        let len = self.len.min(other.len);
        if len < LEAST {
            return None;
        }
        let count = len as f32;
        let pairs = || self.recent().zip(other.recent());
        let (sum, other_sum) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let (mean, other_mean) = (sum / count, other_sum / count);
        let (mut own, mut others, mut both) = (0.0_f32, 0.0_f32, 0.0_f32);
        let mut widest = 0.0_f32;
        for (x, y) in pairs() {
            let (x, y) = (x - mean, y - other_mean);
            widest = widest.max(x.abs()).max(y.abs());
            own += x * x;
            others += y * y;
            both += x * y;
        }
        (widest > EVENTFUL_MS).then(|| both / (own * others).sqrt().max(1e-3))
    }
}

/// How a line is divided: each up to a level, and what nobody wants in equal parts.
struct Level {
    bps: f64,
    spare: f64,
}

impl Level {
    fn part(&self, wanted: f64, line_bps: f64) -> f64 {
        (wanted.min(self.bps) + self.spare) / line_bps.max(1.0)
    }
}

fn level(wanted: impl Iterator<Item = f64>, line_bps: f64) -> Level {
    let mut wanted: Vec<f64> = wanted.collect();
    wanted.sort_unstable_by(f64::total_cmp);
    let mut left = line_bps;
    for (at, bps) in wanted.iter().enumerate() {
        let among = (wanted.len() - at) as f64;
        if bps * among >= left {
            return Level {
                bps: left / among,
                spare: 0.0,
            };
        }
        left -= bps;
    }
    Level {
        bps: f64::MAX,
        spare: left / wanted.len().max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn seen(queue_ms: i64) -> Sighting {
        Sighting {
            queue_us: queue_ms * 1_000,
            arriving_bps: 5e5,
            wanted_bps: 2e6,
        }
    }

    /// A queue that fills and drains, its phase moved.
    fn wave(tenth: u64, phase: u64) -> i64 {
        (((tenth + phase) / 7 % 9) * 10) as i64
    }

    /// Plays seconds of feedback each 100 ms.
    fn play(
        neighbours: &mut Neighbours,
        seconds: std::ops::Range<u64>,
        of: &[&dyn Fn(u64) -> i64],
    ) {
        for tenth in seconds.start * 10..seconds.end * 10 {
            let now_us = (tenth + 1) * 100_000;
            for (id, queue) in of.iter().enumerate() {
                assert!(neighbours.note(id as u32, seen(queue(tenth)), now_us));
                neighbours.step(now_us);
            }
        }
    }

    fn fellows(neighbours: &Neighbours, id: u32) -> Vec<u32> {
        neighbours.fellows(id).collect()
    }

    #[test]
    fn those_whose_delays_move_together_share_a_line_and_others_do_not() {
        let mut neighbours = Neighbours::default();
        let of: [&dyn Fn(u64) -> i64; 4] = [
            &|at| wave(at, 0),
            &|at| wave(at, 1) + 5,
            &|at| wave(at, 30),
            &|_| 3,
        ];
        play(&mut neighbours, 0..20, &of);
        assert_eq!(fellows(&neighbours, 0), [0, 1]);
        assert_eq!(fellows(&neighbours, 1), [0, 1]);
        assert!(fellows(&neighbours, 2).is_empty());
        assert!(fellows(&neighbours, 3).is_empty());
        assert!(neighbours.company(3, 1e6, 0).is_none());
    }

    #[test]
    fn a_quiet_line_tells_nothing_and_what_was_known_stays() {
        let mut neighbours = Neighbours::default();
        let quiet: [&dyn Fn(u64) -> i64; 2] = [&|_| 2, &|_| 2];
        play(&mut neighbours, 0..20, &quiet);
        assert!(fellows(&neighbours, 0).is_empty());
        play(
            &mut neighbours,
            20..40,
            &[&|at| wave(at, 0), &|at| wave(at, 0)],
        );
        assert_eq!(fellows(&neighbours, 0), [0, 1]);
        play(&mut neighbours, 40..60, &quiet);
        assert_eq!(fellows(&neighbours, 0), [0, 1]);
        play(&mut neighbours, 60..80, &[&|at| wave(at, 0), &|_| 2]);
        assert!(
            fellows(&neighbours, 0).is_empty(),
            "only one of them queues"
        );
    }

    #[test]
    fn who_is_silent_is_left_out() {
        let mut neighbours = Neighbours::default();
        let of: [&dyn Fn(u64) -> i64; 3] =
            [&|at| wave(at, 0), &|at| wave(at, 0), &|at| wave(at, 0)];
        play(&mut neighbours, 0..20, &of);
        assert_eq!(fellows(&neighbours, 2), [0, 1, 2]);
        play(&mut neighbours, 20..23, &of[..2]);
        assert_eq!(fellows(&neighbours, 0), [0, 1]);
        assert!(fellows(&neighbours, 2).is_empty());
        neighbours.leave(1);
        neighbours.step(30 * SECOND);
        assert!(fellows(&neighbours, 0).is_empty());
    }

    #[test]
    fn a_line_is_divided_evenly_but_nobody_has_more_than_it_wants_while_others_want() {
        let part = |wanted: &[f64], own: f64, line: f64| {
            level(wanted.iter().copied(), line).part(own, line) * line
        };
        let near = |one: f64, other: f64| assert!((one - other).abs() < 1.0, "{one} {other}");
        near(part(&[2e6, 2e6, 2e6, 2e6], 2e6, 2e6), 5e5);
        near(part(&[1e5, 2e6, 2e6], 1e5, 2.1e6), 1e5);
        near(part(&[1e5, 2e6, 2e6], 2e6, 2.1e6), 1e6);
        near(part(&[1e5, 1e5], 1e5, 1e6), 5e5);
    }

    #[test]
    fn they_probe_in_turn_and_know_what_the_others_take() {
        let mut neighbours = Neighbours::default();
        play(
            &mut neighbours,
            0..20,
            &[&|at| wave(at, 0), &|at| wave(at, 0)],
        );
        for turn in 0..4 {
            let at = |id| neighbours.company(id, 1e6, turn * TURN_US).unwrap();
            assert_ne!(at(0).may_probe, at(1).may_probe);
            assert!((at(0).others_bps - 5e5).abs() < 1.0 && (at(1).part - 0.5).abs() < 1e-9);
        }
    }

    #[test]
    fn more_than_are_compared_are_on_their_own() {
        let mut neighbours = Neighbours::default();
        for id in 0..Neighbours::MOST as u32 {
            assert!(neighbours.note(id, seen(0), 0));
        }
        assert!(!neighbours.note(99, seen(0), 0));
    }
}
