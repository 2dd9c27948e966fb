//! What was lost in the last seconds, and how well a guess about the line explains it.
//!
//! Follows the observations, the objective and the average loss of libwebrtc's
//! `loss_based_bwe_v2.cc` (revision 068e6ba6), by bytes.

/// Observations kept; each is of at least so much sending time.
const WINDOW: usize = 15;
const MIN_SPAN_US: i64 = 250_000;
/// Each is worth this share of the one after it.
const AGING: f32 = 0.9;
/// With more loss than this, low rates are preferred to high ones; how sharply that turns.
const PREFERENCE_TURN: f64 = 0.2;
const PREFERENCE_WIDTH: f64 = 0.002;
/// How far high rates are preferred, by rate and by its logarithm.
const PREFERENCE_BY_RATE: f64 = 0.0002;
const PREFERENCE_BY_LOG: f64 = 0.02;
/// The newest step toward the best inherent loss is cut to this.
const NEWTON_STEP: f64 = 0.75;

#[derive(Debug, Clone, Copy, Default)]
struct Observation {
    bytes: f32,
    lost: f32,
    sent_bps: f32,
}

/// A guess: the line carries `bps`, and beside it loses this share by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Channel {
    pub(super) bps: f64,
    pub(super) inherent: f64,
}

/// The observations, the one under way, and the average.
#[derive(Debug, Default)]
pub(super) struct LossWindow {
    /// The newest at `head - 1`.
    observations: [Observation; WINDOW],
    head: u8,
    pub(super) count: u32,
    bytes: u32,
    lost: u32,
    /// When the last observation's last packet left.
    pub(super) until_us: Option<i64>,
    newest_sent_us: i64,
    pub(super) average: f64,
}

impl LossWindow {
    /// A packet was reported.
    pub(super) fn push(&mut self, sent_us: i64, bytes: u16, is_lost: bool) {
        self.bytes = self.bytes.saturating_add(u32::from(bytes));
        if is_lost {
            self.lost += u32::from(bytes);
        }
        if self.until_us.is_none() {
            self.until_us = Some(sent_us);
        }
        self.newest_sent_us = self.newest_sent_us.max(sent_us);
    }

    /// A packet that was reported as lost came late.
    pub(super) fn take_back(&mut self, bytes: u16) {
        let under_way = self.lost.min(u32::from(bytes));
        self.lost -= under_way;
        let newest = &mut self.observations[(usize::from(self.head) + WINDOW - 1) % WINDOW];
        newest.lost = (newest.lost - (u32::from(bytes) - under_way) as f32).max(0.0);
    }

    /// Ends the observation under way if it is long enough.
    pub(super) fn close(&mut self) -> bool {
        let Some(until) = self.until_us else {
            return false;
        };
        let span = self.newest_sent_us - until;
        if span < MIN_SPAN_US || self.bytes == 0 {
            return false;
        }
        self.until_us = Some(self.newest_sent_us);
        self.observations[usize::from(self.head)] = Observation {
            bytes: self.bytes as f32,
            lost: self.lost as f32,
            sent_bps: (f64::from(self.bytes) * 8e6 / span as f64) as f32,
        };
        self.head = (self.head + 1) % WINDOW as u8;
        self.count += 1;
        (self.bytes, self.lost) = (0, 0);
        self.average = self.average_loss();
        true
    }

    /// Begins anew.
    pub(super) fn forget(&mut self) {
        *self = Self {
            until_us: self.until_us.map(|_| self.newest_sent_us),
            newest_sent_us: self.newest_sent_us,
            ..Self::default()
        };
    }

    /// Whether nothing at all was lost.
    pub(super) fn is_clean(&self) -> bool {
        self.observations.iter().all(|seen| seen.lost <= 0.0)
    }

    /// From the newest to the oldest, each with its weight.
    fn weighted(&self) -> impl Iterator<Item = (f64, Observation)> {
        let head = usize::from(self.head);
        let mut weight = 1.0_f32 / AGING;
        (1..=WINDOW)
            .map(move |age| self.observations[(head + WINDOW - age) % WINDOW])
            .filter(|seen| seen.bytes > 0.0)
            .map(move |seen| {
                weight *= AGING;
                (f64::from(weight), seen)
            })
    }

