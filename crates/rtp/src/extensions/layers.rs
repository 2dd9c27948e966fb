//! Video layers allocation: the bit rates and sizes of all layers an encoder makes at the moment
//! (webrtc.org experiment `video-layers-allocation00`).

use super::{ExtensionError, ExtensionKind, ExtensionValue};

const KIND: ExtensionKind = ExtensionKind::VideoLayersAllocation;
/// Four streams of four spatial layers.
pub const MAX_ALLOCATED_LAYERS: usize = 16;

/// Size and rate of the pictures of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerResolution {
    /// Width in pixels, 1-65,536.
    pub width: u32,
    /// Height in pixels, 1-65,536.
    pub height: u32,
    /// Largest number of frames a second.
    pub max_framerate: u8,
}

/// What is allocated to one active spatial layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LayerAllocation {
    /// Index of the RTP stream (simulcast encoding), 0-3.
    pub stream: u8,
    /// Spatial layer in the stream, 0-3.
    pub spatial: u8,
    /// How many temporal layers it has, 1-4.
    pub temporal_layers: u8,
    /// Target bit rates in kbit/s by temporal layer, each with those below it.
    pub target_kbps: [u32; 4],
    /// Size and frame rate, where the sender tells them; it does for all layers or for none.
    pub resolution: Option<LayerResolution>,
}

impl LayerAllocation {
    /// The target bit rates of the temporal layers there are.
    pub fn rates(&self) -> &[u32] {
        &self.target_kbps[..usize::from(self.temporal_layers).min(4)]
    }
}

/// The value of the extension: the active layers of all streams of a simulcast, ordered by stream
/// and spatial layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoLayersAllocation {
    /// The stream that carried this value.
    pub stream_index: u8,
    /// How many streams there are, 1-4.
    pub stream_count: u8,
    layers: [LayerAllocation; MAX_ALLOCATED_LAYERS],
    len: u8,
}

impl VideoLayersAllocation {
    /// An allocation of the given active layers, ordered by stream and spatial layer.
    pub fn new(
        stream_index: u8,
        stream_count: u8,
        layers: &[LayerAllocation],
    ) -> Result<Self, ExtensionError> {
        let ordered = layers
            .windows(2)
            .all(|pair| (pair[0].stream, pair[0].spatial) < (pair[1].stream, pair[1].spatial));
        let described = layers
            .iter()
            .filter(|layer| layer.resolution.is_some())
            .count();
        let all_or_none = described == 0 || described == layers.len();
        let in_range = (1..=4).contains(&stream_count)
            && stream_index < stream_count
            && layers.iter().all(|layer| is_in_range(layer, stream_count));
        // With no active layer the wire has a single zero byte and cannot say anything else.
        let silent = !layers.is_empty() || (stream_index == 0 && stream_count == 1);
        if !(ordered && all_or_none && in_range && silent) {
            return Err(ExtensionError::Value(KIND));
        }
        let mut all = [LayerAllocation::default(); MAX_ALLOCATED_LAYERS];
        all[..layers.len()].copy_from_slice(layers);
        Ok(Self {
            stream_index,
            stream_count,
            layers: all,
            len: layers.len() as u8,
        })
    }

    /// The active layers, ordered by stream and spatial layer.
    pub fn layers(&self) -> &[LayerAllocation] {
        &self.layers[..usize::from(self.len)]
    }

    fn bitmask(&self, stream: u8) -> u8 {
        let of_stream = self.layers().iter().filter(|layer| layer.stream == stream);
        of_stream.fold(0, |mask, layer| mask | (1 << layer.spatial))
    }
}

