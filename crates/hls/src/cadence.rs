//! How long segments and parts are, decided once, before the first playlist.

/// Segments are at most this long unless a first group of pictures asks for more (in seconds).
const TARGET_S: u32 = 4;
const LONGEST_TARGET_S: u32 = 10;
const PART_US: u64 = 333_000;
/// A source is slow where its pictures are further apart than at ten a second.
const SLOW_US: u64 = 100_000;
/// With so many of the longest intervals in a part, a picture more or less is under 15 % of it (section 4.4.4.9).
const UNEVEN_INTERVALS: u64 = 7;
const SLOW_INTERVALS: u64 = 3;

/// The two durations that never change in the life of a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// `EXT-X-TARGETDURATION`.
    pub target_duration_s: u32,
    /// `PART-TARGET`, in whole milliseconds.
    pub part_target_us: u64,
}

/// What was seen before the first playlist; all in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The times between pictures, or between frames of sound where there are no pictures.
    pub intervals_us: Vec<u64>,
    /// The first group of pictures; none where it had no end within the time allowed, or where there is only sound.
    pub group_us: Option<u64>,
}

impl Cadence {
    /// Decide; `part_us` is what is wished of a part, none for the usual third of a second.
    pub fn decide(observed: &Observed, part_us: Option<u64>) -> Self {
        let group_s = observed
            .group_us
            .map_or(0, |group| group.div_ceil(1_000_000) as u32);
        let target_duration_s = if group_s <= TARGET_S {
            TARGET_S
        } else {
            (group_s + 1).min(LONGEST_TARGET_S)
        };
        Self {
            target_duration_s,
            part_target_us: part_target(&observed.intervals_us, part_us.unwrap_or(PART_US)),
        }
    }

    /// `PART-HOLD-BACK`: three part targets, which Apple's rules ask for.
    pub fn part_hold_back_us(&self) -> u64 {
        3 * self.part_target_us
    }

    /// `CAN-SKIP-UNTIL`: the least that is allowed.
    pub fn skip_until_us(&self) -> u64 {
        6 * self.target_us()
    }

    /// The target duration in microseconds.
    pub fn target_us(&self) -> u64 {
        u64::from(self.target_duration_s) * 1_000_000
    }
}

/// A whole number of pictures where they come evenly. Times that waver a little get half a picture more, so that as
/// many pictures always fit; those that waver much, as many that one more or less does not matter.
fn part_target(intervals: &[u64], wished: u64) -> u64 {
    let (Some(&shortest), Some(&longest)) = (intervals.iter().min(), intervals.iter().max()) else {
        return wished;
    };
    let mean = (intervals.iter().sum::<u64>() / intervals.len() as u64).max(1);
    // Ticks of 90 kHz round by up to 11 us.
    let even = longest - shortest <= 24;
    let target = if even && mean > SLOW_US {
        SLOW_INTERVALS * longest
    } else if longest > 2 * mean {
        UNEVEN_INTERVALS * longest
    } else {
        // A little short of a whole number is that number: 333 ms are ten pictures of 33.4.
        let pictures = ((wished + mean / 2) / mean).max(if even { 1 } else { 4 });
        if even {
            pictures * longest
        } else {
            pictures * mean + mean / 2
        }
    };
    target.div_ceil(1000) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(intervals_us: &[u64], group_us: Option<u64>) -> (u32, u64) {
        let observed = Observed {
            intervals_us: intervals_us.to_vec(),
            group_us,
        };
        let cadence = Cadence::decide(&observed, None);
        (cadence.target_duration_s, cadence.part_target_us)
    }

    #[test]
    fn parts_are_whole_numbers_of_pictures() {
        assert_eq!(decide(&[33_333, 33_334], Some(2_000_000)), (4, 334_000));
        assert_eq!(decide(&[40_000], Some(2_000_000)), (4, 320_000));
        assert_eq!(decide(&[16_666, 16_667], Some(1_000_000)), (4, 334_000));
    }

    #[test]
    fn a_frame_of_aac_is_counted_as_a_picture_is() {
        assert_eq!(decide(&[21_333, 21_334], None), (4, 342_000));
    }

    #[test]
    fn a_long_first_group_makes_longer_segments_up_to_ten_seconds() {
        assert_eq!(decide(&[40_000], Some(4_000_000)).0, 4);
        assert_eq!(decide(&[40_000], Some(5_000_000)).0, 6);
        assert_eq!(decide(&[40_000], Some(30_000_000)).0, 10);
    }

    #[test]
    fn slow_and_uneven_sources_get_longer_parts() {
        assert_eq!(decide(&[200_000], Some(2_000_000)).1, 600_000);
        assert_eq!(
            decide(&[33_000, 33_000, 33_000, 120_000], Some(2_000_000)).1,
            840_000
        );
    }

    #[test]
    fn times_that_waver_always_fit_the_same_number_of_pictures() {
        let (_, part) = decide(&[32_000, 33_000, 34_000, 34_000], Some(2_000_000));
        assert_eq!(part, 350_000);
    }

    #[test]
    fn without_anything_seen_the_usual_is_taken() {
        assert_eq!(decide(&[], None), (4, 333_000));
    }
}
