//! How full the queues of a stream are, in four steps, and which of them slow down whoever sends it.
//!
//! A source is slowed by what the whole stream goes through: its way to the live thread, and a process that codes anew
//! what is listed in no other form. Whoever reads beside that loses groups of pictures, and slows nobody.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use roomtone_frames::{Gauge, Pressure};

use crate::values::{Report, StatValue};

/// Bytes of one stream that may wait for the live thread; what finds no place is lost up to the next keyframe.
pub(crate) const MAX_WAY_IN: u64 = 8 << 20;

/// Which queue of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueId {
    /// From whoever brings it to the live thread.
    WayIn,
    /// Units of a track that wait for their place in the lists.
    Track(u64),
    /// Units that wait for who codes them anew for the lists.
    Transcoder(u64),
    /// Likewise, for who watches by WebRTC.
    Making(u64),
    /// What is listed and lies in memory.
    Memory,
}

impl QueueId {
    const fn kind(self) -> &'static str {
        match self {
            Self::WayIn => "way_in",
            Self::Track(_) => "track",
            Self::Transcoder(_) => "transcoder",
            Self::Making(_) => "making",
            Self::Memory => "memory",
        }
    }

    /// Which of its kind.
    const fn number(self) -> Option<u64> {
        match self {
            Self::WayIn | Self::Memory => None,
            Self::Track(id) | Self::Transcoder(id) | Self::Making(id) => Some(id),
        }
    }

    pub(super) fn name(self) -> String {
        match self.number() {
            Some(number) => format!("{}-{number}", self.kind()),
            None => self.kind().to_owned(),
        }
    }
}

/// So much of so much at most; a limit of none is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fill {
    pub(super) bytes: u64,
    pub(super) bytes_limit: Option<u64>,
    pub(super) units: u64,
    pub(super) units_limit: Option<u64>,
}

impl Fill {
    pub(super) fn of_bytes(bytes: u64, limit: u64) -> Self {
        Self {
            bytes,
            bytes_limit: Some(limit),
            ..Self::default()
        }
    }

    /// Its level as of now alone.
    pub(super) fn level(self) -> Pressure {
        Pressure::of(self.permille(), 1_000)
    }

    /// Thousandths, of whatever limit is the nearer.
    fn permille(self) -> u64 {
        let of = |part: u64, whole: Option<u64>| {
            whole.map_or(0, |whole| part.saturating_mul(1_000) / whole.max(1))
        };
        of(self.bytes, self.bytes_limit).max(of(self.units, self.units_limit))
    }
}

/// A queue as it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) id: QueueId,
    pub(super) fill: Fill,
    /// What did not fit: units, and groups of pictures of which something or all was lost.
    pub(super) units_dropped: u64,
    pub(super) groups_dropped: u64,
    /// Whether it slows down whoever sends the stream, where that can be.
    pub(super) slows: bool,
}

impl Queued {
    pub(super) fn report(&self, level: Pressure) -> Report {
        Report::from([
            ("type".to_owned(), StatValue::from("packager-queue")),
            ("name".to_owned(), self.id.name().into()),
            ("kind".to_owned(), self.id.kind().into()),
            ("level".to_owned(), level.name().into()),
            ("bytes".to_owned(), self.fill.bytes.into()),
            ("bytesLimit".to_owned(), self.fill.bytes_limit.into()),
            ("units".to_owned(), self.fill.units.into()),
            ("unitsLimit".to_owned(), self.fill.units_limit.into()),
            ("unitsDropped".to_owned(), self.units_dropped.into()),
            ("groupsDropped".to_owned(), self.groups_dropped.into()),
            ("slowsSource".to_owned(), self.slows.into()),
        ])
    }
}

/// The levels of a stream's queues. As many as there are queues.
#[derive(Debug, Default)]
pub(super) struct Pressing {
    gauges: Vec<(QueueId, Gauge)>,
    /// The highest level, and that of what slows down the source.
    level: Pressure,
    slowing: Pressure,
    fullest: Option<QueueId>,
}

impl Pressing {
    /// Note how full all queues are; the highest level where that is another than before, with the queue.
    pub(super) fn note(&mut self, all: &[Queued]) -> Option<(Pressure, QueueId)> {
        self.gauges
            .retain(|(id, _)| all.iter().any(|one| one.id == *id));
        let (mut level, mut slowing) = (Pressure::Normal, Pressure::Normal);
        let mut fullest = self.fullest.or(all.first().map(|one| one.id))?;
        for one in all {
            let now = self.gauge(one.id, one.fill.permille());
            if now > level {
                (level, fullest) = (now, one.id);
            }
            if one.slows {
                slowing = slowing.max(now);
            }
        }
        (self.slowing, self.fullest) = (slowing, Some(fullest));
        (std::mem::replace(&mut self.level, level) != level).then_some((level, fullest))
    }

    fn gauge(&mut self, id: QueueId, permille: u64) -> Pressure {
        let at = self.gauges.iter().position(|(of, _)| *of == id);
        let at = at.unwrap_or_else(|| {
            self.gauges.push((id, Gauge::default()));
            self.gauges.len() - 1
        });
        let gauge = &mut self.gauges[at].1;
        gauge.note(permille, 1_000);
        gauge.level()
    }

    pub(super) const fn level(&self) -> Pressure {
        self.level
    }