fn is_in_range(layer: &LayerAllocation, stream_count: u8) -> bool {
    let size = 1..=0x1_0000;
    layer.stream < stream_count
        && layer.spatial < 4
        && (1..=4).contains(&layer.temporal_layers)
        && layer.target_kbps[usize::from(layer.temporal_layers)..]
            .iter()
            .all(|rate| *rate == 0)
        && layer.resolution.is_none_or(|resolution| {
            size.contains(&resolution.width) && size.contains(&resolution.height)
        })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, ExtensionError> {
        let (first, rest) = self.0.split_first().ok_or(ExtensionError::Length(KIND))?;
        self.0 = rest;
        Ok(*first)
    }

    fn size(&mut self) -> Result<u32, ExtensionError> {
        Ok(u32::from(u16::from_be_bytes([self.byte()?, self.byte()?])) + 1)
    }

    /// An unsigned LEB128 number of up to five bytes that fits 32 bits.
    fn leb128(&mut self) -> Result<u32, ExtensionError> {
        let mut value = 0_u64;
        for index in 0..5 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| ExtensionError::Value(KIND));
            }
        }
        Err(ExtensionError::Value(KIND))
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn byte(&mut self, byte: u8) -> Result<(), ExtensionError> {
        *self.out.get_mut(self.at).ok_or(ExtensionError::NoSpace)? = byte;
        self.at += 1;
        Ok(())
    }

    fn leb128(&mut self, mut value: u32) -> Result<(), ExtensionError> {
        while value > 0x7f {
            self.byte((value & 0x7f) as u8 | 0x80)?;
            value >>= 7;
        }
        self.byte(value as u8)
    }

    /// Packs small fields from the high bits of each byte downwards.
    fn packed(
        &mut self,
        fields: impl Iterator<Item = u8>,
        bits: u32,
    ) -> Result<(), ExtensionError> {
        let mut byte = 0;
        let mut used = 0;
        for field in fields {
            used += bits;
            byte |= field << (8 - used);
            if used == 8 {
                self.byte(byte)?;
                (byte, used) = (0, 0);
            }
        }
        if used > 0 { self.byte(byte) } else { Ok(()) }
    }
}

/// The bit masks of the active spatial layers by stream.
fn bitmasks(reader: &mut Reader<'_>, head: u8, streams: u8) -> Result<[u8; 4], ExtensionError> {
    let shared = head & 0x0f;
    let mut masks = [0; 4];
    if shared != 0 {
        masks[..usize::from(streams)].fill(shared);
        return Ok(masks);
    }
    for pair in masks[..usize::from(streams)].chunks_mut(2) {
        let byte = reader.byte()?;
        pair[0] = byte >> 4;
        if let Some(second) = pair.get_mut(1) {
            *second = byte & 0x0f;
        }
    }
    Ok(masks)
}

impl ExtensionValue<'_> for VideoLayersAllocation {
    const KIND: ExtensionKind = KIND;

    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        if value == [0] {
            return Self::new(0, 1, &[]);
        }
        let mut reader = Reader(value);
        let head = reader.byte()?;
        let (stream_index, stream_count) = (head >> 6, ((head >> 4) & 0x03) + 1);
        let masks = bitmasks(&mut reader, head, stream_count)?;
        let mut layers = [LayerAllocation::default(); MAX_ALLOCATED_LAYERS];
        let mut len = 0;
        for (stream, mask) in masks.into_iter().enumerate() {
            for spatial in (0..4).filter(|spatial| mask & (1 << spatial) != 0) {
                layers[len].stream = stream as u8;
                layers[len].spatial = spatial;
                len += 1;
            }
        }
        let layers = &mut layers[..len];
        for four in layers.chunks_mut(4) {
            let byte = reader.byte()?;
            for (index, layer) in four.iter_mut().enumerate() {
                layer.temporal_layers = ((byte >> (6 - 2 * index)) & 0x03) + 1;
            }
        }
        for layer in &mut *layers {
            for index in 0..usize::from(layer.temporal_layers) {
                layer.target_kbps[index] = reader.leb128()?;
            }
        }
        if !reader.0.is_empty() {
            for layer in &mut *layers {
                let (width, height) = (reader.size()?, reader.size()?);
                let max_framerate = reader.byte()?;
                layer.resolution = Some(LayerResolution {
                    width,
                    height,
                    max_framerate,
                });
            }
        }
        if !reader.0.is_empty() {
            return Err(ExtensionError::Length(KIND));
        }
        Self::new(stream_index, stream_count, layers)
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        let checked = Self::new(self.stream_index, self.stream_count, self.layers())?;
        let mut writer = Writer { out, at: 0 };
        if checked.layers().is_empty() {
            writer.byte(0)?;
            return Ok(1);
        }
        let streams = 0..self.stream_count;
        let first = self.bitmask(0);
        let shared = streams.clone().all(|stream| self.bitmask(stream) == first);
        let head = (self.stream_index << 6) | ((self.stream_count - 1) << 4);
        writer.byte(if shared { head | first } else { head })?;
        if !shared {
            writer.packed(streams.map(|stream| self.bitmask(stream)), 4)?;
        }
        writer.packed(
            self.layers().iter().map(|layer| layer.temporal_layers - 1),
            2,
        )?;
        for rate in self.layers().iter().flat_map(LayerAllocation::rates) {
            writer.leb128(*rate)?;
        }
        for resolution in self.layers().iter().filter_map(|layer| layer.resolution) {
            for size in [resolution.width, resolution.height] {
                for byte in ((size - 1) as u16).to_be_bytes() {
                    writer.byte(byte)?;
                }
            }
            writer.byte(resolution.max_framerate)?;
        }
        Ok(writer.at)
    }
}
