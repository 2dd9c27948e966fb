//! The steps by which one track is improved.

use super::{ConsumerLimits, Layer, LayerTarget};

/// Fewer pictures than this in a second are no improvement over a smaller picture that moves.
const LEAST_FPS: u8 = 10;

/// The most that one track is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TrackLimits {
    /// The encoding, or the spatial layer where there is one encoding.
    pub(crate) spatial: Option<u8>,
    pub(crate) temporal: Option<u8>,
    pub(crate) shown: ConsumerLimits,
}

/// One step: a layer and its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) target: LayerTarget,
    pub(super) bps: u64,
    fps: Option<u8>,
}

impl Step {
    /// The place of its picture among sizes.
    pub(super) fn picture(&self) -> (u8, u8) {
        (self.target.encoding, self.target.spatial)
    }
}

/// The steps of a track within its limits, each better and dearer than the one before. Empty only
/// where there are no layers. A limit below the lowest layer leaves that one.
pub(super) fn ladder(layers: &[Layer], limits: &TrackLimits) -> Vec<Step> {
    let top = top_picture(layers, limits);
    let mut kept: Vec<&Layer> = layers
        .iter()
        .filter(|layer| picture(layer) <= top)
        .filter(|layer| is_smooth(layer, layers) && is_within(layer, layers, limits))
        .collect();
    kept.sort_unstable_by_key(|layer| layer.target);
    let mut steps: Vec<Step> = Vec::with_capacity(kept.len());
    // From the top down: what costs no less than something better is no step.
    for layer in kept.iter().rev() {
        if steps.last().is_none_or(|above| layer.bps < above.bps) {
            steps.push(Step {
                target: layer.target,
                bps: layer.bps,
                fps: layer.fps,
            });
        }
    }
    steps.reverse();
    if let Some(most) = limits.shown.max_bitrate {
        let within = steps.iter().filter(|step| step.bps <= most).count();
        steps.truncate(within.max(1));
    }
    steps
}

/// The cheapest step that still moves, for a line that nothing is known of: of the smallest
/// pictures enough in a second, or all.
pub(super) fn moving(steps: &[Step]) -> usize {
    let picture = Step::picture;
    let Some(first) = steps.first() else { return 0 };
    let smallest = steps
        .iter()
        .take_while(|step| picture(step) == picture(first));
    let last = smallest.clone().count() - 1;
    smallest
        .clone()
        .position(|step| step.fps.is_some_and(|fps| fps >= LEAST_FPS))
        .unwrap_or(last)
}

/// How many picture sizes lie above the one given, up to the best within the limits.
pub(crate) fn pictures_missed(layers: &[Layer], limits: &TrackLimits, given: LayerTarget) -> usize {
    let above = |layer: &&Layer| picture(layer) > (given.encoding, given.spatial);
    if !layers.iter().any(|layer| above(&layer)) {
        // The usual case; the steps need not be worked out.
        return 0;
    }
    let Some(best) = ladder(layers, limits).last().map(|step| step.target) else {
        return 0;
    };
    let mut missed: Vec<_> = layers
        .iter()
        .filter(above)
        .map(picture)
        .filter(|at| *at <= (best.encoding, best.spatial))
        .collect();
    missed.sort_unstable();
    missed.dedup();
    missed.len()
}

/// The place of a layer among picture sizes.
fn picture(layer: &Layer) -> (u8, u8) {
    (layer.target.encoding, layer.target.spatial)
}

/// The largest picture within the limits, else the smallest there is.
fn top_picture(layers: &[Layer], limits: &TrackLimits) -> (u8, u8) {
    let mut pictures: Vec<_> = layers.iter().map(|l| (picture(l), l.size)).collect();
    pictures.sort_unstable_by_key(|(picture, _)| *picture);
    pictures.dedup_by_key(|(picture, _)| *picture);
    let simulcast = pictures
        .first()
        .zip(pictures.last())
        .is_some_and(|(first, last)| first.0.0 != last.0.0 || first.0.0 > 0);
    let index = |picture: (u8, u8)| if simulcast { picture.0 } else { picture.1 };
    let mut top = pictures.first().map_or((0, 0), |(picture, _)| *picture);
    let mut filled = false;
    for (picture, size) in pictures {
        let wanted = limits.spatial.is_none_or(|most| index(picture) <= most);
        if !wanted || filled {
            break;
        }
        top = picture;
        filled = size.is_some_and(|size| fills(size, &limits.shown));
    }
    top
}

/// Whether a picture fills what it is shown in, in width or height; one of seven eighths does.
fn fills(size: (u32, u32), shown: &ConsumerLimits) -> bool {
    let reaches = |has: u32, wanted: u32| u64::from(has) * 8 >= u64::from(wanted) * 7;
    shown.max_width.is_some_and(|width| reaches(size.0, width))
        || shown
            .max_height
            .is_some_and(|height| reaches(size.1, height))
}

/// Whether it moves well enough to be better than a smaller picture: it does if nothing of its size
/// moves better, or it is of the smallest size.
fn is_smooth(layer: &Layer, layers: &[Layer]) -> bool {
    let smallest = layers.iter().map(picture).min() == Some(picture(layer));
    let slow = layer.fps.is_some_and(|fps| fps < LEAST_FPS);
    let faster = |other: &Layer| picture(other) == picture(layer) && other.fps > layer.fps;
    smallest || !slow || !layers.iter().any(faster)
}

/// Whether it is within the temporal limits; the lowest temporal layer that is smooth is.
fn is_within(layer: &Layer, layers: &[Layer], limits: &TrackLimits) -> bool {
    let within = |layer: &Layer| {
        let wanted = limits
            .temporal
            .is_none_or(|most| layer.target.temporal <= most);
        // Measured rates are not exact: an eighth more will do.
        let fast = limits
            .shown
            .max_fps
            .zip(layer.fps)
            .is_some_and(|(most, fps)| u16::from(fps) * 8 > u16::from(most) * 9);
        wanted && !fast
    };
    let lower = |other: &&Layer| {
        picture(other) == picture(layer)
            && other.target.temporal < layer.target.temporal
            && is_smooth(other, layers)
    };
    within(layer) || !layers.iter().any(|other| lower(&other))
}
