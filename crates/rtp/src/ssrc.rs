//! SSRCs: random allocation, collisions, loops (RFC 3550 sections 8.1 and 8.2).

use std::time::{Duration, Instant};

/// Where random numbers come from. A closure will do.
pub trait RandomSource {
    /// A number that a peer cannot guess; in simulation, one that the seed decides.
    fn next_u32(&mut self) -> u32;
}

impl<F: FnMut() -> u32> RandomSource for F {
    fn next_u32(&mut self) -> u32 {
        self()
    }
}

/// How many sources a table keeps, unless it is told otherwise.
pub const DEFAULT_MAX_SOURCES: usize = 256;
/// How many addresses that collided with us a table keeps.
pub const MAX_CONFLICTS: usize = 16;
/// How many random draws are tried before the next free number is taken.
const MAX_DRAWS: usize = 8;

/// A random SSRC that is neither zero nor in use.
///
/// A source that keeps giving the same numbers (a closed set of seeds, a broken generator) ends
/// at the next free number.
pub fn allocate(random: &mut impl RandomSource, in_use: impl Fn(u32) -> bool) -> u32 {
    let free = |ssrc: u32| ssrc != 0 && !in_use(ssrc);
    let mut ssrc = random.next_u32();
    for _ in 1..MAX_DRAWS {
        if free(ssrc) {
            return ssrc;
        }
        ssrc = random.next_u32();
    }
    while !free(ssrc) {
        ssrc = ssrc.wrapping_add(1);
    }
    ssrc
}

/// What to do with a packet, by its SSRC and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is from the source it names.
    Accept,
    /// A foreign source uses an SSRC of ours: say goodbye for the old one, send with the new one.
    /// The packet itself may be used, as a packet of that source.
    Collision {
        /// Our SSRC until now.
        old: u32,
        /// Our SSRC from now on.
        new: u32,
    },
    /// Our own packets come back to us: drop it.
    Loop,
    /// Another source has this SSRC already: drop it (RFC 3550 section 8.2 keeps the first).
    ThirdParty,
    /// The table is full: drop it.
    Full,
}

/// What a table has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SsrcCounters {
    /// Times one of our SSRCs collided and was replaced.
    pub collisions: u64,
    /// Packets dropped because they were ours.
    pub loops: u64,
    /// Packets dropped because two foreign sources share an SSRC.
    pub third_party: u64,
    /// Packets dropped because the table was full.
    pub full: u64,
}

#[derive(Debug, Clone, Copy)]
struct Source<A> {
    ssrc: u32,
    address: A,
    last_seen: Instant,
}

/// The sources of one RTP session, with the addresses (of whatever type) they send from.
#[derive(Debug, Clone)]
pub struct SsrcTable<A> {
    own: Vec<u32>,
    foreign: Vec<Source<A>>,
    conflicts: Vec<(A, Instant)>,
    max_sources: usize,
    timeout: Duration,
    counters: SsrcCounters,
}

impl<A: Copy + PartialEq> SsrcTable<A> {
    /// A table of at most `max_sources` foreign sources. A source silent for `timeout`, or an
    /// address without a conflict for that long, is forgotten (RFC 3550 says ten report
    /// intervals).
    pub fn new(max_sources: usize, timeout: Duration) -> Self {
        Self {
            own: Vec::new(),
            foreign: Vec::new(),
            conflicts: Vec::new(),
            max_sources,
            timeout,
            counters: SsrcCounters::default(),
        }
    }

    /// Takes a new SSRC for ourselves that nobody uses.
    pub fn allocate(&mut self, random: &mut impl RandomSource) -> u32 {
        let ssrc = allocate(random, |ssrc| self.is_in_use(ssrc));
        self.own.push(ssrc);
        ssrc
    }

    /// Gives an SSRC of ours back; says whether it was ours.
    pub fn release(&mut self, ssrc: u32) -> bool {
        let found = self.own.iter().position(|own| *own == ssrc);
        found.map(|at| self.own.swap_remove(at)).is_some()
    }

