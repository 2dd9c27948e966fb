//! What readers of a program are given beside its lists: units as they are listed, from the newest keyframe on.
//!
//! One track of pictures and one of sound are played, the first of each that a transport stream carries. Whoever joins is
//! given the pictures since the last keyframe at once. Nothing here waits for a reader: runs go into a bounded queue, and
//! where that is full all readers go on at the next keyframe, counted.

use roomtone_frames::Format;
use roomtone_mpegts::Muxer;

use super::track::Step;

/// Units and bytes that are kept since the last keyframe; of a longer group nothing is, and who joins waits for the next.
/// Bytes are shared with what is packaged.
const MAX_UNITS: usize = 4_096;
const MAX_BYTES: usize = 16 << 20;

/// Steps of a packager's tracks, by their places: for one playout, or for all of it.
#[derive(Debug)]
pub(crate) struct PlayRun {
    pub(crate) packager: u64,
    pub(crate) playout: Option<u64>,
    pub(crate) steps: Vec<(usize, Step)>,
}

impl PlayRun {
    /// How many units it has.
    pub(crate) fn units(&self) -> u64 {
        let units = self.steps.iter();
        units
            .filter(|(_, step)| matches!(step, Step::Unit(_)))
            .count() as u64
    }
}

/// Why a playout does not begin, or does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlayBar {
    /// There is no such stream, or none any more.
    NoStream,
    /// Nothing of it can be carried by a transport stream.
    Media,
}

/// What becomes of playouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlayTold {
    /// It may begin: what it is given follows.
    Admitted(u64),
    Refused(u64, PlayBar),
    /// All of this packager are over.
    Ended(u64, PlayBar),
}

/// A track that is played.
#[derive(Debug, Clone)]
struct Played {
    place: usize,
    format: Format,
}

/// The playouts of a program.
#[derive(Debug, Default)]
pub(super) struct Playing {
    playouts: Vec<u64>,
    begun: bool,
    video: Option<Played>,
    sound: Option<Played>,
    /// Since the newest keyframe, formats first; without pictures only those.
    group: Vec<(usize, Step)>,
    bytes: usize,
    /// The group has become too long to be kept.
    overflown: bool,
    /// Something found no place: nothing is given before the next beginning.
    waits: bool,
    fresh: Vec<(usize, Step)>,
    /// For those that have joined.
    joined: Vec<(u64, Vec<(usize, Step)>)>,
    /// Groups that became too long.
    pub(super) overflows: u64,
}

