//! What the layers of a stream cost.

/// Spatial layers told apart; what is above counts as the highest.
const SPATIAL: usize = 4;
/// Temporal layers told apart; what is above counts as the highest.
const TEMPORAL: usize = 4;
/// A window younger than this says little about the bitrate.
const LEAST_WINDOW_US: u64 = 250_000;

type Table = [[u32; TEMPORAL]; SPATIAL];

/// What a viewer of a layer is sent, with all that it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerCost {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// Bits per second, headers included.
    pub(crate) bps: u32,
    /// Pictures in a second.
    pub(crate) fps: u8,
}

/// Bits and pictures by layer, in the second before and in the one under way.
#[derive(Debug, Default)]
pub(crate) struct LayerRates {
    /// Bytes by layer that viewers of higher spatial layers need too, and those they do not.
    shared: Table,
    alone: Table,
    pictures: Table,
    /// By layer: what its viewers are sent in a second, and how many pictures.
    bps: Table,
    fps: Table,
    started_us: u64,
}

impl LayerRates {
    /// A packet came.
    #[inline]
    pub(crate) fn on_packet(
        &mut self,
        spatial: u8,
        temporal: u8,
        leaf: bool,
        first: bool,
        bytes: usize,
    ) {
        let spatial = usize::from(spatial).min(SPATIAL - 1);
        let temporal = usize::from(temporal).min(TEMPORAL - 1);
        let table = if leaf {
            &mut self.alone
        } else {
            &mut self.shared
        };
        table[spatial][temporal] += bytes as u32;
        self.pictures[spatial][temporal] += u32::from(first);
    }

    /// A second is over.
    pub(crate) fn close_window(&mut self, now_us: u64) {
        let (bps, fps) = self.measure(now_us);
        for (spatial, row) in bps.iter().enumerate() {
            for (temporal, rate) in row.iter().enumerate() {
                let known = &mut self.bps[spatial][temporal];
                // Keyframes come in one second and not in the next.
                *known = if *known == 0 || *rate == 0 {
                    *rate
                } else {
                    (*known).midpoint(*rate)
                };
            }
        }
        self.fps = fps;
        self.shared = Table::default();
        self.alone = Table::default();
        self.pictures = Table::default();
        self.started_us = now_us;
    }

    /// What the layers cost that flow, by spatial and then temporal layer. Before a second is over
    /// the figures are those of its part so far.
    pub(crate) fn costs(&self, now_us: u64) -> impl Iterator<Item = LayerCost> + use<> {
        let known = self.bps.iter().flatten().any(|rate| *rate > 0);
        let old_enough = now_us.saturating_sub(self.started_us) >= LEAST_WINDOW_US;
        let (bps, fps) = if known || !old_enough {
            (self.bps, self.fps)
        } else {
            self.measure(now_us)
        };
        let layers = (0..SPATIAL * TEMPORAL).map(|at| (at / TEMPORAL, at % TEMPORAL));
        layers.filter_map(move |(spatial, temporal)| {
            // A temporal layer that adds no pictures is not there.
            let below = temporal.checked_sub(1).map_or(0, |t| fps[spatial][t]);
            (fps[spatial][temporal] > below).then(|| LayerCost {
                spatial: spatial as u8,
                temporal: temporal as u8,
                bps: bps[spatial][temporal],
                fps: fps[spatial][temporal].min(255) as u8,
            })
        })
    }

    fn measure(&self, now_us: u64) -> (Table, Table) {
        let elapsed_us = now_us.saturating_sub(self.started_us).max(1);
        let per_second = |count: u32, unit: u64| {
            let rate = u64::from(count) * unit * 1_000_000 / elapsed_us;
            u32::try_from(rate).unwrap_or(u32::MAX)
        };
        let (mut bps, mut fps) = (Table::default(), Table::default());
        for spatial in 0..SPATIAL {
            let (mut bytes, mut pictures) = (0, 0);
            for temporal in 0..TEMPORAL {
                let below = self.shared[..=spatial].iter().map(|row| row[temporal]);
                bytes += below.sum::<u32>() + self.alone[spatial][temporal];
                pictures += self.pictures[spatial][temporal];
                bps[spatial][temporal] = per_second(bytes, 8);
                fps[spatial][temporal] = rounded(pictures, elapsed_us);
            }
            if pictures == 0 {
                // Nobody can be shown what does not flow.
                bps[spatial] = Default::default();
            }
        }
        (bps, fps)
    }
}

fn rounded(pictures: u32, elapsed_us: u64) -> u32 {
    ((u64::from(pictures) * 1_000_000 + elapsed_us / 2) / elapsed_us) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// A second of two spatial and two temporal layers, 10 pictures; with `key` the lower spatial
    /// layer is needed by the higher one in the first picture only.
    fn second(rates: &mut LayerRates, key: bool) {
        for picture in 0..10 {
            let temporal = picture % 2;
            rates.on_packet(0, temporal, key && picture > 0, true, 100);
            rates.on_packet(1, temporal, true, true, 300);
        }
    }

    fn costs(rates: &LayerRates, now_us: u64) -> Vec<(u8, u8, u32, u8)> {
        let costs = rates.costs(now_us);
        costs
            .map(|c| (c.spatial, c.temporal, c.bps, c.fps))
            .collect()
    }

    #[test]
    fn a_layer_costs_what_its_viewers_are_sent() {
        let mut rates = LayerRates::default();
        rates.close_window(SECOND);
        second(&mut rates, false);
        rates.close_window(2 * SECOND);
        let all = [
            (0, 0, 4_000, 5),
            (0, 1, 8_000, 10),
            (1, 0, 16_000, 5),
            (1, 1, 32_000, 10),
        ];
        assert_eq!(costs(&rates, 2 * SECOND), all);
        let mut rates = LayerRates::default();
        rates.close_window(SECOND);
        second(&mut rates, true);
        rates.close_window(2 * SECOND);
        assert_eq!(costs(&rates, 2 * SECOND)[3], (1, 1, 24_800, 10));
    }

    #[test]
    fn a_layer_that_ceases_costs_nothing_and_is_gone() {
        let mut rates = LayerRates::default();
        second(&mut rates, false);
        rates.close_window(SECOND);
        rates.on_packet(0, 0, false, true, 100);
        rates.close_window(2 * SECOND);
        let left = costs(&rates, 2 * SECOND);
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].0, left[0].1), (0, 0));
    }

    #[test]
    fn the_first_second_is_told_before_it_is_over() {
        let mut rates = LayerRates::default();
        second(&mut rates, false);
        assert!(costs(&rates, SECOND / 10).is_empty());
        assert_eq!(costs(&rates, SECOND)[3], (1, 1, 32_000, 10));
    }
}
