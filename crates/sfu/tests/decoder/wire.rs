//! Frames on the wire: payload descriptors by RFC 7741 (VP8), RFC 9628 (VP9), RFC 6184 (H.264) and
//! the dependency descriptor of the AV1 RTP specification. The truth about a packet is in its
//! payload, where nobody rewrites it.

use roomtone_rtp::descriptors::dependency_descriptor::{Descriptor, Structure};

use super::structure::{Encoder, Layer, Mode};

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Vp8,
    Vp9Flexible,
    Vp9Group,
    H264,
    /// By dependency descriptor; the payload is as good as encrypted.
    Described,
    /// The same of codecs whose running numbers stand before what is encrypted.
    Vp8Sealed,
    Vp9Sealed,
}

impl Format {
    /// Whether frames are told by the dependency descriptor alone.
    pub fn is_described(self) -> bool {
        matches!(self, Self::Described | Self::Vp8Sealed | Self::Vp9Sealed)
    }
}

/// The truth about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truth {
    pub encoding: u8,
    pub spatial: u8,
    pub temporal: u8,
    pub key: bool,
    pub frame: u32,
    /// 0: none.
    pub references: [u32; 2],
    pub index: u8,
    pub count: u8,
    /// When the picture was taken.
    pub taken_ms: u32,
}

/// Bytes of the frame tag of VP8, and of what a keyframe has behind it.
const FRAME_TAG: usize = 10;
const MAGIC: [u8; 4] = *b"true";

impl Truth {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        let key = u8::from(self.key);
        out.extend([self.encoding, self.spatial, self.temporal, key]);
        out.extend([self.index, self.count]);
        for word in [
            self.frame,
            self.references[0],
            self.references[1],
            self.taken_ms,
        ] {
            out.extend(word.to_be_bytes());
        }
    }

    /// Finds it in a payload.
    pub fn read(payload: &[u8]) -> Self {
        let at = payload.windows(4).position(|four| four == MAGIC);
        let data = &payload[at.expect("every packet tells the truth") + 4..];
        let word = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().expect("four"));
        Self {
            encoding: data[0],
            spatial: data[1],
            temporal: data[2],
            key: data[3] == 1,
            index: data[4],
            count: data[5],
            frame: word(6),
            references: [word(10), word(14)],
            taken_ms: word(18),
        }
    }
}

/// The running numbers of one encoding.
#[derive(Debug, Clone)]
pub struct Writer {
    pub format: Format,
    structure: Option<Structure>,
    picture_id: u16,
    tl0: u8,
    /// Picture ids of frames, newest last.
    ids: Vec<(u32, u16)>,
    frame_offset: u16,
}

/// A packet's payload and, where there is one, its dependency descriptor.
pub struct Written {
    pub payload: Vec<u8>,
    pub descriptor: Option<Vec<u8>>,
}

impl Writer {
    pub fn new(format: Format, mode: Mode, salt: u64) -> Self {
        let described = format.is_described();
        Self {
            format,
            structure: described.then(|| Encoder::structure(mode, (salt % 64) as u8)),
            picture_id: (salt >> 8) as u16 & 0x7fff,
            tl0: (salt >> 24) as u8,
            ids: vec![],
            frame_offset: (salt >> 32) as u16,
        }
    }

    /// A new picture begins.
    pub fn next_picture(&mut self, layers: &[Layer]) {
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        if layers[0].temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let id = self.picture_id;
        self.ids
            .extend(layers.iter().map(|layer| (layer.number, id)));
        let old = self.ids.len().saturating_sub(64);
        self.ids.drain(..old);
    }

    /// One packet of a frame.
    pub fn packet(
        &self,
        encoder: &Encoder,
        layer: &Layer,
        turn: usize,
        truth: &Truth,
        len: usize,
    ) -> Written {
        let first = truth.index == 0;
        let last = truth.index + 1 == truth.count;
        let mut payload = vec![];
        match self.format {
            Format::Vp8 => self.vp8(&mut payload, layer, turn, first),
            Format::Vp9Flexible | Format::Vp9Group => {
                self.vp9(&mut payload, encoder.mode, layer, first, last);
            }
            Format::H264 => h264(&mut payload, layer.key, first, last),
            Format::Described => payload.extend([0xa5; 3]),
            Format::Vp8Sealed => {
                self.vp8(&mut payload, layer, turn, first);
                // From the frame tag on nobody can read it; in the clear its lowest bit would tell keyframes.
                let clear = payload.len() - FRAME_TAG;
                payload[clear..].fill(0xa5);
            }
            Format::Vp9Sealed => {
                self.vp9(&mut payload, encoder.mode, layer, first, last);
                payload.extend([0xa5; 3]);
            }
        }
        truth.write(&mut payload);
        payload.resize(payload.len().max(len), 0x55);
        if self.format == Format::H264 && layer.key && first {
            let unit = payload.len() as u16 - 12;
            payload[10..12].copy_from_slice(&unit.to_be_bytes());
        }
        let descriptor = self
            .structure
            .as_ref()
            .map(|structure| self.describe(structure, encoder, layer, first, last));
        Written {
            payload,
            descriptor,
        }
    }