    /// Whether we or a foreign source use this SSRC.
    pub fn is_in_use(&self, ssrc: u32) -> bool {
        self.own.contains(&ssrc) || self.foreign.iter().any(|source| source.ssrc == ssrc)
    }

    /// What the table has seen.
    pub fn counters(&self) -> SsrcCounters {
        self.counters
    }

    /// How many foreign sources are known.
    pub fn len(&self) -> usize {
        self.foreign.len()
    }

    /// Whether no foreign source is known.
    pub fn is_empty(&self) -> bool {
        self.foreign.is_empty()
    }

    /// A packet with `ssrc` came from `address`.
    pub fn on_packet(
        &mut self,
        ssrc: u32,
        address: A,
        now: Instant,
        random: &mut impl RandomSource,
    ) -> Verdict {
        if self.own.contains(&ssrc) {
            return self.on_own(ssrc, address, now, random);
        }
        let timeout = self.timeout;
        let known = self.foreign.iter_mut().find(|source| source.ssrc == ssrc);
        let Some(source) = known else {
            return self.add(ssrc, address, now);
        };
        let silent = now.saturating_duration_since(source.last_seen) > timeout;
        if source.address != address && !silent {
            self.counters.third_party += 1;
            return Verdict::ThirdParty;
        }
        source.address = address;
        source.last_seen = now;
        Verdict::Accept
    }

    /// A foreign source moved (its transport proved the new address): its packets are accepted
    /// from there.
    pub fn migrate(&mut self, old: A, new: A) {
        for source in self
            .foreign
            .iter_mut()
            .filter(|source| source.address == old)
        {
            source.address = new;
        }
    }

    /// A foreign source said goodbye; says whether it was known.
    pub fn on_goodbye(&mut self, ssrc: u32) -> bool {
        let before = self.foreign.len();
        self.foreign.retain(|source| source.ssrc != ssrc);
        before != self.foreign.len()
    }

    fn on_own(
        &mut self,
        ssrc: u32,
        address: A,
        now: Instant,
        random: &mut impl RandomSource,
    ) -> Verdict {
        let timeout = self.timeout;
        self.conflicts
            .retain(|(_, at)| now.saturating_duration_since(*at) <= timeout);
        if let Some(conflict) = self
            .conflicts
            .iter_mut()
            .find(|(known, _)| *known == address)
        {
            // This address collided before and we moved away: now it can only be an echo.
            conflict.1 = now;
            self.counters.loops += 1;
            return Verdict::Loop;
        }
        if self.conflicts.len() >= MAX_CONFLICTS {
            self.conflicts.remove(0);
        }
        self.conflicts.push((address, now));
        self.release(ssrc);
        // The old number now belongs to the other side, so the new one cannot be the same.
        self.add(ssrc, address, now);
        let new = allocate(random, |candidate| {
            candidate == ssrc || self.is_in_use(candidate)
        });
        self.own.push(new);
        self.counters.collisions += 1;
        Verdict::Collision { old: ssrc, new }
    }

    fn add(&mut self, ssrc: u32, address: A, now: Instant) -> Verdict {
        if self.foreign.len() >= self.max_sources {
            let timeout = self.timeout;
            self.foreign
                .retain(|source| now.saturating_duration_since(source.last_seen) <= timeout);
        }
        if self.foreign.len() >= self.max_sources {
            self.counters.full += 1;
            return Verdict::Full;
        }
        self.foreign.push(Source {
            ssrc,
            address,
            last_seen: now,
        });
        Verdict::Accept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const TIMEOUT: Duration = Duration::from_secs(50);

    struct Draws(VecDeque<u32>);

    impl RandomSource for Draws {
        fn next_u32(&mut self) -> u32 {
            self.0
                .pop_front()
                .expect("no more draws than the test expects")
        }
    }

    fn draws(values: &[u32]) -> Draws {
        Draws(values.iter().copied().collect())
    }

    #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn table() -> SsrcTable<&'static str> {
        SsrcTable::new(3, TIMEOUT)
    }

    #[test]
    fn zero_and_numbers_in_use_are_drawn_again() {
        assert_eq!(allocate(&mut draws(&[0, 7, 9]), |ssrc| ssrc == 7), 9);
    }

