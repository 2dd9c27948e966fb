//! Decode times of pictures that are sent as they are decoded and stamped as they are shown (RFC 6184 section 5.1).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Ticks of video a second.
const CLOCK: i64 = 90_000;
/// Pictures so far apart in time do not belong together: some between them were lost.
const HOLE: i64 = CLOCK / 2;
/// More pictures than any decoder holds back (ITU-T H.264 section A.3.1).
const DEEPEST: usize = 16;

/// Gives each picture a time at which it is decoded: that at which an earlier one is shown.
#[derive(Debug, Default)]
pub(super) struct DecodeTimes {
    /// How many pictures may come before one that is shown earlier.
    depth: usize,
    /// Between two pictures.
    interval: i64,
    /// Times of pictures that are shown later than the next is decoded; as many as the depth.
    shown: BinaryHeap<Reverse<i64>>,
    last: Option<i64>,
    /// Times for the first pictures: there are none before them.
    ahead: Vec<i64>,
}

impl DecodeTimes {
    /// From now on so many pictures may come before one that is shown earlier; `per_second` is how many are shown.
    pub(super) fn renew(&mut self, depth: u32, per_second: Option<f64>) {
        let depth = (depth as usize).min(DEEPEST);
        if depth == self.depth {
            return;
        }
        let interval = per_second.map_or(CLOCK / 25, |rate| (CLOCK as f64 / rate) as i64);
        *self = Self {
            depth,
            interval: interval.max(1),
            ..Self::default()
        };
    }

    /// When the picture that is shown at `pts` is decoded.
    pub(super) fn next(&mut self, pts: i64) -> i64 {
        if self.depth == 0 {
            return pts;
        }
        let last = self.last.replace(pts);
        if last.is_none_or(|last| (pts - last).abs() > HOLE) {
            self.shown.clear();
            let before = |number: usize| pts - self.interval * number as i64;
            // The earliest is taken first.
            self.ahead = (1..=self.depth).map(before).collect();
        }
        self.shown.push(Reverse(pts));
        let dts = self
            .ahead
            .pop()
            .or_else(|| self.shown.pop().map(|Reverse(at)| at));
        // What is said of the depth may be wrong; nothing is decoded when it was to be shown already.
        dts.unwrap_or(pts).min(pts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_in_order_are_decoded_when_they_are_shown() {
        let mut times = DecodeTimes::default();
        times.renew(0, None);
        assert_eq!([3_600, 7_200].map(|pts| times.next(pts)), [3_600, 7_200]);
    }

    #[test]
    fn pictures_between_others_are_decoded_before_they_are_shown_and_evenly() {
        let mut times = DecodeTimes::default();
        times.renew(2, Some(25.0));
        // I P B B P B B, in units of a picture.
        let shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8];
        let decoded: Vec<i64> = shown
            .iter()
            .map(|at| times.next(90_000 + at * 3_600))
            .collect();
        let expected: Vec<i64> = (0..10).map(|at| 90_000 + (at - 2) * 3_600).collect();
        assert_eq!(decoded, expected);
    }

    #[test]
    fn behind_a_hole_it_begins_anew() {
        let mut times = DecodeTimes::default();
        times.renew(1, Some(25.0));
        for at in 0..4 {
            times.next(at * 3_600);
        }
        let behind = 900_000;
        assert_eq!(times.next(behind), behind - 3_600);
        assert_eq!(times.next(behind + 7_200), behind);
        assert_eq!(times.next(behind + 3_600), behind + 3_600);
    }
}
