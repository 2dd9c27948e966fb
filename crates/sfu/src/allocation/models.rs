//! Tracks for the tests.

use super::{
    Allocation, AllocationConfig, Budget, ConsumerLimits, Decision, Keep, Layer, LayerTarget,
    Memory, Rank, Terms, Track, TrackLimits, allocate,
};

/// The model source: 150, 500 and 1,700 kbit/s, each 30 pictures a second.
pub(super) const MODEL: [u64; 3] = [150, 500, 1_700];

/// A track of a case.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) layers: Vec<Layer>,
    pub(super) audio: bool,
    pub(super) absent: bool,
    pub(super) priority: u8,
    pub(super) speaker: bool,
    pub(super) limits: TrackLimits,
    pub(super) memory: Memory,
}

impl Model {
    pub(super) fn of(layers: Vec<Layer>) -> Self {
        Self {
            layers,
            audio: false,
            absent: false,
            priority: 0,
            speaker: false,
            limits: TrackLimits::default(),
            memory: Memory::default(),
        }
    }

    pub(super) fn track(&self) -> Track<'_> {
        Track {
            audio: self.audio,
            absent: self.absent,
            rank: Rank::new(self.priority, self.speaker, &self.limits.shown),
            limits: self.limits,
            layers: &self.layers,
            memory: self.memory,
        }
    }

    pub(super) fn priority(self, priority: u8) -> Self {
        Self { priority, ..self }
    }

    pub(super) fn speaks(self) -> Self {
        Self {
            speaker: true,
            ..self
        }
    }

    pub(super) fn absent(self) -> Self {
        Self {
            absent: true,
            ..self
        }
    }

    pub(super) fn spatial(mut self, most: u8) -> Self {
        self.limits.spatial = Some(most);
        self
    }

    pub(super) fn temporal(mut self, most: u8) -> Self {
        self.limits.temporal = Some(most);
        self
    }

    pub(super) fn shown(mut self, width: u32, height: u32) -> Self {
        self.limits.shown.max_width = Some(width);
        self.limits.shown.max_height = Some(height);
        self
    }

    pub(super) fn limit(mut self, limit: ConsumerLimits) -> Self {
        self.limits.shown = limit;
        self
    }

    /// As if it had been given this layer.
    pub(super) fn was(mut self, encoding: u8) -> Self {
        self.memory.decision = Decision::Layer(target(encoding, 0, 0));
        self.memory.reach = target(encoding, 0, u8::MAX);
        self
    }

    pub(super) fn starved(mut self) -> Self {
        self.memory.decision = Decision::Starved;
        self
    }
}

pub(super) fn target(encoding: u8, spatial: u8, temporal: u8) -> LayerTarget {
    LayerTarget {
        encoding,
        spatial,
        temporal,
    }
}

pub(super) fn layer(target: LayerTarget, kbps: u64, fps: Option<u8>, width: u32) -> Layer {
    Layer {
        target,
        bps: kbps * 1_000,
        fps,
        size: Some((width, width * 9 / 16)),
    }
}

/// Encodings of these rates, the largest 1280x720, each half as wide as the next.
pub(super) fn simulcast(kbps: &[u64]) -> Model {
    let top = kbps.len() - 1;
    let layers = kbps
        .iter()
        .enumerate()
        .map(|(at, rate)| layer(target(at as u8, 0, 0), *rate, Some(30), 1_280 >> (top - at)));
    Model::of(layers.collect())
}

pub(super) fn audio(kbps: u64) -> Model {
    Model {
        audio: true,
        ..Model::of(vec![Layer {
            target: LayerTarget::default(),
            bps: kbps * 1_000,
            fps: None,
            size: None,
        }])
    }
}

/// Spatial and temporal layers in one encoding; temporal ones at 7.5, 15 and 30 pictures a second
/// take a half, three quarters and all of the rate.
pub(super) fn svc(kbps: &[u64]) -> Model {
    let top = kbps.len() - 1;
    let mut layers = vec![];
    for (spatial, rate) in kbps.iter().enumerate() {
        for (temporal, (share, fps)) in [(2, 8), (3, 15), (4, 30)].into_iter().enumerate() {
            layers.push(layer(
                target(0, spatial as u8, temporal as u8),
                rate * share / 4,
                Some(fps),
                1_280 >> (top - spatial),
            ));
        }
    }
    Model::of(layers)
}

pub(super) fn run(models: &[Model], budget: Budget, now_us: u64) -> Allocation {
    let tracks: Vec<_> = models.iter().map(Model::track).collect();
    let terms = Terms {
        budget,
        keep: Keep::Nobody,
        now_us,
        is_contended: false,
        salt: 0,
        is_led: false,
    };
    allocate(&tracks, terms, &AllocationConfig::default())
}

/// What was given, a word a track: the encoding, the spatial and temporal layer where there are
/// any, `x`: paused, `-`: takes no part.
pub(super) fn words(models: &[Model], allocation: &Allocation) -> String {
    let mut words = vec![];
    for (model, memory) in models.iter().zip(&allocation.memories) {
        let layered = model
            .layers
            .iter()
            .any(|layer| layer.target.spatial + layer.target.temporal > 0);
        words.push(match memory.decision {
            Decision::Absent => "-".to_owned(),
            Decision::Starved => "x".to_owned(),
            Decision::Layer(at) if layered => format!("{}.{}", at.spatial, at.temporal),
            Decision::Layer(at) => at.encoding.to_string(),
        });
    }
    words.join(" ")
}

pub(super) fn kbps(kbps: u64) -> Budget {
    Budget::Bps(kbps * 1_000)
}
