//! What a producer has to offer: its layers, what they cost, how large they are.
//!
//! Costs are measured window by window. One window with a keyframe in it is no rise: a rate rises
//! to what two windows in a row have shown, and falls by an eighth of the way a window. What was
//! never measured is guessed from what was, so that a layer the publisher does not send at the
//! moment can be asked for.

use roomtone_rtp::extensions::{LayerResolution, VideoLayersAllocation};

use super::{Layer, LayerTarget};
use crate::producer::LayerCost;

/// The tag of the cipher and the headers of UDP and IPv4.
const OVERHEAD_BITS: u64 = 44 * 8;
/// Spatial layers of one stream.
const SPATIAL: usize = 4;
/// Temporal layers of each.
const TEMPORAL: usize = 4;
/// The model of what nobody has measured: encodings of 150, 500 and 1,700 kbit/s and so on.
const FIRST_GUESS_BPS: u64 = 150_000;
/// A single encoding.
const SINGLE_GUESS_BPS: u64 = 500_000;
/// Each encoding costs about so many times the one below it.
const GUESS_FACTOR: u64 = 3;
/// What nobody has measured of audio.
const AUDIO_GUESS_BPS: u64 = 50_000;
/// A window that saw less than this of a stream says nothing about its rate.
const LEAST_WINDOW_US: u64 = 300_000;
/// What has never come is not waited for again for so long, twice as long each time, and that not more often doubled: some
/// browsers have fewer encodings of small pictures than they announce.
const VAIN_US: u64 = 5_000_000;
const VAIN_DOUBLINGS: u32 = 5;
/// The size of the largest picture, where the publisher does not tell it.
const FULL: (u32, u32) = (1_280, 720);

/// A rate that does not follow single windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Smoothed {
    bps: Option<u64>,
    last: u64,
}

impl Smoothed {
    fn add(&mut self, window: u64) {
        let rise = window.min(self.last);
        self.last = window;
        self.bps = Some(match self.bps {
            None => window,
            Some(bps) if rise > bps => rise,
            Some(bps) if window < bps => bps - (bps - window) / 8,
            Some(bps) => bps,
        });
    }
}

/// What a window of one stream showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) active: bool,
    /// Packets received in all.
    pub(crate) packets: u64,
    /// Bits per second of them in this window.
    pub(crate) bitrate: u64,
    /// What layers it has, where that is known.
    pub(crate) layers: &'a [LayerCost],
}

/// One encoding.
#[derive(Debug, Clone, Default)]
struct Encoding {
    /// The cost of the best of it, and of each layer.
    rate: Smoothed,
    rates: [[Smoothed; TEMPORAL]; SPATIAL],
    active: bool,
    /// When its packets began to come.
    active_since_us: u64,
    packets: u64,
    /// Since when it may be expected to come though it does not.
    wanted_since_us: Option<u64>,
    /// How often it was waited for and never came, and until when it is not again.
    vain: u32,
    not_before_us: u64,
    layers: Vec<LayerCost>,
    /// What the publisher says.
    told: [Option<LayerResolution>; SPATIAL],
    told_bps: u64,
}

impl Encoding {
    /// A window has shown what its layers cost; `whole`: all of its packets, with their overhead.
    fn measure(&mut self, window: &Window<'_>, whole: u64) {
        self.layers.clear();
        self.layers.extend_from_slice(window.layers);
        // What is needed by nobody who is given the best is no part of the best.
        let share = |layer: &LayerCost| {
            let share = u128::from(layer.bps) * u128::from(whole);
            (share / u128::from(window.bitrate.max(1))) as u64
        };
        let best = window.layers.iter().map(share).max();
        self.rate.add(best.unwrap_or(whole));
        for layer in window.layers {
            self.rates[place(*layer).0][place(*layer).1].add(share(layer));
        }
    }
}

impl Encoding {
    /// Wait for it no longer, where it has never come for so long though its publisher sends others.
    fn give_up(&mut self, now_us: u64, start_us: u64) {
        let waited = |since| now_us.saturating_sub(since) > start_us;
        if self.packets == 0 && self.wanted_since_us.is_some_and(waited) {
            self.wanted_since_us = None;
            self.not_before_us = now_us + (VAIN_US << self.vain.min(VAIN_DOUBLINGS));
            self.vain += 1;
        }
    }
}

