//! The frames of one stream: how each depends on others, and what of it has come.
//!
//! A frame is one spatial layer of a picture. Frames are numbered so that whom one refers to is
//! told by a distance: by the frame number of the dependency descriptor, by picture id and spatial
//! layer, or by timestamp where there is nothing better. Numbers wrap; a window of the newest is
//! kept. What a frame refers to is worked out once, for all consumers.

use roomtone_rtp::descriptors::dependency_descriptor::{Descriptor, Structure};
use roomtone_rtp::descriptors::{DescriptorError, vp9};

use super::facts::{Links, Number, Reading};
use super::links::{Ancestry, Found};

/// Frames kept of a stream.
pub(crate) const WINDOW: u32 = 512;
/// References kept of one frame; AV1 has seven buffers, VP9 three and the layer below.
pub(crate) const MAX_REFERENCES: usize = 8;
/// Chains looked at; more belong to structures with more spatial layers than there are numbers for.
pub(crate) const MAX_CHAINS: usize = 8;
/// Spatial layers there are numbers for.
pub(crate) const MAX_SPATIAL: usize = 8;
/// A spatial layer without frames for so long is not there.
const LAYER_TIMEOUT_US: u64 = 1_000_000;
/// Pictures looked back over for a late packet without a picture id.
const LOOK_BACK: u32 = 64;
/// More than any distance between frame numbers of one numbering.
const EPOCH: u32 = 0x1_0000;

/// One frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Frame {
    pub(crate) number: u32,
    pub(crate) timestamp: u32,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// Predicted from no other.
    pub(crate) keyframe: bool,
    /// Who is shown a higher spatial layer does not need it.
    pub(crate) leaf: bool,
    /// No other frame refers to it.
    pub(crate) discardable: bool,
    /// Of a stream without layers, and refers to the frame right before it, or to none.
    pub(crate) plain: bool,
    /// Its last packet is the last of the picture.
    pub(crate) ends_picture: bool,
    /// The version of the template structure it was read with; 0: none.
    pub(crate) structure: u16,
    known: bool,
    started: bool,
    ended: bool,
    reference_count: u8,
    references: [u16; MAX_REFERENCES],
    chains: [u8; MAX_CHAINS],
    first: u64,
    last: u64,
    packets: u32,
}

impl Frame {
    /// How far back the frames lie that it refers to.
    #[inline]
    pub(crate) fn references(&self) -> &[u16] {
        &self.references[..usize::from(self.reference_count)]
    }

    /// How far back the last frame of a chain lies; 0: the chain begins here.
    pub(crate) fn chain(&self, chain: u8) -> Option<u8> {
        self.chains.get(usize::from(chain)).copied()
    }

    /// Whether all of its packets are there.
    fn is_complete(&self) -> bool {
        self.started && self.ended && self.last - self.first < u64::from(self.packets)
    }

    pub(super) fn refer(&mut self, distance: u32) {
        let Ok(distance) = u16::try_from(distance) else {
            return;
        };
        if distance > 0
            && !self.references().contains(&distance)
            && let Some(slot) = self.references.get_mut(usize::from(self.reference_count))
        {
            *slot = distance;
            self.reference_count += 1;
        }
    }
}

/// A packet of a frame, by its place in the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) arrival_us: u64,
    /// No packet with a higher number has come.
    pub(crate) newest: bool,
    /// Packets are missing before it.
    pub(crate) gap: bool,
    pub(crate) marker: bool,
}

/// The frames of one stream.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// By the low bits of the number; made with the first frame.
    slots: Vec<Frame>,
    mode: Option<Mode>,
    newest: u32,
    newest_picture: u32,
    newest_timestamp: u32,
    ancestry: Ancestry,
    structure: Option<Box<Structure>>,
    /// Counts the template structures; 0: there was none.
    version: u16,
    active_targets: u32,
    spatial_layers: u8,
    /// Pictures of which the last frame is complete.
    pictures: u64,
    seen_us: [u64; MAX_SPATIAL],
}

/// How the stream is numbered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    kind: Kind,
    /// Numbers of one picture.
    stride: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Frame,
    Picture { wide: bool },
    Timestamp,
}