    /// The share lost, the best and the worst observation left out, unless the worst was one of
    /// sudden sending: then it tells something.
    fn average_loss(&self) -> f64 {
        let share = |seen: &Observation| seen.lost / seen.bytes;
        let (mut bytes, mut lost) = (0.0, 0.0);
        let mut best: Option<(f64, Observation)> = None;
        let mut worst: Option<(f64, Observation)> = None;
        for (weight, seen) in self.weighted() {
            bytes += weight * f64::from(seen.bytes);
            lost += weight * f64::from(seen.lost);
            if worst.is_none_or(|(_, before)| share(&seen) > share(&before)) {
                worst = Some((weight, seen));
            }
            if best.is_none_or(|(_, before)| share(&seen) < share(&before)) {
                best = Some((weight, seen));
            }
        }
        let all = if bytes > 0.0 { lost / bytes } else { 0.0 };
        let (Some(best), Some(worst)) = (best, worst) else {
            return all;
        };
        if self.count <= 3 || f64::from(worst.1.sent_bps) >= 2.0 * self.median_rate() {
            return all;
        }
        for (weight, seen) in [best, worst] {
            bytes -= weight * f64::from(seen.bytes);
            lost -= weight * f64::from(seen.lost);
        }
        if bytes > 1.0 {
            (lost / bytes).clamp(0.0, 1.0)
        } else {
            all
        }
    }

    fn median_rate(&self) -> f64 {
        let mut rates = [0.0_f32; WINDOW];
        let mut len = 0;
        for (_, seen) in self.weighted() {
            rates[len] = seen.sent_bps;
            len += 1;
        }
        let rates = &mut rates[..len];
        rates.sort_unstable_by(f32::total_cmp);
        rates.get(len / 2).copied().map_or(0.0, f64::from)
    }

    /// One Newton step of the guess's inherent loss toward what explains the losses best.
    pub(super) fn refine(&self, guess: Channel) -> Channel {
        let (mut first, mut second) = (0.0, 0.0);
        for (weight, seen) in self.weighted() {
            let share = guess.loss_at(f64::from(seen.sent_bps));
            let lost = weight * f64::from(seen.lost) / 1000.0;
            let kept = weight * f64::from(seen.bytes - seen.lost) / 1000.0;
            first += lost / share - kept / (1.0 - share);
            second -= lost / (share * share) + kept / ((1.0 - share) * (1.0 - share));
        }
        let inherent = guess.inherent - NEWTON_STEP * first / second.min(-1e-6);
        Channel { inherent, ..guess }.feasible()
    }

    /// How well the guess explains what was lost; high rates are preferred a little.
    pub(super) fn objective(&self, guess: Channel) -> f64 {
        let preference = self.preference(guess.bps / 1000.0);
        self.weighted()
            .map(|(weight, seen)| {
                let share = guess.loss_at(f64::from(seen.sent_bps));
                let bytes = f64::from(seen.bytes) / 1000.0;
                let lost = f64::from(seen.lost) / 1000.0;
                weight
                    * (lost * share.ln() + (bytes - lost) * (1.0 - share).ln() + preference * bytes)
            })
            .sum()
    }

    fn preference(&self, kbps: f64) -> f64 {
        let distance = PREFERENCE_TURN - self.average;
        let turned = distance / (PREFERENCE_WIDTH + distance.abs());
        turned * (PREFERENCE_BY_RATE * kbps + PREFERENCE_BY_LOG * (1.0 + kbps).ln())
    }
}

impl Channel {
    /// Bounds of the inherent loss: what is more than chance on a line of that rate is the
    /// sender's doing.
    const MIN_INHERENT: f64 = 1e-3;
    const INHERENT_OFFSET: f64 = 0.05;
    const INHERENT_BALANCE_BPS: f64 = 100_000.0;

    /// The guess with its inherent loss within bounds.
    pub(super) fn feasible(self) -> Self {
        let most = Self::INHERENT_OFFSET + Self::INHERENT_BALANCE_BPS / self.bps.max(1.0);
        Self {
            inherent: self.inherent.max(Self::MIN_INHERENT).min(most.min(1.0)),
            ..self
        }
    }

    /// The share lost when so much is sent.
    fn loss_at(self, sent_bps: f64) -> f64 {
        let overflow = if sent_bps > self.bps {
            (1.0 - self.inherent) * (sent_bps - self.bps) / sent_bps
        } else {
            0.0
        };
        (self.inherent + overflow).clamp(1e-6, 1.0 - 1e-6)
    }
}
