//! The E-model (ITU-T G.107): from loss and delay to the opinion that people would have.
//!
//! Of the model's terms those are computed that a server can know: delay with perfect echo control
//! (`Idd`; browsers cancel echo) and the effective equipment impairment with packet loss. All
//! others keep their default values, so that the rating of an unimpaired narrowband connection is
//! the 93.2 of G.107 section 7.7.
//!
//! Wideband and fullband codecs are rated on the longer scales of G.107.1 (129) and G.107.2 (148)
//! and mapped back (divided by 1.29 and 1.48) before the opinion is taken. A track is rated for
//! its hop alone: what comes from its publisher up to here, or what goes from here to one
//! subscriber.

use roomtone_rtp::Codec;

/// The band a codec is rated in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Band {
    /// 300-3,400 Hz.
    Narrow,
    /// 50-7,000 Hz.
    Wide,
    /// 20-20,000 Hz.
    Full,
}

impl Band {
    /// The rating without any impairment.
    fn best(self) -> f64 {
        match self {
            Self::Narrow => 93.2,
            Self::Wide => 129.0,
            Self::Full => 148.0,
        }
    }

    /// What a rating is divided by before it becomes an opinion.
    fn scale(self) -> f64 {
        match self {
            Self::Narrow => 1.0,
            Self::Wide => 1.29,
            Self::Full => 1.48,
        }
    }

    /// The impairment of total loss (G.107 and G.107.1 section 7.5; G.107.2 section 7.5).
    fn total_loss(self) -> f64 {
        match self {
            Self::Narrow | Self::Wide => 95.0,
            Self::Full => 132.0,
        }
    }
}

/// What a codec costs by itself and how well it bears loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SpeechCodec {
    band: Band,
    /// Equipment impairment without loss (`Ie`).
    impairment: f64,
    /// Packet-loss robustness (`Bpl`).
    robustness: f64,
    /// What coding and packetization take, in milliseconds.
    delay_ms: f64,
}

impl SpeechCodec {
    /// The values of a codec in packets of 20 ms.
    pub(crate) fn of(codec: Codec) -> Self {
        match codec {
            // G.113 appendix I: Ie 0, Bpl 25.1 with packet loss concealment, which all browsers do.
            Codec::Pcmu | Codec::Pcma => Self {
                band: Band::Narrow,
                impairment: 0.0,
                robustness: 25.1,
                delay_ms: 20.0,
            },
            // G.113 appendix IV: Ie,WB 13 at 64 kbit/s. Its Bpl is taken as Opus's.
            Codec::G722 => Self {
                band: Band::Wide,
                impairment: 13.0,
                robustness: 10.0,
                delay_ms: 21.5,
            },
            // The ITU gives no values for Opus. M. Alahmadi, P. Počta, H. Melvin (ACM TOMM 17(4),
            // 2021) measured Ie 10.7 and Bpl 9.8 at 40 kbit/s. Its algorithmic delay is 6.5 ms
            // (RFC 6716 section 2). Others are taken as Opus: conferencing codecs of its kind.
            _ => Self {
                band: Band::Full,
                impairment: 10.7,
                robustness: 9.8,
                delay_ms: 26.5,
            },
        }
    }
}

/// What was measured of one hop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hop {
    /// Share of the packets missing in the end, 0 to 1.
    pub(crate) loss: f64,
    /// Mean length of the runs of lost packets, over that of random loss; 1: random.
    pub(crate) burst_ratio: f64,
    pub(crate) round_trip_ms: f64,
    pub(crate) jitter_ms: f64,
}

impl Hop {
    /// From mouth to ear: half the round trip, the codec, and a buffer that holds what 95 % of a
    /// jitter as RFC 3550 counts it need (twice the mean deviation), 20 ms at least.
    fn delay_ms(&self, codec: &SpeechCodec) -> f64 {
        let buffer = (2.0 * self.jitter_ms).max(20.0);
        self.round_trip_ms / 2.0 + codec.delay_ms + buffer
    }
}

/// Delay impairment with perfect echo control (`Idd`, G.107 section 7.4).
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    let sixth = |x: f64| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
}

/// Effective equipment impairment (`Ie,eff`, G.107 section 7.5).
fn equipment_impairment(codec: &SpeechCodec, loss: f64, burst_ratio: f64) -> f64 {
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    if percent <= 0.0 {
        return codec.impairment;
    }
    let left = codec.band.total_loss() - codec.impairment;
    codec.impairment + left * percent / (percent / burst_ratio.max(1.0) + codec.robustness)
}

/// The rating on the narrowband scale, 0 to 100.
pub(crate) fn rating(codec: &SpeechCodec, hop: &Hop) -> f64 {
    let impairment = delay_impairment(hop.delay_ms(codec))
        + equipment_impairment(codec, hop.loss, hop.burst_ratio);
    ((codec.band.best() - impairment) / codec.band.scale()).clamp(0.0, 100.0)
}

