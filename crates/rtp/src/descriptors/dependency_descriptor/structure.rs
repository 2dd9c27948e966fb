//! The template structure: layers, decode targets and chains of a stream.

use super::bits::{BitReader, BitWriter};
use super::{Dependencies, Indication, MAX_DECODE_TARGETS, MAX_TEMPLATES};
use crate::descriptors::DescriptorError;

const NEXT_TEMPORAL: u32 = 1;
const NEXT_SPATIAL: u32 = 2;
const NO_MORE_LAYERS: u32 = 3;

/// The template structure of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    id_offset: u8,
    decode_targets: u8,
    chains: u8,
    protected_by: Vec<u8>,
    templates: Vec<Dependencies>,
    resolutions: Vec<(u32, u32)>,
    /// Highest spatial and temporal layer of each decode target; follows from the templates.
    target_layers: Vec<(u8, u8)>,
}

impl Structure {
    /// A structure of its parts: the identifier of the first template, the number of decode
    /// targets and of chains, the chain that protects each decode target (none without chains),
    /// the templates ordered by spatial and then temporal layer, and the size of each spatial
    /// layer (none when unknown).
    pub fn new(
        id_offset: u8,
        decode_targets: u8,
        chains: u8,
        protected_by: Vec<u8>,
        templates: Vec<Dependencies>,
        resolutions: Vec<(u32, u32)>,
    ) -> Result<Self, DescriptorError> {
        let mut structure = Self {
            id_offset,
            decode_targets,
            chains,
            protected_by,
            templates,
            resolutions,
            target_layers: Vec::new(),
        };
        structure.check()?;
        structure.find_target_layers();
        Ok(structure)
    }

    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, DescriptorError> {
        let id_offset = bits.read(6)? as u8;
        let decode_targets = bits.read(5)? as u8 + 1;
        let mut structure = Self {
            id_offset,
            decode_targets,
            chains: 0,
            protected_by: Vec::new(),
            templates: read_layers(bits)?,
            resolutions: Vec::new(),
            target_layers: Vec::new(),
        };
        for template in &mut structure.templates {
            for target in 0..usize::from(decode_targets) {
                let indication = Indication::from_bits(u64::from(bits.read(2)?));
                template.indications.set(target, indication);
            }
        }
        for template in &mut structure.templates {
            while bits.flag()? {
                template.references.push(bits.read(4)? as u16 + 1)?;
            }
        }
        structure.read_chains(bits)?;
        if bits.flag()? {
            for _ in 0..structure.spatial_layers() {
                structure
                    .resolutions
                    .push((bits.read(16)? + 1, bits.read(16)? + 1));
            }
        }
        structure.find_target_layers();
        Ok(structure)
    }

    fn find_target_layers(&mut self) {
        let layers = (0..usize::from(self.decode_targets)).map(|target| {
            let belonging = self
                .templates
                .iter()
                .filter(|template| template.indications.get(target) != Indication::NotPresent);
            belonging.fold((0, 0), |layers: (u8, u8), template| {
                (
                    layers.0.max(template.spatial),
                    layers.1.max(template.temporal),
                )
            })
        });
        self.target_layers = layers.collect();
    }

    fn read_chains(&mut self, bits: &mut BitReader<'_>) -> Result<(), DescriptorError> {
        self.chains = bits.non_symmetric(u32::from(self.decode_targets) + 1)? as u8;
        if self.chains == 0 {
            return Ok(());
        }
        for _ in 0..self.decode_targets {
            self.protected_by
                .push(bits.non_symmetric(u32::from(self.chains))? as u8);
        }
        for template in &mut self.templates {
            for _ in 0..self.chains {
                template.chains.push(bits.read(4)? as u8)?;
            }
        }
        Ok(())
    }

    /// Checks what reading would promise, so that writing cannot produce nonsense.
    fn check(&self) -> Result<(), DescriptorError> {
        let targets = usize::from(self.decode_targets);
        let chains = usize::from(self.chains);
        let fits = (1..=MAX_DECODE_TARGETS).contains(&targets)
            && (1..=MAX_TEMPLATES).contains(&self.templates.len())
            && chains <= targets
            && self.id_offset < 64
            && self.protected_by.len() == if chains == 0 { 0 } else { targets }
            && self
                .protected_by
                .iter()
                .all(|&chain| usize::from(chain) < chains)
            && (self.resolutions.is_empty() || self.resolutions.len() == self.spatial_layers())
            && self
                .resolutions
                .iter()
                .all(|&(w, h)| (1..=1 << 16).contains(&w) && (1..=1 << 16).contains(&h))
            && self.templates.iter().all(|template| {
                template.chains.as_slice().len() == chains
                    && template
                        .chains
                        .as_slice()
                        .iter()
                        .all(|&distance| distance < 16)
                    && template
                        .references
                        .as_slice()
                        .iter()
                        .all(|d| (1..=16).contains(d))
            });
        if fits {
            Ok(())
        } else {
            Err(DescriptorError::Invalid("template structure"))
        }
    }