impl Playing {
    /// The program begins with these tracks, in the order of their places.
    pub(super) fn begin<'a>(&mut self, formats: impl Iterator<Item = &'a Format>) {
        self.begun = true;
        for (place, format) in formats.enumerate() {
            let slot = if format.is_video() {
                &mut self.video
            } else {
                &mut self.sound
            };
            if slot.is_none() && Muxer::takes(format) {
                let format = format.clone();
                *slot = Some(Played { place, format });
            }
        }
        if self.video.is_none() {
            self.start_group();
            self.waits = true;
        }
    }

    /// Whether nothing of the program can be played.
    pub(super) fn is_barred(&self) -> bool {
        self.begun && self.video.is_none() && self.sound.is_none()
    }

    /// Have a playout join.
    pub(super) fn join(&mut self, playout: u64) {
        self.playouts.push(playout);
        if !self.group.is_empty() {
            self.joined.push((playout, self.group.clone()));
        }
    }

    /// It has left.
    pub(super) fn leave(&mut self, playout: u64) {
        self.playouts.retain(|one| *one != playout);
        self.joined.retain(|(one, _)| *one != playout);
    }

    /// All leave; whether there was one.
    pub(super) fn leave_all(&mut self) -> bool {
        self.joined.clear();
        self.fresh.clear();
        !std::mem::take(&mut self.playouts).is_empty()
    }

    /// Take what is listed next.
    pub(super) fn handle_steps<'a>(&mut self, steps: impl Iterator<Item = (usize, &'a Step)>) {
        for (place, step) in steps {
            let of = |slot: &Option<Played>| slot.as_ref().is_some_and(|one| one.place == place);
            let is_video = of(&self.video);
            if is_video || of(&self.sound) {
                self.handle_step(place, is_video, step);
            }
        }
    }

    fn handle_step(&mut self, place: usize, is_video: bool, step: &Step) {
        match step {
            Step::Format(format) => {
                let slot = if is_video {
                    &mut self.video
                } else {
                    &mut self.sound
                };
                if let Some(played) = slot {
                    played.format = format.clone();
                }
                if self.video.is_none() {
                    self.start_group();
                }
            }
            Step::Unit(unit) if is_video && unit.keyframe => self.start_group(),
            // Times go on all the same.
            Step::Broken => return,
            Step::Unit(_) => {}
        }
        if self.video.is_some() {
            self.keep(place, step);
        } else if std::mem::take(&mut self.waits) {
            self.fresh = self.group.clone();
        }
        if !self.waits && !self.playouts.is_empty() {
            self.fresh.push((place, step.clone()));
        }
    }

    /// Whoever joins begins here, and whoever has lost something goes on.
    fn start_group(&mut self) {
        self.group.clear();
        (self.bytes, self.overflown) = (0, false);
        for played in [&self.video, &self.sound].into_iter().flatten() {
            let format = Step::Format(played.format.clone());
            self.group.push((played.place, format));
        }
        if self.video.is_some() {
            self.waits = false;
            if !self.playouts.is_empty() {
                self.fresh.extend(self.group.iter().cloned());
            }
        }
    }

    fn keep(&mut self, place: usize, step: &Step) {
        if self.group.is_empty() || self.overflown {
            return;
        }
        if let Step::Unit(unit) = step {
            self.bytes += unit.data.len();
        }
        if self.group.len() >= MAX_UNITS || self.bytes > MAX_BYTES {
            self.group.clear();
            self.overflown = true;
            self.overflows += 1;
            return;
        }
        self.group.push((place, step.clone()));
    }

    /// What playouts are to be given now.
    pub(super) fn take_runs(&mut self, packager: u64) -> Vec<PlayRun> {
        let joined = std::mem::take(&mut self.joined).into_iter();
        let mut runs: Vec<PlayRun> = joined
            .map(|(playout, steps)| PlayRun {
                packager,
                playout: Some(playout),
                steps,
            })
            .collect();
        if !self.fresh.is_empty() {
            runs.push(PlayRun {
                packager,
                playout: None,
                steps: std::mem::take(&mut self.fresh),
            });
        }
        runs
    }

    /// A run found no place.
    pub(super) fn lose(&mut self) {
        self.waits = true;
        self.fresh.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use roomtone_frames::{AccessUnit, CarriedCodec, CarriedFormat, H264Format, OpusFormat};

    use super::*;

    fn pictures(width: u32) -> Format {
        Format::H264(H264Format {
            sps: Bytes::new(),
            pps: Vec::new(),
            width,
            height: 360,
            chroma_format: 1,
            luma_bits: 8,
            chroma_bits: 8,
        })
    }

    fn sound() -> Format {
        Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 312,
        })
    }

    fn unit(dts: i64, keyframe: bool) -> Step {
        Step::Unit(AccessUnit {
            dts,
            pts: dts,
            keyframe,
            data: Bytes::from_static(b"coded"),
        })
    }

    /// Give steps of a place; what playouts get of it, each as `F` or its time.
    fn give(playing: &mut Playing, steps: &[(usize, Step)]) -> Vec<(Option<u64>, Vec<String>)> {
        playing.handle_steps(steps.iter().map(|(place, step)| (*place, step)));
        let runs = playing.take_runs(1).into_iter();
        runs.map(|run| {
            let steps = run.steps.iter().map(|(place, step)| match step {
                Step::Format(_) => format!("{place}F"),
                Step::Unit(unit) => format!("{place}:{}", unit.dts),
                Step::Broken => "broken".to_owned(),
            });
            (run.playout, steps.collect())
        })
        .collect()
    }

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|&one| one.to_owned()).collect()
    }

    #[test]
    fn who_joins_begins_with_the_newest_keyframe_and_goes_on_with_all_others() {
        let mut playing = Playing::default();
        playing.begin([pictures(640), sound(), pictures(320)].iter());
        assert!(!playing.is_barred());
        let nobody = give(&mut playing, &[(0, unit(0, true)), (0, unit(1, false))]);
        assert!(nobody.is_empty());
        give(&mut playing, &[(1, unit(2, true)), (0, unit(3, true))]);
        give(&mut playing, &[(1, unit(4, true)), (2, unit(4, true))]);
        playing.join(7);
        let got = give(&mut playing, &[(0, unit(5, false)), (0, Step::Broken)]);
        assert_eq!(
            got,
            [
                (Some(7), strings(&["0F", "1F", "0:3", "1:4"])),
                (None, strings(&["0:5"])),
            ]
        );
        playing.leave(7);
        assert!(give(&mut playing, &[(0, unit(6, true))]).is_empty());
    }

    #[test]
    fn what_finds_no_place_is_lost_up_to_the_next_keyframe() {
        let mut playing = Playing::default();
        playing.begin([pictures(640), sound()].iter());
        playing.join(7);
        let got = give(&mut playing, &[(0, unit(0, true))]);
        assert_eq!(got, [(None, strings(&["0F", "1F", "0:0"]))]);
        playing.lose();
        assert!(give(&mut playing, &[(0, unit(1, false)), (1, unit(1, true))]).is_empty());
        let got = give(&mut playing, &[(0, unit(2, true)), (1, unit(2, true))]);
        assert_eq!(got, [(None, strings(&["0F", "1F", "0:2", "1:2"]))]);
    }

    #[test]
    fn sound_alone_begins_anywhere() {
        let mut playing = Playing::default();
        playing.join(6);
        playing.begin([sound()].iter());
        let got = give(&mut playing, &[(0, unit(0, true))]);
        assert_eq!(got, [(None, strings(&["0F", "0:0"]))]);
        playing.join(7);
        let got = give(&mut playing, &[(0, unit(1, true))]);
        assert_eq!(
            got,
            [(Some(7), strings(&["0F"])), (None, strings(&["0:1"]))]
        );
        playing.lose();
        let got = give(&mut playing, &[(0, unit(2, true))]);
        assert_eq!(got, [(None, strings(&["0F", "0:2"]))]);
    }

    #[test]
    fn what_a_transport_stream_does_not_carry_is_barred() {
        let mut playing = Playing::default();
        assert!(!playing.is_barred());
        let vp8 = Format::Carried(CarriedFormat {
            codec: CarriedCodec::Pcmu,
            clock_rate: 8_000,
            channels: 1,
        });
        playing.begin([vp8].iter());
        assert!(playing.is_barred());
    }

    #[test]
    fn a_group_that_is_too_long_is_not_kept() {
        let mut playing = Playing::default();
        playing.begin([pictures(640)].iter());
        give(&mut playing, &[(0, unit(0, true))]);
        for n in 1..=MAX_UNITS as i64 {
            give(&mut playing, &[(0, unit(n, false))]);
        }
        assert_eq!(playing.overflows, 1);
        playing.join(7);
        assert_eq!(
            give(&mut playing, &[(0, unit(9_000, true))]),
            [(None, strings(&["0F", "0:9000"]))]
        );
    }
}