    fn vp8(&self, out: &mut Vec<u8>, layer: &Layer, turn: usize, first: bool) {
        // X, N, S; I, L, T, K; the picture id; TL0PICIDX; TID, Y, KEYIDX.
        let discardable = layer.temporal == 2;
        out.push(0x80 | u8::from(discardable) << 5 | u8::from(first) << 4);
        out.push(0xf0);
        out.extend((self.picture_id | 0x8000).to_be_bytes());
        // Layer 1 refers to layer 0 alone, layer 2 does where it comes before layer 1.
        let sync = layer.temporal == 1 || (layer.temporal == 2 && turn == 1);
        out.extend([self.tl0, layer.temporal << 6 | u8::from(sync) << 5 | 0x11]);
        // The frame tag, and what a keyframe has behind it.
        out.extend([u8::from(!layer.key), 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0]);
    }

    fn vp9(&self, out: &mut Vec<u8>, mode: Mode, layer: &Layer, first: bool, last: bool) {
        let flexible = self.format != Format::Vp9Group;
        let predicted = !layer.before.is_empty();
        let structure = layer.key && layer.spatial == 0 && first;
        let top = layer.spatial + 1 == mode.spatial;
        let alone = top || (mode.key && !layer.key);
        out.push(
            0xa0 | u8::from(predicted) << 6
                | u8::from(flexible) << 4
                | u8::from(first) << 3
                | u8::from(last) << 2
                | u8::from(structure) << 1
                | u8::from(alone),
        );
        out.extend((self.picture_id | 0x8000).to_be_bytes());
        // U: nothing after refers over it; true of these patterns.
        let below = layer.below.is_some();
        out.push(layer.temporal << 5 | 0x10 | layer.spatial << 1 | u8::from(below));
        if !flexible {
            out.push(self.tl0);
        } else if predicted {
            let mut left = layer.before.len();
            for number in &layer.before {
                left -= 1;
                let id = self.ids.iter().rfind(|(frame, _)| frame == number);
                let id = id.expect("a frame of late").1;
                let distance = self.picture_id.wrapping_sub(id) & 0x7fff;
                out.push((distance as u8) << 1 | u8::from(left > 0));
            }
        }
        if structure {
            let group = !flexible;
            out.push((mode.spatial - 1) << 5 | u8::from(group) << 3);
            if group {
                let round = mode.round();
                out.push(round.len() as u8);
                for (turn, temporal) in round.iter().enumerate() {
                    let distance = match (*temporal, turn) {
                        (0, _) => round.len(),
                        (2, 3) => 1,
                        (_, turn) => turn,
                    };
                    out.extend([temporal << 5 | 0x10 | 1 << 2, distance as u8]);
                }
            }
        }
    }

    fn describe(
        &self,
        structure: &Structure,
        encoder: &Encoder,
        layer: &Layer,
        first: bool,
        last: bool,
    ) -> Vec<u8> {
        let dependencies = encoder.dependencies(layer);
        let same = |template: &&_| **template == dependencies;
        let near = |other: &roomtone_rtp::descriptors::dependency_descriptor::Dependencies| {
            (other.spatial, other.temporal) == (dependencies.spatial, dependencies.temporal)
        };
        let templates = structure.templates();
        let template = templates
            .iter()
            .position(|template| same(&template))
            .or_else(|| templates.iter().position(near))
            .expect("a template of each layer");
        let descriptor = Descriptor {
            start_of_frame: first,
            end_of_frame: last,
            template_id: (structure.id_offset() + template as u8) & 0x3f,
            frame_number: (layer.number as u16).wrapping_add(self.frame_offset),
            attaches_structure: layer.key && layer.spatial == 0 && first,
            active_decode_targets: None,
            dependencies,
        };
        let descriptor = Descriptor {
            active_decode_targets: descriptor
                .attaches_structure
                .then(|| structure.all_decode_targets()),
            ..descriptor
        };
        let mut out = [0; 255];
        let len = descriptor.write(structure, &mut out).expect("it fits");
        out[..len].to_vec()
    }
}

/// An IDR picture begins with its parameter sets in an aggregate; slices come in fragments.
fn h264(out: &mut Vec<u8>, key: bool, first: bool, last: bool) {
    if key && first {
        out.extend([0x78, 0, 3, 0x67, 0x42, 0, 0, 2, 0x68, 0xce]);
        // The aggregate's last unit holds all the rest.
        out.extend([0, 0, 0x65, 0x88]);
        return;
    }
    let kind = if key { 5 } else { 1 };
    out.extend([
        0x7c,
        u8::from(first) << 7 | u8::from(last) << 6 | kind,
        0x80,
    ]);
}
