//! The descriptor of one packet.

use super::bits::{BitReader, BitWriter};
use super::{Dependencies, Indication, Structure};
use crate::descriptors::{DescriptorError, PayloadInfo};

/// Length of a descriptor that only names its template.
const MANDATORY_LEN: usize = 3;

/// The dependency descriptor of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The packet begins a frame.
    pub start_of_frame: bool,
    /// The packet ends a frame.
    pub end_of_frame: bool,
    /// The template it names.
    pub template_id: u8,
    /// Running number of the frame.
    pub frame_number: u16,
    /// A template structure is attached; frames from here on use it.
    pub attaches_structure: bool,
    /// The decode targets in use from this frame on, where the packet tells: the first one
    /// lowest. All of them where a structure is attached and nothing else is said.
    pub active_decode_targets: Option<u32>,
    /// How the frame depends on others: the template's, with what the packet says differently.
    pub dependencies: Dependencies,
}

impl Descriptor {
    /// Reads a descriptor that refers to the `known` structure, unless it brings one itself; that
    /// one is given back beside it.
    pub fn parse(
        bytes: &[u8],
        known: Option<&Structure>,
    ) -> Result<(Self, Option<Box<Structure>>), DescriptorError> {
        let mut bits = BitReader::new(bytes);
        let mut descriptor = Self {
            start_of_frame: bits.flag()?,
            end_of_frame: bits.flag()?,
            template_id: bits.read(6)? as u8,
            frame_number: bits.read(16)? as u16,
            attaches_structure: false,
            active_decode_targets: None,
            dependencies: Dependencies::default(),
        };
        if bytes.len() <= MANDATORY_LEN {
            let structure = known.ok_or(DescriptorError::NoStructure)?;
            descriptor.dependencies = *structure.template(descriptor.template_id)?;
            return Ok((descriptor, None));
        }
        descriptor.attaches_structure = bits.flag()?;
        let names_active = bits.flag()?;
        let own = [bits.flag()?, bits.flag()?, bits.flag()?];
        let mut attached = None;
        if descriptor.attaches_structure {
            let structure = Structure::read(&mut bits)?;
            descriptor.active_decode_targets = Some(structure.all_decode_targets());
            attached = Some(Box::new(structure));
        }
        let structure = attached
            .as_deref()
            .or(known)
            .ok_or(DescriptorError::NoStructure)?;
        if names_active {
            // The mask stands with the last decode target first.
            let mask = bits.read(u32::from(structure.decode_targets()))?;
            descriptor.active_decode_targets = Some(mask);
        }
        descriptor.dependencies = *structure.template(descriptor.template_id)?;
        descriptor.read_own(&mut bits, structure, own)?;
        Ok((descriptor, attached))
    }

    fn read_own(
        &mut self,
        bits: &mut BitReader<'_>,
        structure: &Structure,
        [indications, references, chains]: [bool; 3],
    ) -> Result<(), DescriptorError> {
        if indications {
            for target in 0..usize::from(structure.decode_targets()) {
                let indication = Indication::from_bits(u64::from(bits.read(2)?));
                self.dependencies.indications.set(target, indication);
            }
        }
        if references {
            self.dependencies.references = super::Distances::default();
            loop {
                let size = bits.read(2)?;
                if size == 0 {
                    break;
                }
                self.dependencies
                    .references
                    .push(bits.read(4 * size)? as u16 + 1)?;
            }
        }
        if chains {
            self.dependencies.chains = super::Distances::default();
            for _ in 0..structure.chains() {
                self.dependencies.chains.push(bits.read(8)? as u8)?;
            }
        }
        Ok(())
    }