    pub(super) const fn slowing(&self) -> Pressure {
        self.slowing
    }

    /// As it was noted last.
    pub(super) fn level_of(&self, id: QueueId) -> Pressure {
        let mut all = self.gauges.iter();
        all.find(|(of, _)| *of == id)
            .map_or(Pressure::Normal, |(_, gauge)| gauge.level())
    }
}

/// What of one stream is on its way to the live thread; both sides count.
#[derive(Debug, Default)]
pub(crate) struct WayIn {
    bytes: AtomicU64,
    units_dropped: AtomicU64,
    groups_dropped: AtomicU64,
}

impl WayIn {
    /// So much more is on its way; false where it finds no place.
    pub(crate) fn enter(&self, bytes: u64) -> bool {
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= MAX_WAY_IN);
        self.bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// So much has come, or was taken back.
    pub(crate) fn leave(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So much found no place.
    pub(crate) fn lose(&self, units: u64, groups: u64) {
        self.units_dropped.fetch_add(units, Ordering::Relaxed);
        self.groups_dropped.fetch_add(groups, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// As a queue; its units are the runs that wait, of all streams.
    pub(super) fn queued(&self, runs: u64, runs_limit: u64) -> Queued {
        Queued {
            id: QueueId::WayIn,
            fill: Fill {
                bytes: self.bytes(),
                bytes_limit: Some(MAX_WAY_IN),
                units: runs,
                units_limit: Some(runs_limit),
            },
            units_dropped: self.units_dropped.load(Ordering::Relaxed),
            groups_dropped: self.groups_dropped.load(Ordering::Relaxed),
            slows: true,
        }
    }
}

/// A level that one thread tells another.
#[derive(Debug, Default)]
pub(crate) struct SharedLevel(AtomicU8);

impl SharedLevel {
    pub(super) fn tell(&self, level: Pressure) {
        self.0.store(level as u8, Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) -> Pressure {
        match self.0.load(Ordering::Relaxed) {
            0 => Pressure::Normal,
            1 => Pressure::Elevated,
            2 => Pressure::High,
            _ => Pressure::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: QueueId = QueueId::Transcoder(7);

    fn queued(id: QueueId, bytes: u64, slows: bool) -> Queued {
        Queued {
            id,
            fill: Fill::of_bytes(bytes, 100),
            units_dropped: 0,
            groups_dropped: 0,
            slows,
        }
    }

    #[test]
    fn the_fullest_queue_says_the_level_and_only_those_that_may_slow_the_source() {
        use Pressure::{Critical, High, Normal};
        let mut pressing = Pressing::default();
        let mut note = |way_in, job, memory| {
            let told = pressing.note(&[
                queued(QueueId::WayIn, way_in, true),
                queued(JOB, job, false),
                queued(QueueId::Memory, memory, false),
            ]);
            (told, pressing.slowing())
        };
        assert_eq!(note(0, 0, 0), (None, Normal));
        assert_eq!(note(0, 95, 0), (Some((Critical, JOB)), Normal));
        assert_eq!(note(95, 95, 0), (None, Critical));
        // Full as it was a moment ago, the level stays; then another queue is the fullest.
        assert_eq!(note(85, 0, 0), (None, Critical));
        assert_eq!(note(70, 0, 80).0, Some((High, QueueId::WayIn)));
        assert_eq!(note(0, 0, 80), (None, Normal));
        assert_eq!(note(0, 0, 0), (Some((Normal, QueueId::Memory)), Normal));
        assert_eq!(pressing.level_of(JOB), Normal);
    }

    #[test]
    fn a_queue_that_is_gone_is_forgotten_with_its_level() {
        let mut pressing = Pressing::default();
        pressing.note(&[queued(JOB, 95, true)]);
        assert_eq!(
            (pressing.level(), pressing.slowing()),
            (Pressure::Critical, Pressure::Critical)
        );
        pressing.note(&[queued(QueueId::Memory, 0, false)]);
        assert_eq!(
            (pressing.level(), pressing.slowing()),
            (Pressure::Normal, Pressure::Normal)
        );
        assert_eq!(pressing.gauges.len(), 1);
    }

    #[test]
    fn the_nearer_of_two_limits_counts() {
        let fill = Fill {
            bytes: 10,
            bytes_limit: Some(100),
            units: 9,
            units_limit: Some(10),
        };
        assert_eq!(fill.permille(), 900);
        let unlimited = Fill {
            units_limit: None,
            ..fill
        };
        assert_eq!(unlimited.permille(), 100);
    }

    #[test]
    fn a_level_is_heard_as_it_was_told() {
        use Pressure::{Critical, Elevated, High, Normal};
        let shared = SharedLevel::default();
        assert_eq!(shared.heard(), Pressure::Normal);
        for level in [Critical, High, Elevated, Normal] {
            shared.tell(level);
            assert_eq!(shared.heard(), level);
        }
    }

    #[test]
    fn the_way_in_is_bounded_and_gives_back_what_has_come() {
        let way = WayIn::default();
        assert!(way.enter(MAX_WAY_IN - 10));
        assert!(!way.enter(11));
        assert!(way.enter(10));
        way.leave(MAX_WAY_IN);
        assert_eq!(way.bytes(), 0);
        assert!(way.enter(1));
    }
}
