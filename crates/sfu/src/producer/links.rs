//! What a frame refers to, where only layers or picture groups are told.

use roomtone_rtp::descriptors::vp9::GroupPicture;

use super::facts::Links;
use super::frames::Frame;

/// Temporal layers told apart.
const TEMPORAL: usize = 8;
/// Spatial layers told apart.
const SPATIAL: usize = 8;
/// Frames looked back over for a missing one.
const LOOK_BACK: u32 = 32;
/// Pictures of a group: what its length field can say.
const MAX_GROUP: usize = 255;

/// What is known of a frame whose references are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) links: &'a Links,
    /// Numbers of one picture.
    pub(super) stride: u32,
    /// No later frame has come.
    pub(super) newest: bool,
    /// A number without a frame is a frame that is missing; by timestamps alone it may be none.
    pub(super) exact: bool,
}

/// What was last sent in each layer.
#[derive(Debug, Default)]
pub(super) struct Ancestry {
    /// The newest frame of each spatial and temporal layer that others may refer to.
    last: [[Option<u32>; TEMPORAL]; SPATIAL],
    tl0: Option<u8>,
    group: Vec<GroupPicture>,
    /// The lowest frame of the picture that the group counts from; `None`: the next one of the
    /// lowest temporal layer.
    group_start: Option<u32>,
}

impl Ancestry {
    pub(super) fn clear(&mut self) {
        self.last = Default::default();
        self.tl0 = None;
        self.group_start = None;
    }

    /// A picture group was told; it counts from the picture that follows.
    pub(super) fn set_group(&mut self, pictures: impl Iterator<Item = GroupPicture>) {
        self.group.clear();
        self.group.extend(pictures.take(MAX_GROUP));
        self.group_start = None;
    }

    /// Works out what a frame refers to; `get` finds frames that have come.
    pub(super) fn resolve<'a>(
        &mut self,
        frame: &mut Frame,
        found: &Found<'_>,
        get: impl Fn(u32) -> Option<&'a Frame>,
    ) {
        let (inter_layer, tl0) = match *found.links {
            Links::Layers {
                sync,
                inter_layer,
                tl0,
            } => {
                if !frame.keyframe {
                    self.refer_to_layers(frame, found, sync, tl0, get);
                }
                (inter_layer, tl0)
            }
            Links::Pictures {
                references,
                inter_picture,
                inter_layer,
                tl0,
            } => {
                let told = self.group_start.is_none() && !self.group.is_empty();
                if (frame.keyframe && frame.spatial == 0) || (told && frame.temporal == 0) {
                    self.group_start = Some(frame.number.wrapping_sub(frame.spatial.into()));
                }
                match references {
                    _ if !inter_picture => {}
                    Some(references) => {
                        for distance in references.distances() {
                            frame.refer(u32::from(*distance) * found.stride);
                        }
                    }
                    None if self.refer_to_group(frame, found.stride) => {}
                    None => self.refer_to_layers(frame, found, false, tl0, get),
                }
                (inter_layer, tl0)
            }
            Links::Described(_) => return,
        };
        if inter_layer {
            frame.refer(1);
        }
        if found.newest {
            self.note(frame, tl0);
        }
    }

    /// RFC 9628 section 4.2: pictures repeat the group from the keyframe on.
    fn refer_to_group(&self, frame: &mut Frame, stride: u32) -> bool {
        let Some(start) = self.group_start.filter(|_| !self.group.is_empty()) else {
            return false;
        };
        let since = frame.number.wrapping_sub(start);
        if since.cast_signed() < 0 {
            return false;
        }
        let since = since / stride;
        let described = &self.group[since as usize % self.group.len()];
        for distance in described.references.distances() {
            // What lies before the keyframe is not referred to.
            if u32::from(*distance) <= since {
                frame.refer(u32::from(*distance) * stride);
            }
        }
        true
    }

    /// To the newest of each temporal layer up to its own, or of the lowest one; more than that it
    /// cannot refer to, whatever it really does.
    fn refer_to_layers<'a>(
        &self,
        frame: &mut Frame,
        found: &Found<'_>,
        sync: bool,
        tl0: Option<u8>,
        get: impl Fn(u32) -> Option<&'a Frame>,
    ) {
        let (number, stride) = (frame.number, found.stride);
        let top = if sync { 0 } else { frame.temporal };
        if !found.newest {
            return refer_back(frame, found, top, get);
        }
        let due = match (self.tl0, tl0) {
            (Some(last), Some(_)) if frame.temporal == 0 => Some(last.wrapping_add(1)),
            (last, _) => last,
        };
        let missing = |back: &u32| get(number.wrapping_sub(back * stride)).is_none();
        let gap = match tl0 {
            _ if !found.exact => None,
            // The base frame before is another than it should be.
            Some(tl0) if due.is_some_and(|due| due != tl0) => (1..=LOOK_BACK).find(missing),
            Some(_) if top == 0 => None,
            // Anything that is missing may be referred to.
            _ => Some(1).filter(missing),
        };
        if let Some(back) = gap {
            frame.refer(back * stride);
        }
        let layers = &self.last[usize::from(frame.spatial) % SPATIAL];
        for last in layers.iter().take(usize::from(top) + 1).flatten() {
            frame.refer(number.wrapping_sub(*last));
        }
    }

    fn note(&mut self, frame: &Frame, tl0: Option<u8>) {
        if frame.keyframe && frame.spatial == 0 {
            self.last = Default::default();
        }
        self.tl0 = tl0;
        if !frame.discardable {
            let spatial = usize::from(frame.spatial) % SPATIAL;
            self.last[spatial][usize::from(frame.temporal) % TEMPORAL] = Some(frame.number);
        }
    }
}

/// The same for a frame that came late: what stands right before it.
fn refer_back<'a>(
    frame: &mut Frame,
    found: &Found<'_>,
    top: u8,
    get: impl Fn(u32) -> Option<&'a Frame>,
) {
    let mut highest = top;
    for distance in (1..=LOOK_BACK).map(|back| back * found.stride) {
        let Some(before) = get(frame.number.wrapping_sub(distance)) else {
            if found.exact {
                frame.refer(distance);
                return;
            }
            continue;
        };
        if before.temporal <= highest && !before.discardable {
            frame.refer(distance);
            if before.temporal == 0 {
                return;
            }
            highest = before.temporal - 1;
        }
    }
}