    pub(super) fn write(&self, bits: &mut BitWriter<'_>) -> Result<(), DescriptorError> {
        bits.write(u32::from(self.id_offset), 6)?;
        bits.write(u32::from(self.decode_targets) - 1, 5)?;
        self.write_layers(bits)?;
        for template in &self.templates {
            for target in 0..usize::from(self.decode_targets) {
                bits.write(template.indications.get(target) as u32, 2)?;
            }
        }
        for template in &self.templates {
            for &distance in template.references.as_slice() {
                bits.flag(true)?;
                bits.write(u32::from(distance) - 1, 4)?;
            }
            bits.flag(false)?;
        }
        bits.non_symmetric(u32::from(self.chains), u32::from(self.decode_targets) + 1)?;
        for &chain in &self.protected_by {
            bits.non_symmetric(u32::from(chain), u32::from(self.chains))?;
        }
        for template in &self.templates {
            for &distance in template.chains.as_slice() {
                bits.write(u32::from(distance), 4)?;
            }
        }
        bits.flag(!self.resolutions.is_empty())?;
        for &(width, height) in &self.resolutions {
            bits.write(width - 1, 16)?;
            bits.write(height - 1, 16)?;
        }
        Ok(())
    }

    fn write_layers(&self, bits: &mut BitWriter<'_>) -> Result<(), DescriptorError> {
        let mut at = (0, 0);
        for (position, template) in self.templates.iter().enumerate() {
            let next = (template.spatial, template.temporal);
            if position == 0 && next == at {
                continue;
            }
            let step = if position == 0 {
                return Err(DescriptorError::Invalid(
                    "first template not of the lowest layers",
                ));
            } else if next == at {
                0
            } else if next == (at.0, at.1 + 1) {
                NEXT_TEMPORAL
            } else if next == (at.0 + 1, 0) {
                NEXT_SPATIAL
            } else {
                return Err(DescriptorError::Invalid("order of templates"));
            };
            bits.write(step, 2)?;
            at = next;
        }
        bits.write(NO_MORE_LAYERS, 2)
    }

    /// The template a packet names.
    pub fn template(&self, id: u8) -> Result<&Dependencies, DescriptorError> {
        let position = (id.wrapping_sub(self.id_offset)) & 0x3f;
        self.templates
            .get(usize::from(position))
            .ok_or(DescriptorError::Invalid("template of another structure"))
    }

    /// Number of spatial layers.
    pub fn spatial_layers(&self) -> usize {
        self.templates
            .last()
            .map_or(0, |template| usize::from(template.spatial) + 1)
    }

    /// The mask of all decode targets.
    pub const fn all_decode_targets(&self) -> u32 {
        u32::MAX >> (MAX_DECODE_TARGETS as u32 - self.decode_targets as u32)
    }

    /// Number of decode targets.
    pub const fn decode_targets(&self) -> u8 {
        self.decode_targets
    }

    /// Number of chains.
    pub const fn chains(&self) -> u8 {
        self.chains
    }

    /// The chain that protects decode target `target`: only frames of this chain must all
    /// arrive for it to stay decodable.
    pub fn protected_by(&self, target: usize) -> Option<u8> {
        self.protected_by.get(target).copied()
    }

    /// Identifier of the first template.
    pub const fn id_offset(&self) -> u8 {
        self.id_offset
    }

    /// The templates, ordered by spatial and then by temporal layer.
    pub fn templates(&self) -> &[Dependencies] {
        &self.templates
    }

    /// Width and height of a spatial layer, where given.
    pub fn resolution(&self, spatial: u8) -> Option<(u32, u32)> {
        self.resolutions.get(usize::from(spatial)).copied()
    }

    /// The highest spatial and the highest temporal layer of a decode target.
    pub fn layers_of(&self, target: usize) -> Option<(u8, u8)> {
        self.target_layers.get(target).copied()
    }

    /// The decode target with exactly these highest layers, if there is one.
    pub fn decode_target(&self, spatial: u8, temporal: u8) -> Option<usize> {
        self.target_layers
            .iter()
            .position(|&layers| layers == (spatial, temporal))
    }
}

fn read_layers(bits: &mut BitReader<'_>) -> Result<Vec<Dependencies>, DescriptorError> {
    let mut templates = Vec::new();
    let mut next = Dependencies::default();
    loop {
        if templates.len() == MAX_TEMPLATES {
            return Err(DescriptorError::TooMany("templates"));
        }
        templates.push(next);
        match bits.read(2)? {
            NEXT_TEMPORAL => next.temporal += 1,
            NEXT_SPATIAL => {
                next.temporal = 0;
                next.spatial += 1;
            }
            NO_MORE_LAYERS => return Ok(templates),
            _ => {}
        }
    }
}