    #[test]
    fn a_generator_that_repeats_itself_still_gives_a_free_number() {
        assert_eq!(allocate(&mut || u32::MAX, |ssrc| ssrc == u32::MAX), 1);
    }

    #[test]
    fn own_numbers_differ_from_all_others() {
        let mut table = table();
        table.on_packet(5, "peer", start(), &mut draws(&[]));
        assert_eq!(table.allocate(&mut draws(&[5, 6])), 6);
        assert_eq!(table.allocate(&mut draws(&[6, 5, 8])), 8);
        assert!(table.release(6) && !table.release(6));
        assert_eq!(table.allocate(&mut draws(&[6])), 6);
    }

    #[test]
    fn a_collision_moves_us_and_a_second_one_from_there_is_a_loop() {
        let mut table = table();
        let now = start();
        let own = table.allocate(&mut draws(&[100]));
        let verdict = table.on_packet(own, "peer", now, &mut draws(&[100, 200]));
        assert_eq!(verdict, Verdict::Collision { old: 100, new: 200 });
        assert_eq!(
            table.on_packet(100, "peer", now, &mut draws(&[])),
            Verdict::Accept
        );
        assert_eq!(
            table.on_packet(200, "peer", now, &mut draws(&[])),
            Verdict::Loop
        );
        let later = now + TIMEOUT + Duration::from_secs(1);
        let verdict = table.on_packet(200, "peer", later, &mut draws(&[300]));
        assert_eq!(
            verdict,
            Verdict::Collision { old: 200, new: 300 },
            "the conflict was old"
        );
        assert_eq!(
            (table.counters().collisions, table.counters().loops),
            (2, 1)
        );
    }

    #[test]
    fn the_first_of_two_foreign_sources_keeps_a_number() {
        let mut table = table();
        let now = start();
        assert_eq!(
            table.on_packet(1, "first", now, &mut draws(&[])),
            Verdict::Accept
        );
        assert_eq!(
            table.on_packet(1, "second", now, &mut draws(&[])),
            Verdict::ThirdParty
        );
        assert_eq!(table.counters().third_party, 1);
        let later = now + TIMEOUT + Duration::from_secs(1);
        assert_eq!(
            table.on_packet(1, "second", later, &mut draws(&[])),
            Verdict::Accept
        );
        assert_eq!(
            table.on_packet(1, "first", later, &mut draws(&[])),
            Verdict::ThirdParty
        );
    }

    #[test]
    fn a_source_that_moves_is_followed() {
        let mut table = table();
        let now = start();
        table.on_packet(1, "wifi", now, &mut draws(&[]));
        table.migrate("wifi", "mobile");
        assert_eq!(
            table.on_packet(1, "mobile", now, &mut draws(&[])),
            Verdict::Accept
        );
    }

    #[test]
    fn a_full_table_refuses_and_makes_place_of_the_silent() {
        let mut table = table();
        let now = start();
        for ssrc in 1..=3 {
            assert_eq!(
                table.on_packet(ssrc, "peer", now, &mut draws(&[])),
                Verdict::Accept
            );
        }
        assert_eq!(
            table.on_packet(4, "peer", now, &mut draws(&[])),
            Verdict::Full
        );
        assert_eq!((table.len(), table.counters().full), (3, 1));
        assert!(table.on_goodbye(2) && !table.on_goodbye(2));
        assert_eq!(
            table.on_packet(4, "peer", now, &mut draws(&[])),
            Verdict::Accept
        );
        let later = now + TIMEOUT + Duration::from_secs(1);
        assert_eq!(
            table.on_packet(5, "peer", later, &mut draws(&[])),
            Verdict::Accept
        );
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn remembered_conflicts_are_bounded() {
        let mut table = SsrcTable::new(1_000, TIMEOUT);
        let now = start();
        let mut own = table.allocate(&mut draws(&[1]));
        for address in 0..100_u32 {
            match table.on_packet(own, address, now, &mut draws(&[address + 1_000])) {
                Verdict::Collision { new, .. } => own = new,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(table.conflicts.len(), MAX_CONFLICTS);
    }
}