impl Frames {
    /// A frame, while it is in the window and a packet of it has come.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&Frame> {
        self.slots
            .get((number % WINDOW) as usize)
            .filter(|frame| frame.known && frame.number == number)
    }

    /// The number of the newest frame.
    #[inline]
    pub(crate) fn newest(&self) -> u32 {
        self.newest
    }

    /// Pictures received to their end.
    pub(crate) fn pictures(&self) -> u64 {
        self.pictures
    }

    /// Whether pictures have several spatial layers.
    #[inline]
    pub(crate) fn is_layered(&self) -> bool {
        self.spatial_layers > 1
    }

    /// The template structure in force.
    pub(crate) fn structure(&self) -> Option<&Structure> {
        self.structure.as_deref()
    }

    /// Its version.
    pub(crate) fn version(&self) -> u16 {
        self.version
    }

    /// The highest spatial layer that flows: by the decode targets in use, else by what has come lately.
    pub(crate) fn top_spatial(&self, now_us: u64) -> u8 {
        if let Some(structure) = &self.structure {
            let targets = 0..usize::from(structure.decode_targets());
            return targets
                .filter(|target| self.active_targets & (1 << target) != 0)
                .filter_map(|target| structure.layers_of(target))
                .map(|layers| layers.0)
                .max()
                .unwrap_or(0);
        }
        let lately = |seen: &u64| *seen > 0 && *seen + LAYER_TIMEOUT_US >= now_us;
        self.seen_us.iter().rposition(lately).unwrap_or(0) as u8
    }

    /// The highest spatial layer that a keyframe announces: those behind it may not have come yet.
    pub(crate) fn announced_spatial(&self, now_us: u64) -> u8 {
        let top = self.top_spatial(now_us);
        if self.structure.is_some() {
            return top;
        }
        top.max(self.spatial_layers.saturating_sub(1))
    }

    /// Reads a dependency descriptor by the structure in force, or the one it brings.
    pub(crate) fn describe(&mut self, bytes: &[u8]) -> Result<Descriptor, DescriptorError> {
        let (descriptor, attached) = Descriptor::parse(bytes, self.structure.as_deref())?;
        if attached.is_some() && attached != self.structure {
            self.structure = attached;
            self.spatial_layers = self.structure().map_or(0, |s| s.spatial_layers() as u8);
            self.version = self.version.wrapping_add(1).max(1);
        }
        if let Some(active) = descriptor.active_decode_targets {
            self.active_targets = active;
        }
        Ok(descriptor)
    }

    /// The stream is numbered by dependency descriptors.
    pub(crate) fn is_described(&self) -> bool {
        self.mode.is_some_and(|mode| mode.kind == Kind::Frame)
    }

    /// Takes over the picture group of a VP9 stream; it counts from this packet's picture.
    pub(crate) fn set_group(&mut self, structure: &vp9::ScalabilityStructure, payload: &[u8]) {
        self.spatial_layers = structure.spatial_layers;
        self.ancestry.set_group(structure.group(payload));
    }

    /// Notes a packet; gives the number of its frame, and whether it is the first of it to come.
    pub(crate) fn place(&mut self, reading: &Reading, stride: u32, place: &Place) -> (u32, bool) {
        let mode = Mode {
            kind: match reading.number {
                Number::Frame(_) => Kind::Frame,
                Number::Picture { wide, .. } => Kind::Picture { wide },
                Number::Timestamp => Kind::Timestamp,
            },
            stride: match reading.number {
                Number::Frame(_) => 1,
                _ => stride,
            },
        };
        if self.mode != Some(mode) {
            self.begin(mode, reading, place);
        }
        let number = self.number(mode, reading, place);
        let behind = self.newest.wrapping_sub(number).cast_signed();
        if behind >= WINDOW.cast_signed() {
            return (number, false);
        }
        let known = self.get(number).is_some();
        if !known {
            self.open(number, mode, reading, place);
        }
        self.note(number, reading, place);
        (number, !known)
    }

    /// The numbering starts, or starts anew in another way.
    #[cold]
    fn begin(&mut self, mode: Mode, reading: &Reading, place: &Place) {
        if self.slots.is_empty() {
            self.slots = vec![Frame::default(); WINDOW as usize];
        }
        if mode.kind != Kind::Frame {
            self.structure = None;
        }
        let base = (self.newest / EPOCH + 1).wrapping_mul(EPOCH);
        let first = match reading.number {
            Number::Frame(number) => u32::from(number),
            Number::Picture { id, .. } => u32::from(id),
            Number::Timestamp => 0,
        };
        // Above all numbers there were, with low bits that are those on the wire.
        self.newest_picture = (base / mode.stride).wrapping_add(first);
        self.newest = self
            .newest_picture
            .wrapping_mul(mode.stride)
            .wrapping_sub(1);
        self.spatial_layers = self.structure().map_or(0, |s| s.spatial_layers() as u8);
        self.newest_timestamp = place.timestamp;
        self.ancestry.clear();
        self.mode = Some(mode);
    }

    fn number(&self, mode: Mode, reading: &Reading, place: &Place) -> u32 {
        let spatial = u32::from(reading.spatial).min(mode.stride - 1);
        let step = place.timestamp.wrapping_sub(self.newest_timestamp);
        let newer = place.newest && step.cast_signed() > 0;
        let (picture, epoch) = match reading.number {
            Number::Frame(number) => {
                let ahead = number.wrapping_sub(self.newest as u16).cast_signed();
                (self.newest.wrapping_add_signed(i32::from(ahead)), EPOCH)
            }
            Number::Picture { id, wide } => {
                let bits = if wide { 15 } else { 7 };
                let ahead = u32::from(id).wrapping_sub(self.newest_picture) << (32 - bits);
                let ahead = ahead.cast_signed() >> (32 - bits);
                (self.newest_picture.wrapping_add_signed(ahead), 1 << bits)
            }
            Number::Timestamp => (self.timestamped(mode.stride, place), 0),
        };
        let number = |picture: u32| picture.wrapping_mul(mode.stride).wrapping_add(spatial);
        let behind = self.newest.wrapping_sub(number(picture)).cast_signed();
        if newer && behind >= 0 {
            // The publisher has begun to count anew.
            return number(picture.wrapping_add(epoch));
        }
        number(picture)
    }

    /// The picture of a timestamp. A gap leaves one number open for what is missing.
    fn timestamped(&self, stride: u32, place: &Place) -> u32 {
        let step = place.timestamp.wrapping_sub(self.newest_timestamp);
        match step.cast_signed() {
            0 => self.newest_picture,
            1.. => self
                .newest_picture
                .wrapping_add(1 + u32::from(place.gap && place.newest)),
            _ => {
                for back in 1..LOOK_BACK {
                    let picture = self.newest_picture.wrapping_sub(back);
                    let first = picture.wrapping_mul(stride);
                    let frame = (first..first.wrapping_add(stride)).find_map(|n| self.get(n));
                    let Some(frame) = frame else { continue };
                    let after = place.timestamp.wrapping_sub(frame.timestamp).cast_signed();
                    if after >= 0 {
                        return picture.wrapping_add(u32::from(after > 0));
                    }
                }
                self.newest_picture.wrapping_sub(WINDOW)
            }
        }
    }

    /// The first packet of a frame has come.
    fn open(&mut self, number: u32, mode: Mode, reading: &Reading, place: &Place) {
        let mut frame = Frame {
            number,
            timestamp: place.timestamp,
            spatial: reading.spatial.min(MAX_SPATIAL as u8 - 1),
            temporal: reading.temporal,
            keyframe: reading.keyframe,
            leaf: reading.leaf,
            discardable: reading.discardable,
            known: true,
            first: place.seq,
            last: place.seq,
            ..Frame::default()
        };
        let ahead = number.wrapping_sub(self.newest).cast_signed();
        let newest = ahead > 0;
        match &reading.links {
            Links::Described(own) => {
                frame.structure = self.version;
                for distance in own.references.as_slice() {
                    frame.refer(u32::from(*distance));
                }
                let chains = own.chains.as_slice().iter().take(MAX_CHAINS);
                for (slot, distance) in frame.chains.iter_mut().zip(chains) {
                    *slot = *distance;
                }
            }
            links => {
                let found = Found {
                    links,
                    stride: mode.stride,
                    newest,
                    exact: mode.kind != Kind::Timestamp,
                };
                let slots = &self.slots;
                let get = |number: u32| {
                    let frame = &slots[(number % WINDOW) as usize];
                    (frame.known && frame.number == number).then_some(frame)
                };
                self.ancestry.resolve(&mut frame, &found, get);
            }
        }
        self.spatial_layers = self.spatial_layers.max(frame.spatial + 1);
        frame.plain = self.spatial_layers == 1
            && frame.temporal == 0
            && frame.structure == 0
            && matches!(frame.references(), [] | [1]);
        self.seen_us[usize::from(frame.spatial)] = place.arrival_us.max(1);
        if newest {
            self.newest = number;
            // The wraps of a multiplied number are lost here, and nothing counts them.
            self.newest_picture = number / mode.stride;
            self.newest_timestamp = place.timestamp;
        }
        self.slots[(number % WINDOW) as usize] = frame;
    }

    /// One more packet of a frame.
    fn note(&mut self, number: u32, reading: &Reading, place: &Place) {
        let frame = &mut self.slots[(number % WINDOW) as usize];
        let complete = frame.is_complete() && frame.ends_picture;
        frame.first = frame.first.min(place.seq);
        frame.last = frame.last.max(place.seq);
        frame.packets += 1;
        frame.started |= reading.start;
        frame.ended |= reading.end;
        frame.ends_picture |= place.marker;
        if reading.keyframe && !frame.keyframe {
            // Only its first packet tells.
            frame.keyframe = true;
            frame.reference_count = 0;
        }
        self.pictures += u64::from(!complete && frame.is_complete() && frame.ends_picture);
    }
}
