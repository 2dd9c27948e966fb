//! What a video stream is worth: what is missing of it, how evenly its frames come, and how much
//! of its usual bitrate is left.
//!
//! There is no model of the ITU for what a server sees of video, so this is our own, a product of
//! factors from 0 to 1. The one that hurts most names the degradation. A publisher may send fewer
//! and smaller frames by its own choice (a still screen); that is held against the line only while
//! the line shows signs of trouble.

use super::Degradation;
use super::gauge::Reading;

/// What was measured of a stream in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Window {
    /// Share missing after all repair, 0 to 1.
    pub(crate) loss: f64,
    pub(crate) jitter_ms: f64,
    /// Frames of this second over those of a good second; `None`: not known.
    pub(crate) frame_share: Option<f64>,
    /// Bitrate over that of a good second of this layer; `None`: not known.
    pub(crate) bitrate_share: Option<f64>,
    /// Share of the time in which the picture stood still for want of frames, 0 to 1.
    pub(crate) frozen: f64,
    /// Share of the frames or time in which nothing could be decoded, 0 to 1: keyframes waited
    /// for, descriptors that cannot be read, complaints of the viewer.
    pub(crate) broken: f64,
    /// Layers below the best one that flows and was not refused.
    pub(crate) layers_missed: f64,
    /// Nothing came at all, of any stream of the peer.
    pub(crate) dry: bool,
    /// The line is loaded: what is missing is not the publisher's choice.
    pub(crate) loaded: bool,
}

/// Loss hurts at once: 1 % leaves 0.89, 5 % leaves 0.55, 15 % leaves 0.17.
fn loss_factor(loss: f64) -> f64 {
    (-12.0 * loss.max(0.0)).exp()
}

/// Up to 30 ms a player's buffer is short anyway.
fn jitter_factor(jitter_ms: f64) -> f64 {
    (1.0 - (jitter_ms - 30.0).max(0.0) / 300.0).max(0.5)
}

/// The first fifth of the frames is not missed.
fn frame_factor(share: f64) -> f64 {
    (share / 0.8).clamp(0.1, 1.0)
}

/// The bitrate can fall to a third before it costs a level (the curve is LiveKit's: 20 points of
/// 100 for each factor of e).
fn bitrate_factor(share: f64) -> f64 {
    (1.0 + 0.2 * share.clamp(0.001, 1.0).ln()).clamp(0.0, 1.0)
}

/// What is left of a score by the publisher's own thrift.
fn by_choice(factor: f64, loaded: bool) -> f64 {
    if loaded { factor } else { factor.max(0.85) }
}

/// Streams that are open and all silent (LiveKit's score for it).
const DRY: f64 = 0.3;
/// Each layer missed costs a level (LiveKit's weight).
const LAYER: f64 = 0.35;

/// Of a track that the line does not carry at all.
pub(crate) const STARVED: Reading = Reading {
    score: DRY,
    mos: None,
    degradation: Some(Degradation::Bandwidth),
};

/// The reading of a window.
pub(crate) fn read(window: &Window) -> Reading {
    if window.dry {
        return Reading {
            score: DRY,
            mos: None,
            // Whatever is wrong, a keyframe or a lower bitrate would not help.
            degradation: None,
        };
    }
    let trouble = window.loaded || window.loss > 0.0;
    let frames = window.frame_share.map_or(1.0, frame_factor);
    let bitrate = window.bitrate_share.map_or(1.0, bitrate_factor);
    let frozen = 1.0 - window.frozen.clamp(0.0, 1.0);
    let layers = (1.0 - LAYER * window.layers_missed.max(0.0)).max(0.1);
    let factors = [
        (loss_factor(window.loss), Degradation::Loss),
        (jitter_factor(window.jitter_ms), Degradation::Jitter),
        (
            by_choice(frames.min(bitrate), trouble).min(layers),
            Degradation::Bandwidth,
        ),
        (
            by_choice(frozen, trouble) * (1.0 - window.broken.clamp(0.0, 0.9)),
            Degradation::Corruption,
        ),
    ];
    let score = factors.iter().map(|(factor, _)| factor).product();
    let worst = factors
        .iter()
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(factor, _)| *factor < 0.9);
    Reading {
        score,
        mos: None,
        degradation: worst.map(|(_, degradation)| *degradation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_impairment_has_its_price_and_its_name() {
        let good = Window::default();
        let table = [
            (good, 1.0, None),
            (
                Window { loss: 0.01, ..good },
                0.887,
                Some(Degradation::Loss),
            ),
            (
                Window { loss: 0.05, ..good },
                0.549,
                Some(Degradation::Loss),
            ),
            (
                Window { loss: 0.15, ..good },
                0.165,
                Some(Degradation::Loss),
            ),
            (
                Window {
                    jitter_ms: 30.0,
                    ..good
                },
                1.0,
                None,
            ),
            (
                Window {
                    jitter_ms: 90.0,
                    ..good
                },
                0.8,
                Some(Degradation::Jitter),
            ),
            (
                Window {
                    frozen: 0.5,
                    loaded: true,
                    ..good
                },
                0.5,
                Some(Degradation::Corruption),
            ),
            (
                Window {
                    broken: 1.0,
                    ..good
                },
                0.1,
                Some(Degradation::Corruption),
            ),
            (
                Window {
                    layers_missed: 1.0,
                    ..good
                },
                0.65,
                Some(Degradation::Bandwidth),
            ),
            (Window { dry: true, ..good }, 0.3, None),
            (
                Window {
                    frame_share: Some(0.4),
                    loaded: true,
                    ..good
                },
                0.5,
                Some(Degradation::Bandwidth),
            ),
            (
                Window {
                    bitrate_share: Some(0.368),
                    loaded: true,
                    ..good
                },
                0.8,
                Some(Degradation::Bandwidth),
            ),
        ];
        for (window, score, degradation) in table {
            let reading = read(&window);
            assert!(
                (reading.score - score).abs() < 0.001,
                "{window:?}: {reading:?}"
            );
            assert_eq!(reading.degradation, degradation, "{window:?}");
        }
    }

    #[test]
    fn a_still_screen_is_no_bad_line() {
        let still = Window {
            frame_share: Some(0.05),
            bitrate_share: Some(0.02),
            frozen: 0.9,
            ..Window::default()
        };
        assert!(read(&still).score > 0.7);
        assert!(
            read(&Window {
                loaded: true,
                ..still
            })
            .score
                < 0.2
        );
    }
}
