//! What is added to the times of a source, and how it follows what it should be.

use super::JUMP_NS;

/// Differences below this are left alone: arrivals and reports waver.
const DEAD_ZONE_NS: i64 = 10_000_000;
/// A correction under way ends here.
const ENOUGH_NS: i64 = 1_000_000;
/// Corrections are at most one part in so many; of differences that are heard or seen, one in fewer.
const SLOW: i64 = 500;
const FAST: i64 = 50;
/// Where all tracks move together nothing is out of step: only the drift of a clock has to be followed, some hundred ppm at
/// most, and frames of sound are to touch each other.
const TOGETHER: i64 = 2_000;
/// More than this between sound and picture is noticed.
const NOTICED_NS: i64 = 40_000_000;
/// All units must be late for so long a time for them to be placed later.
const PATIENCE_NS: i64 = 2_000_000_000;
/// How long arrivals are looked at before the least delayed of them counts, and how many such windows are remembered.
const WINDOW_NS: i64 = 10_000_000_000;
const WINDOWS: usize = 2;

/// A number of nanoseconds that moves slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offset {
    pub ns: i64,
    moving: bool,
}

impl Offset {
    pub(super) fn new(ns: i64) -> Self {
        Self { ns, moving: false }
    }

    /// Go towards `wanted`, as far as one track may in `elapsed` nanoseconds of the source.
    pub(super) fn follow(&mut self, wanted: i64, elapsed: i64) {
        let is_noticed = (wanted - self.ns).abs() > NOTICED_NS;
        self.go_towards(wanted, elapsed, if is_noticed { FAST } else { SLOW });
    }

    /// Go towards `wanted`, as far as all tracks of a source together may.
    pub(super) fn follow_together(&mut self, wanted: i64, elapsed: i64) {
        self.go_towards(wanted, elapsed, TOGETHER);
    }

    fn go_towards(&mut self, wanted: i64, elapsed: i64, share: i64) {
        let error = wanted - self.ns;
        self.moving = error.abs() > if self.moving { ENOUGH_NS } else { DEAD_ZONE_NS };
        if self.moving {
            let most = elapsed.max(0) / share;
            self.ns += error.clamp(-most, most);
        }
    }
}

/// The least delayed arrivals of late tell how the clock of a source goes against ours.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    /// Arrival minus source time: the least of each window that is over, the newest last.
    least: [Option<i64>; WINDOWS],
    /// When the window under way began, and its least.
    window: Option<(i64, i64)>,
    /// The first window that was over, and the latest: when they began, and their least.
    seen: Option<[(i64, i64); 2]>,
    bias: Bias,
}

/// What is added to the least delay, so that going by another track in the middle of a stream changes nothing.
#[derive(Debug, Clone, Copy, Default)]
enum Bias {
    #[default]
    None,
    /// To be known when the first window is over.
    Pending,
    Known(i64),
}

impl Arrivals {
    /// Begin anew with another track to go by: what it says first is taken to be what `offset` is.
    pub(super) fn renew(&mut self) {
        *self = Self {
            bias: Bias::Pending,
            ..Self::default()
        };
    }

    /// A unit of source time `source` came at `arrival`; the offset it should have, once it is known.
    pub(super) fn handle(&mut self, source: i64, arrival: i64, offset: i64) -> Option<i64> {
        let delay = arrival - source;
        let (began, least) = self.window.unwrap_or((arrival, delay));
        let least = least.min(delay);
        self.window = Some((began, least));
        if arrival - began >= WINDOW_NS {
            self.least.rotate_left(1);
            self.least[WINDOWS - 1] = Some(least);
            self.window = None;
            let first = self.seen.map_or((began, least), |[first, _]| first);
            self.seen = Some([first, (began, least)]);
            if matches!(self.bias, Bias::Pending) {
                self.bias = Bias::Known(offset - least);
            }
        }
        Some(self.least.iter().flatten().min()? + self.bias()?)
    }

    /// How late the least late unit of the window under way is against `offset`; none before the window is so long.
    pub(super) fn least_late(&self, offset: i64, shortest: i64, now: i64) -> Option<i64> {
        let (began, least) = self.window?;
        (now - began >= shortest).then_some(least + self.bias()? - offset)
    }

    /// How much faster the clock of what comes goes than that by which it comes, in parts per million, and over how long
    /// that was looked at.
    pub(super) fn drift(&self) -> Option<(f64, i64)> {
        let [(began, least), (later, least_later)] = self.seen?;
        let over = later - began;
        (over > 0).then(|| {
            let parts = (least - least_later) as f64 * 1e6 / over as f64;
            (parts, over)
        })
    }

    fn bias(&self) -> Option<i64> {
        match self.bias {
            Bias::None => Some(0),
            Bias::Pending => None,
            Bias::Known(bias) => Some(bias),
        }
    }
}

/// How late all units have been for a while; none where that can be made up for.
pub(super) fn late(arrivals: &Arrivals, offset: i64, now: i64) -> Option<i64> {
    arrivals
        .least_late(offset, PATIENCE_NS, now)
        .filter(|&late| late > JUMP_NS)
}