    /// Writes the descriptor for receivers who know `structure`; it goes along where
    /// [`Descriptor::attaches_structure`] is set. Gives the length.
    pub fn write(&self, structure: &Structure, out: &mut [u8]) -> Result<usize, DescriptorError> {
        let template = structure.template(self.template_id)?;
        if (self.dependencies.spatial, self.dependencies.temporal)
            != (template.spatial, template.temporal)
            || self.dependencies.chains.as_slice().len() != usize::from(structure.chains())
        {
            return Err(DescriptorError::Invalid("template of another layer"));
        }
        let mut bits = BitWriter::new(out);
        bits.flag(self.start_of_frame)?;
        bits.flag(self.end_of_frame)?;
        bits.write(u32::from(self.template_id), 6)?;
        bits.write(u32::from(self.frame_number), 16)?;

        let implied = self
            .attaches_structure
            .then(|| structure.all_decode_targets());
        let active = self
            .active_decode_targets
            .filter(|&mask| Some(mask) != implied);
        let own = [
            self.dependencies.indications != template.indications,
            self.dependencies.references.as_slice() != template.references.as_slice(),
            self.dependencies.chains.as_slice() != template.chains.as_slice(),
        ];
        if !self.attaches_structure && active.is_none() && own == [false; 3] {
            return Ok(bits.len());
        }
        bits.flag(self.attaches_structure)?;
        bits.flag(active.is_some())?;
        for differs in own {
            bits.flag(differs)?;
        }
        if self.attaches_structure {
            structure.write(&mut bits)?;
        }
        if let Some(mask) = active {
            bits.write(mask, u32::from(structure.decode_targets()))?;
        }
        self.write_own(&mut bits, structure, own)?;
        Ok(bits.len())
    }

    fn write_own(
        &self,
        bits: &mut BitWriter<'_>,
        structure: &Structure,
        [indications, references, chains]: [bool; 3],
    ) -> Result<(), DescriptorError> {
        if indications {
            for target in 0..usize::from(structure.decode_targets()) {
                bits.write(self.dependencies.indications.get(target) as u32, 2)?;
            }
        }
        if references {
            for &distance in self.dependencies.references.as_slice() {
                let value = u32::from(distance)
                    .checked_sub(1)
                    .filter(|&value| value < 1 << 12)
                    .ok_or(DescriptorError::Invalid("distance of a reference"))?;
                let size = (u32::BITS - value.leading_zeros()).div_ceil(4).max(1);
                bits.write(size, 2)?;
                bits.write(value, 4 * size)?;
            }
            bits.write(0, 2)?;
        }
        if chains {
            for &distance in self.dependencies.chains.as_slice() {
                bits.write(u32::from(distance), 8)?;
            }
        }
        Ok(())
    }

    /// What the descriptor says for forwarding, in the terms all codecs share.
    pub fn info(&self, structure: &Structure, marker: bool) -> PayloadInfo {
        let own = &self.dependencies;
        let references = own.references.as_slice();
        let targets = 0..usize::from(structure.decode_targets());
        let means = |target| own.indications.get(target);
        let mut present = targets
            .clone()
            .map(means)
            .filter(|&i| i != Indication::NotPresent);
        let any_present = own.indications.present() != 0;
        let keyframe = self.attaches_structure || references.is_empty();
        PayloadInfo {
            keyframe,
            start_of_frame: self.start_of_frame,
            end_of_frame: self.end_of_frame,
            end_of_picture: marker,
            spatial: own.spatial,
            temporal: own.temporal,
            discardable: any_present && present.all(|i| i == Indication::Discardable),
            temporal_switch: targets
                .clone()
                .any(|target| means(target) == Indication::Switch),
            // Frames are numbered layer by layer, so what is no farther than the spatial layer
            // belongs to the same picture.
            inter_picture: references.iter().any(|&d| d > u16::from(own.spatial)),
            inter_layer: references.iter().any(|&d| d <= u16::from(own.spatial)),
            spatial_leaf: targets
                .filter(|&target| {
                    structure
                        .layers_of(target)
                        .is_some_and(|layers| layers.0 > own.spatial)
                })
                .all(|target| means(target) == Indication::NotPresent),
            configuration: self.attaches_structure,
            picture_id: None,
            tl0_pic_idx: None,
            resolution: structure
                .resolution(own.spatial)
                .and_then(|(width, height)| {
                    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
                }),
        }
    }
}

/// Reads the descriptors of one stream and keeps its structure.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    structure: Option<Box<Structure>>,
    active: u32,
}

impl Reader {
    /// A reader that has seen nothing yet.
    pub const fn new() -> Self {
        Self {
            structure: None,
            active: 0,
        }
    }

    /// Reads the next packet's descriptor. Before the first structure it refuses with
    /// [`DescriptorError::NoStructure`]: a keyframe is needed.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Descriptor, DescriptorError> {
        let (descriptor, attached) = Descriptor::parse(bytes, self.structure.as_deref())?;
        if attached.is_some() {
            self.structure = attached;
        }
        if let Some(active) = descriptor.active_decode_targets {
            self.active = active;
        }
        Ok(descriptor)
    }

    /// The structure in force.
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_deref()
    }

    /// The decode targets in use, as a mask with the first one lowest.
    pub const fn active_decode_targets(&self) -> u32 {
        self.active
    }
}
