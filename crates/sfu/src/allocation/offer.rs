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
mod tests {
    use roomtone_rtp::extensions::LayerAllocation;

    use super::*;

    const SECOND: u64 = 1_000_000;
    const START: u64 = 5 * SECOND;

    fn window(active: bool, packets: u64, bitrate: u64) -> Window<'static> {
        Window {
            active,
            packets,
            bitrate,
            layers: &[],
        }
    }

    fn costs(offer: &Offer) -> Vec<u64> {
        offer.layers().iter().map(|layer| layer.bps).collect()
    }

    #[test]
    fn what_was_not_measured_is_guessed() {
        let mut offer = Offer::new(false, 3, 0);
        assert_eq!(costs(&offer), [150_000, 450_000, 1_350_000]);
        for encoding in 0..2 {
            offer.set_active(encoding, true, 0);
        }
        let windows = [
            window(true, 0, 0),
            window(true, 50, 600_000 - 50 * OVERHEAD_BITS),
            window(false, 0, 0),
        ];
        offer.close_window(&windows, SECOND, START);
        assert_eq!(costs(&offer), [200_000, 600_000, 1_800_000]);
        offer.refresh(6 * SECOND, START);
        assert_eq!(costs(&offer).len(), 2, "the top never came");
        assert_eq!(costs(&Offer::new(true, 1, 0)), [AUDIO_GUESS_BPS]);
    }

    #[test]
    fn what_never_came_is_waited_for_again_but_each_time_later() {
        let mut offer = Offer::new(false, 3, 0);
        let mut begun = Vec::new();
        let mut seen = 3;
        for at in 1..200 {
            let (now_us, flows) = (at * SECOND, at >= 8);
            if flows {
                offer.set_active(0, true, now_us);
                offer.set_active(1, true, now_us);
            }
            let packets = if flows { at } else { 0 };
            let sent = window(flows, packets, 300_000);
            // Nobody wants it while it is not offered, and who does not get it wants another.
            if offer.layers().len() < 3 {
                offer.expect(2, now_us);
            }
            offer.close_window(&[sent, sent, window(false, 0, 0)], now_us, START);
            if offer.layers().len() == 3 && seen < 3 {
                begun.push(at);
            }
            seen = offer.layers().len();
        }
        let apart: Vec<_> = begun.windows(2).map(|two| two[1] - two[0]).collect();
        // Six seconds each time, and 5, 10, 20 and so on between them.
        assert_eq!(apart, [11, 16, 26, 46, 86], "{begun:?}");
        offer.set_active(2, true, 200 * SECOND);
        let mut sent = [window(true, 500, 300_000); 3];
        offer.close_window(&sent, 201 * SECOND, START);
        // What has come once is asked for whenever there is room.
        sent[2] = window(false, 500, 0);
        offer.close_window(&sent, 202 * SECOND, START);
        assert_eq!(offer.layers().len(), 2);
        offer.expect(2, 203 * SECOND);
        offer.close_window(&sent, 203 * SECOND, START);
        assert_eq!(offer.layers().len(), 3);
    }

    #[test]
    fn the_cost_has_the_packets_own_overhead_in_it() {
        let mut offer = Offer::new(false, 1, 0);
        offer.set_active(0, true, 0);
        offer.close_window(&[window(true, 100, 400_000)], SECOND, START);
        assert_eq!(costs(&offer), [400_000 + 100 * OVERHEAD_BITS]);
    }

    #[test]
    fn a_stream_that_began_within_the_window_is_not_taken_for_a_slow_one() {
        let mut offer = Offer::new(false, 1, 0);
        offer.set_active(0, true, SECOND / 2);
        offer.close_window(&[window(true, 1, 200_000)], SECOND, START);
        assert_eq!(costs(&offer), [400_000 + 2 * OVERHEAD_BITS]);
        let mut offer = Offer::new(false, 1, 0);
        offer.set_active(0, true, SECOND * 9 / 10);
        offer.close_window(&[window(true, 1, 1_000)], SECOND, START);
        assert_eq!(costs(&offer), [SINGLE_GUESS_BPS], "too short to tell");
    }

    #[test]
    fn one_window_is_no_rise_two_are() {
        let mut rate = Smoothed::default();
        let mut shown = vec![];
        for window in [800, 1_600, 800, 1_600, 1_500, 700] {
            rate.add(window);
            shown.push(rate.bps.unwrap());
        }
        assert_eq!(shown, [800, 800, 800, 800, 1_500, 1_400]);
    }

    #[test]
    fn layers_of_a_stream_share_its_cost() {
        let rates = [
            (0, 0, 100, 15),
            (0, 1, 150, 30),
            (1, 0, 300, 15),
            (1, 1, 400, 30),
        ];
        let rates = rates.map(|(spatial, temporal, kbps, fps)| LayerCost {
            spatial,
            temporal,
            bps: kbps * 1_000,
            fps,
        });
        let mut offer = Offer::new(false, 1, 0);
        offer.set_active(0, true, 0);
        // Half of the packets, with their overhead, are needed by nobody who is given the best.
        let shown = Window {
            layers: &rates,
            ..window(true, 1_000, 800_000)
        };
        offer.close_window(&[shown], SECOND, START);
        let overhead = |kbps: u64| kbps * (800_000 + 1_000 * OVERHEAD_BITS) / 800;
        assert_eq!(costs(&offer), [100, 150, 300, 400].map(overhead));
        let layers = offer.layers();
        assert_eq!(
            (layers[0].size, layers[3].size),
            (Some((640, 360)), Some(FULL))
        );
        assert_eq!(layers[2].fps, Some(15));
        assert_eq!(offer.tops(layers[0].target), (1, 1));
    }

    #[test]
    fn the_publisher_tells_sizes_and_rates() {
        let layer = |stream, width, kbps| LayerAllocation {
            stream,
            spatial: 0,
            temporal_layers: 1,
            target_kbps: [kbps, 0, 0, 0],
            resolution: Some(LayerResolution {
                width,
                height: width * 3 / 4,
                max_framerate: 25,
            }),
        };
        let layers = [layer(0, 320, 200), layer(1, 640, 700)];
        let told = VideoLayersAllocation::new(1, 2, &layers).unwrap();
        let mut offer = Offer::new(false, 2, 0);
        offer.on_told(1, &told);
        assert!(offer.refresh(0, START));
        let shown: Vec<_> = offer
            .layers()
            .iter()
            .map(|l| (l.bps, l.size, l.fps))
            .collect();
        let expected = [
            (200_000, Some((320, 240)), Some(25)),
            (700_000, Some((640, 480)), Some(25)),
        ];
        assert_eq!(shown, expected);
        assert!(!offer.refresh(0, START), "nothing new");
        // Signalled from the top down.
        let mut offer = Offer::new(false, 2, 0);
        offer.on_told(0, &told);
        offer.refresh(0, START);
        assert_eq!(costs(&offer), [700_000, 200_000]);
    }

    #[test]
    fn what_was_switched_off_can_be_had_again() {
        let mut offer = Offer::new(false, 2, 0);
        offer.set_active(0, true, 0);
        offer.set_active(1, true, 0);
        let on = [window(true, 0, 0), window(true, 100, 964_800)];
        offer.close_window(&on, SECOND, START);
        let off = [window(true, 0, 0), window(false, 100, 0)];
        offer.close_window(&off, 2 * SECOND, START);
        assert_eq!(costs(&offer).len(), 1);
        offer.expect(1, 2 * SECOND);
        offer.refresh(2 * SECOND, START);
        assert_eq!(costs(&offer), [333_333, 1_000_000], "at what it cost");
    }
}