/// Where the rate of a layer is kept.
fn place(layer: LayerCost) -> (usize, usize) {
    (
        usize::from(layer.spatial).min(SPATIAL - 1),
        usize::from(layer.temporal).min(TEMPORAL - 1),
    )
}

/// What a producer has to offer.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    audio: bool,
    encodings: Vec<Encoding>,
    closed_us: u64,
    layers: Vec<Layer>,
}

impl Offer {
    pub(crate) fn new(audio: bool, encodings: usize, now_us: u64) -> Self {
        let encoding = Encoding {
            wanted_since_us: Some(now_us),
            ..Encoding::default()
        };
        let mut offer = Self {
            audio,
            encodings: vec![encoding; encodings],
            closed_us: now_us,
            layers: Vec::new(),
        };
        offer.layers = offer.list(now_us, 0);
        offer
    }

    /// What can be had, lowest first; empty: nothing comes at the moment.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The highest layer in the same picture, and the highest spatial layer of the encoding.
    pub(crate) fn tops(&self, of: LayerTarget) -> (u8, u8) {
        let alike = |layer: &&Layer| layer.target.encoding == of.encoding;
        let encoding = || self.layers.iter().filter(alike).map(|layer| layer.target);
        let temporal = encoding()
            .filter(|target| target.spatial == of.spatial)
            .map(|target| target.temporal);
        let spatial = encoding().map(|target| target.spatial);
        (
            temporal.max().unwrap_or_default(),
            spatial.max().unwrap_or_default(),
        )
    }

    /// An encoding began or ceased to come. Says whether the offer has changed by that.
    pub(crate) fn set_active(&mut self, encoding: u8, active: bool, now_us: u64) {
        let Some(found) = self.encodings.get_mut(usize::from(encoding)) else {
            return;
        };
        if active && !found.active {
            found.active_since_us = now_us;
        }
        found.active = active;
        if active {
            found.wanted_since_us = None;
            (found.vain, found.not_before_us) = (0, 0);
        }
    }

    /// An encoding that does not come is waited for from now on, unless it was in vain.
    pub(crate) fn expect(&mut self, encoding: usize, now_us: u64) {
        if let Some(found) = self.encodings.get_mut(encoding)
            && !found.active
            && found.not_before_us <= now_us
        {
            found.wanted_since_us = Some(now_us);
        }
    }

    /// What the publisher says about its layers, in a packet of one encoding.
    pub(crate) fn on_told(&mut self, encoding: u8, told: &VideoLayersAllocation) {
        // Streams are numbered in the order of the signalling, which is ours or its reverse.
        let (count, carrier) = (told.stream_count, told.stream_index);
        let reversed = carrier != encoding;
        if reversed && count - 1 - carrier != encoding {
            return;
        }
        for encoding in &mut self.encodings {
            encoding.told_bps = 0;
        }
        for layer in told.layers() {
            let stream = if reversed {
                count - 1 - layer.stream
            } else {
                layer.stream
            };
            let Some(encoding) = self.encodings.get_mut(usize::from(stream)) else {
                continue;
            };
            let top = layer.rates().last().copied().unwrap_or_default();
            let spatial = usize::from(layer.spatial).min(SPATIAL - 1);
            encoding.told[spatial] = layer.resolution;
            encoding.told_bps += u64::from(top) * 1_000;
        }
    }

