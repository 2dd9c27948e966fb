//! What encoders refer to, after the scalability modes of WebRTC-SVC (w3c.github.io/webrtc-svc) as
//! libwebrtc makes them (`modules/video_coding/svc`): full SVC predicts each spatial layer from
//! the one below in every picture, K-SVC in keyframes only.

use roomtone_rtp::descriptors::dependency_descriptor::{Dependencies, Indication, Structure};

/// A scalability mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    pub spatial: u8,
    pub temporal: u8,
    /// Spatial layers are predicted from each other in keyframes only.
    pub key: bool,
}

impl Mode {
    pub const fn temporal(temporal: u8) -> Self {
        Self::full(1, temporal)
    }

    pub const fn full(spatial: u8, temporal: u8) -> Self {
        Self {
            spatial,
            temporal,
            key: false,
        }
    }

    pub const fn key(spatial: u8, temporal: u8) -> Self {
        Self {
            spatial,
            temporal,
            key: true,
        }
    }

    /// The temporal layers of the pictures of one round.
    pub const fn round(self) -> &'static [u8] {
        match self.temporal {
            1 => &[0],
            2 => &[0, 1],
            _ => &[0, 2, 1, 2],
        }
    }
}

/// One layer's part of a picture. Frames are counted from 1 in the order they are sent.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub number: u32,
    pub spatial: u8,
    pub temporal: u8,
    pub key: bool,
    /// The frames it refers to in earlier pictures, and in its own.
    pub before: Vec<u32>,
    pub below: Option<u32>,
    /// The distance to the last frame of each chain.
    pub chains: Vec<u8>,
}

impl Layer {
    pub fn references(&self) -> impl Iterator<Item = u32> + '_ {
        self.before.iter().copied().chain(self.below)
    }
}

/// The encoder's memory.
#[derive(Debug, Clone)]
pub struct Encoder {
    pub mode: Mode,
    number: u32,
    /// Where in the round the next picture is.
    turn: usize,
    started: bool,
    /// The last frame of each spatial layer in temporal layers 0 and 1 of this round.
    last: Vec<[Option<u32>; 2]>,
    chains: Vec<u32>,
}

impl Encoder {
    pub fn new(mode: Mode) -> Self {
        let layers = usize::from(mode.spatial);
        Self {
            mode,
            number: 0,
            turn: 0,
            started: false,
            last: vec![[None; 2]; layers],
            chains: vec![0; layers],
        }
    }

    /// The place of the next picture in the round.
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// The next picture.
    pub fn picture(&mut self, key: bool) -> Vec<Layer> {
        let key = key || !self.started;
        self.started = true;
        if key {
            self.turn = 0;
        }
        let temporal = self.mode.round()[self.turn];
        if temporal == 0 {
            self.last.iter_mut().for_each(|last| last[1] = None);
        }
        let layers = (0..self.mode.spatial)
            .map(|spatial| self.layer(spatial, temporal, key))
            .collect();
        self.turn = (self.turn + 1) % self.mode.round().len();
        layers
    }

    fn layer(&mut self, spatial: u8, temporal: u8, key: bool) -> Layer {
        self.number += 1;
        let [base, middle] = self.last[usize::from(spatial)];
        let before = match temporal {
            _ if key => None,
            // The second picture of the highest layer refers to the middle one.
            2 => middle.or(base),
            _ => base,
        };
        let predicted = spatial > 0 && (key || !self.mode.key);
        let chains = self.chains.iter().enumerate().map(|(chain, last)| {
            let begins = key && spatial == 0 && chain >= usize::from(spatial);
            if begins {
                0
            } else {
                (self.number - last) as u8
            }
        });
        let layer = Layer {
            number: self.number,
            spatial,
            temporal,
            key,
            before: before.into_iter().collect(),
            below: predicted.then(|| self.number - 1),
            chains: chains.collect(),
        };
        if temporal < 2 {
            self.last[usize::from(spatial)][usize::from(temporal)] = Some(self.number);
        }
        for chain in 0..self.chains.len() {
            let protects = if self.mode.key && !key {
                chain == usize::from(spatial)
            } else {
                chain >= usize::from(spatial)
            };
            if temporal == 0 && protects {
                self.chains[chain] = self.number;
            }
        }
        layer
    }

    /// What a frame means to the decode target of a spatial and a temporal layer.
    fn indication(&self, layer: &Layer, spatial: u8, temporal: u8) -> Indication {
        if spatial < layer.spatial || temporal < layer.temporal {
            return Indication::NotPresent;
        }
        if spatial > layer.spatial && !layer.key {
            return if self.mode.key {
                Indication::NotPresent
            } else {
                Indication::Required
            };
        }
        if spatial == layer.spatial && temporal == layer.temporal && temporal > 0 {
            return Indication::Discardable;
        }
        Indication::Switch
    }

    /// A frame as the dependency descriptor says it.
    pub fn dependencies(&self, layer: &Layer) -> Dependencies {
        let mut dependencies = Dependencies {
            spatial: layer.spatial,
            temporal: layer.temporal,
            ..Dependencies::default()
        };
        let temporals = self.mode.temporal;
        for target in 0..self.mode.spatial * temporals {
            let means = self.indication(layer, target / temporals, target % temporals);
            dependencies.indications.set(usize::from(target), means);
        }
        for number in layer.references() {
            let distance = (layer.number - number) as u16;
            dependencies.references.push(distance).expect("few");
        }
        for distance in &layer.chains {
            dependencies.chains.push(*distance).expect("few");
        }
        dependencies
    }

    /// The template structure: all that comes in two rounds after a keyframe.
    pub fn structure(mode: Mode, id_offset: u8) -> Structure {
        let mut encoder = Self::new(mode);
        let mut templates: Vec<Dependencies> = vec![];
        for _ in 0..=2 * mode.round().len() {
            for layer in encoder.picture(false) {
                let template = encoder.dependencies(&layer);
                if !templates.contains(&template) {
                    templates.push(template);
                }
            }
        }
        templates.sort_by_key(|template| (template.spatial, template.temporal));
        let targets = mode.spatial * mode.temporal;
        let protected_by = (0..targets).map(|target| target / mode.temporal);
        Structure::new(
            id_offset,
            targets,
            mode.spatial,
            protected_by.collect(),
            templates,
            vec![],
        )
        .expect("a structure")
    }
}
