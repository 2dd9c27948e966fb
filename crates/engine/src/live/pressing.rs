//! How full the queues of a stream are, in four steps. Which of them slow down whoever sends it is said in
//! [`way_in`](super::way_in).

use roomtone_frames::{Gauge, Pressure};

use crate::values::{Report, StatValue};

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
    pub(super) fn permille(self) -> u64 {
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
    /// The highest level.
    level: Pressure,
    fullest: Option<QueueId>,
}

impl Pressing {
    /// Note how full all queues are; the highest level where that is another than before, with the queue.
    pub(super) fn note(&mut self, all: &[Queued]) -> Option<(Pressure, QueueId)> {
        self.gauges
            .retain(|(id, _)| all.iter().any(|one| one.id == *id));
        let mut level = Pressure::Normal;
        let mut fullest = self.fullest.or(all.first().map(|one| one.id))?;
        for one in all {
            let now = self.gauge(one.id, one.fill.permille());
            if now > level {
                (level, fullest) = (now, one.id);
            }
        }
        self.fullest = Some(fullest);
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

    /// As it was noted last.
    pub(super) fn level_of(&self, id: QueueId) -> Pressure {
        let mut all = self.gauges.iter();
        all.find(|(of, _)| *of == id)
            .map_or(Pressure::Normal, |(_, gauge)| gauge.level())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: QueueId = QueueId::Transcoder(7);

    fn queued(id: QueueId, bytes: u64) -> Queued {
        Queued {
            id,
            fill: Fill::of_bytes(bytes, 100),
            units_dropped: 0,
            groups_dropped: 0,
            slows: false,
        }
    }

    #[test]
    fn the_fullest_queue_says_the_level() {
        use Pressure::{Critical, High, Normal};
        let mut pressing = Pressing::default();
        let mut note = |way_in, job, memory| {
            pressing.note(&[
                queued(QueueId::WayIn, way_in),
                queued(JOB, job),
                queued(QueueId::Memory, memory),
            ])
        };
        assert_eq!(note(0, 0, 0), None);
        assert_eq!(note(0, 95, 0), Some((Critical, JOB)));
        assert_eq!(note(95, 95, 0), None);
        // Full as it was a moment ago, the level stays; then another queue is the fullest.
        assert_eq!(note(85, 0, 0), None);
        assert_eq!(note(70, 0, 80), Some((High, QueueId::WayIn)));
        assert_eq!(note(0, 0, 80), None);
        assert_eq!(note(0, 0, 0), Some((Normal, QueueId::Memory)));
        assert_eq!(pressing.level_of(JOB), Normal);
    }

    #[test]
    fn a_queue_that_is_gone_is_forgotten_with_its_level() {
        let mut pressing = Pressing::default();
        pressing.note(&[queued(JOB, 95)]);
        assert_eq!(pressing.level(), Pressure::Critical);
        pressing.note(&[queued(QueueId::Memory, 0)]);
        assert_eq!(pressing.level(), Pressure::Normal);
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
}