/// The opinion for a rating (G.107 annex B).
pub(crate) fn opinion(rating: f64) -> f64 {
    if rating <= 0.0 {
        return 1.0;
    }
    if rating >= 100.0 {
        return 4.5;
    }
    // The cubic dips below 1 for ratings up to 6.5.
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).max(1.0)
}

/// Burst ratio (G.107 section 7.5): mean run of losses over that of random loss, which is
/// 1 / (1 - loss).
pub(crate) fn burst_ratio(lost: u64, runs: u64, loss: f64) -> f64 {
    if runs == 0 {
        return 1.0;
    }
    (lost as f64 / runs as f64 * (1.0 - loss.clamp(0.0, 1.0))).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Hop = Hop {
        loss: 0.0,
        burst_ratio: 1.0,
        round_trip_ms: 40.0,
        jitter_ms: 5.0,
    };

    fn close(got: f64, wanted: f64, within: f64) {
        assert!((got - wanted).abs() <= within, "{got}, not {wanted}");
    }

    #[test]
    fn the_default_rating_and_its_opinion_are_those_of_g_107() {
        let codec = SpeechCodec::of(Codec::Pcmu);
        close(rating(&codec, &NEAR), 93.2, 1e-9);
        close(opinion(93.2), 4.41, 0.005);
        // G.107 annex B, table B.1.
        for (rating, wanted) in [
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ] {
            close(opinion(rating), wanted, 0.0075);
        }
        close(opinion(-5.0), 1.0, 0.0);
        close(opinion(3.0), 1.0, 0.0);
        close(opinion(120.0), 4.5, 0.0);
    }

    #[test]
    fn delay_costs_nothing_up_to_100_ms_and_much_beyond_200() {
        // The formula of G.107 section 7.4 by hand: X = log2(Ta / 100).
        for (delay, wanted) in [
            (0.0, 0.0),
            (100.0, 0.0),
            (150.0, 0.16),
            (200.0, 3.04),
            (400.0, 24.2),
        ] {
            close(delay_impairment(delay), wanted, 0.15);
        }
        let table: Vec<_> = (1..60)
            .map(|n| delay_impairment(f64::from(n) * 20.0))
            .collect();
        assert!(table.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn loss_costs_as_the_robustness_of_the_codec_says() {
        let g711 = SpeechCodec::of(Codec::Pcma);
        // 95 * 5 / (5 + 25.1); bursts weigh more: 95 * 5 / (5 / 2 + 25.1).
        close(equipment_impairment(&g711, 0.05, 1.0), 15.78, 0.01);
        close(equipment_impairment(&g711, 0.05, 2.0), 17.21, 0.01);
        let opus = SpeechCodec::of(Codec::Opus);
        close(equipment_impairment(&opus, 0.0, 1.0), 10.7, 0.0);
        close(
            equipment_impairment(&opus, 0.05, 1.0),
            10.7 + 121.3 * 5.0 / 14.8,
            0.01,
        );
        close(
            equipment_impairment(&opus, 7.0, 1.0),
            10.7 + 121.3 * 100.0 / 109.8,
            0.01,
        );
    }

    #[test]
    fn opinions_of_known_lines() {
        let hop = |loss, round_trip_ms, jitter_ms| Hop {
            loss,
            round_trip_ms,
            jitter_ms,
            ..NEAR
        };
        // Worked out by hand from the formulas.
        let table = [
            (Codec::Pcmu, hop(0.0, 40.0, 5.0), 4.409),
            (Codec::Pcmu, hop(0.05, 40.0, 5.0), 3.923),
            (Codec::Pcmu, hop(0.0, 600.0, 5.0), 3.793),
            (Codec::G722, hop(0.0, 40.0, 5.0), 4.337),
            (Codec::Opus, hop(0.0, 40.0, 5.0), 4.401),
            (Codec::Opus, hop(0.02, 40.0, 5.0), 3.981),
            (Codec::Opus, hop(0.10, 40.0, 5.0), 2.647),
            (Codec::Opus, hop(0.0, 300.0, 100.0), 3.938),
        ];
        for (codec, hop, wanted) in table {
            close(
                opinion(rating(&SpeechCodec::of(codec), &hop)),
                wanted,
                0.001,
            );
        }
    }

    #[test]
    fn bursts_are_runs_longer_than_chance_makes_them() {
        close(burst_ratio(0, 0, 0.0), 1.0, 0.0);
        close(burst_ratio(10, 10, 0.1), 1.0, 0.0);
        close(burst_ratio(30, 10, 0.1), 2.7, 1e-9);
    }
}