    /// A window is over; one entry a stream. Says whether costs or layers have changed notably.
    pub(crate) fn close_window(
        &mut self,
        windows: &[Window<'_>],
        now_us: u64,
        start_us: u64,
    ) -> bool {
        let elapsed = now_us.saturating_sub(self.closed_us).max(1);
        let flows = windows.iter().any(|window| window.active);
        for (encoding, window) in self.encodings.iter_mut().zip(windows) {
            let packets = window.packets.saturating_sub(encoding.packets);
            encoding.packets = window.packets;
            encoding.active = window.active;
            if !window.active {
                if flows {
                    encoding.give_up(now_us, start_us);
                }
                continue;
            }
            // It may have begun within the window.
            let seen = now_us.saturating_sub(encoding.active_since_us).min(elapsed);
            if seen >= LEAST_WINDOW_US && packets > 0 {
                let overhead = packets * OVERHEAD_BITS * 1_000_000 / elapsed;
                let whole = (window.bitrate + overhead) * elapsed / seen;
                encoding.measure(window, whole);
            }
        }
        self.closed_us = now_us;
        self.refresh(now_us, start_us)
    }

    /// Lists anew what can be had; says whether that has changed notably.
    pub(crate) fn refresh(&mut self, now_us: u64, start_us: u64) -> bool {
        let fresh = self.list(now_us, start_us);
        let alike = |one: &Layer, other: &Layer| {
            let near = one.bps.abs_diff(other.bps) * 32 <= other.bps;
            near && one.target == other.target && one.size == other.size
        };
        let same = fresh.len() == self.layers.len()
            && fresh.iter().zip(&self.layers).all(|(a, b)| alike(a, b));
        if !same {
            self.layers = fresh;
        }
        !same
    }

    fn list(&self, now_us: u64, start_us: u64) -> Vec<Layer> {
        let mut layers = Vec::new();
        for (at, encoding) in self.encodings.iter().enumerate() {
            let expected = encoding
                .wanted_since_us
                .is_some_and(|since| now_us.saturating_sub(since) <= start_us);
            if encoding.active || expected {
                self.list_encoding(at, encoding, &mut layers);
            }
        }
        layers
    }

    fn list_encoding(&self, at: usize, encoding: &Encoding, layers: &mut Vec<Layer>) {
        let whole = self.cost(at);
        let only = LayerCost {
            spatial: 0,
            temporal: 0,
            bps: 0,
            fps: 0,
        };
        let measured = if encoding.layers.is_empty() {
            std::slice::from_ref(&only)
        } else {
            &encoding.layers
        };
        let spatials = measured.iter().map(|layer| layer.spatial).max();
        for rate in measured {
            let (spatial, temporal) = place(*rate);
            let cost = encoding.rates[spatial][temporal].bps.unwrap_or(whole);
            let below = spatials.unwrap_or_default() - rate.spatial;
            let told = encoding.told[spatial];
            let fps = (rate.fps > 0).then_some(rate.fps);
            layers.push(Layer {
                target: LayerTarget {
                    encoding: at as u8,
                    spatial: rate.spatial,
                    temporal: rate.temporal,
                },
                bps: cost.max(1),
                fps: fps.or(told.map(|told| told.max_framerate).filter(|fps| *fps > 0)),
                size: (!self.audio).then(|| self.size(at, below, told)),
            });
        }
    }

    /// The size of a picture: as told, else half as wide as the next one above.
    fn size(&self, at: usize, below: u8, told: Option<LayerResolution>) -> (u32, u32) {
        if let Some(told) = told {
            return (told.width, told.height);
        }
        let halvings = (self.encodings.len() - 1 - at) as u32 + u32::from(below);
        let halvings = halvings.min(8);
        (FULL.0 >> halvings, FULL.1 >> halvings)
    }

    /// What a whole encoding costs: as measured, as told, or guessed from its neighbours.
    fn cost(&self, at: usize) -> u64 {
        let known = |at: usize| {
            let encoding = &self.encodings[at];
            let told = (encoding.told_bps > 0).then_some(encoding.told_bps);
            encoding.rate.bps.or(told)
        };
        if let Some(bps) = known(at) {
            return bps;
        }
        if self.audio {
            return AUDIO_GUESS_BPS;
        }
        let scale = |steps: usize| GUESS_FACTOR.pow(steps.min(8) as u32);
        let below = (0..at).rev().find_map(|other| Some((other, known(other)?)));
        let above = (at + 1..self.encodings.len()).find_map(|other| Some((other, known(other)?)));
        match (below, above) {
            (Some((other, bps)), _) => bps.saturating_mul(scale(at - other)),
            (None, Some((other, bps))) => bps / scale(other - at),
            (None, None) if self.encodings.len() == 1 => SINGLE_GUESS_BPS,
            (None, None) => FIRST_GUESS_BPS * scale(at),
        }
    }
}

#[cfg(test)]
mod tests;
