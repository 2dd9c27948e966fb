//! A stream written as tags of FLV for one who plays it by RTMP.
//!
//! A value without sockets: steps come in, tags go out as far as the connection takes them.

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format};
use roomtone_rtmp::{Media, TagWriter};

use super::writer::Figures;
use crate::live::Step;

/// A track as it is written.
struct Written {
    place: usize,
    format: Format,
    writer: TagWriter,
    /// Whether its header has gone.
    is_headed: bool,
}

/// A stream as it is written for one. Of each kind it has one track, the first.
#[derive(Default)]
pub(super) struct TagOutput {
    pub(super) figures: Figures,
    tracks: Vec<Written>,
    /// Something was sent, and nothing left out since the last keyframe.
    goes: bool,
    /// The time at which it begins.
    base: Option<u32>,
}

impl TagOutput {
    /// Take what is listed next; `send` says whether a tag found its place.
    pub(super) fn handle_steps(
        &mut self,
        steps: &[(usize, Step)],
        mut send: impl FnMut(Media, u32, Bytes) -> bool,
    ) {
        for (place, step) in steps {
            match step {
                Step::Format(format) => self.handle_format(*place, format),
                Step::Unit(unit) => self.handle_unit(*place, unit, &mut send),
                Step::Broken => {}
            }
        }
    }

    fn handle_format(&mut self, place: usize, format: &Format) {
        let written = Written {
            place,
            format: format.clone(),
            writer: TagWriter::new(format.clone()),
            is_headed: false,
        };
        match self.tracks.iter_mut().find(|one| one.place == place) {
            Some(known) if known.format == *format => {}
            Some(known) => *known = written,
            None => {
                let is_video = format.is_video();
                if self
                    .tracks
                    .iter()
                    .all(|one| one.format.is_video() != is_video)
                {
                    self.tracks.push(written);
                }
            }
        }
    }

    fn handle_unit(
        &mut self,
        place: usize,
        unit: &AccessUnit,
        send: &mut impl FnMut(Media, u32, Bytes) -> bool,
    ) {
        let has_video = self.tracks.iter().any(|one| one.format.is_video());
        let Some(track) = self.tracks.iter_mut().find(|one| one.place == place) else {
            self.figures.unwritable += 1;
            return;
        };
        let begins = unit.keyframe && (track.format.is_video() || !has_video);
        if !self.goes && !begins {
            // Sound before the first picture was not lost.
            self.figures.units_dropped += u64::from(self.figures.units > 0);
            return;
        }
        let (media, stamp) = (track.writer.media(), track.writer.timestamp(unit));
        let base = *self.base.get_or_insert(stamp);
        // Sound may lie before the picture that it begins with.
        let stamp = (stamp.wrapping_sub(base) as i32).max(0) as u32;
        let header = if track.is_headed {
            None
        } else {
            track.writer.header()
        };
        let mut sent = 0;
        let body = track.writer.unit(unit);
        let all_sent = header.into_iter().chain([body]).all(|body| {
            sent += body.len() as u64;
            send(media, stamp, body)
        });
        if all_sent {
            track.is_headed = true;
            self.goes = true;
            self.figures.units += 1;
            self.figures.packets += 1;
            self.figures.bytes += sent;
        } else {
            self.goes = false;
            self.figures.units_dropped += 1;
            self.figures.groups_dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use roomtone_frames::{AacFormat, OpusFormat};

    use super::*;

    /// Milliseconds are ticks of this.
    const TICKS: i64 = 48;

    fn sound(channels: u8) -> Step {
        Step::Format(Format::Opus(OpusFormat {
            channels,
            pre_skip: 0,
        }))
    }

    fn unit(n: u8, at_ms: i64) -> Step {
        Step::Unit(AccessUnit {
            dts: at_ms * TICKS,
            pts: at_ms * TICKS,
            keyframe: true,
            data: vec![n; 3].into(),
        })
    }

    #[test]
    fn a_header_goes_before_the_first_unit_and_again_where_the_format_changes() {
        let (mut output, mut got) = (TagOutput::default(), Vec::new());
        let steps = [
            (0, sound(2)),
            (0, unit(1, 1_000)),
            (0, sound(2)),
            (0, unit(2, 1_020)),
        ];
        output.handle_steps(&steps, |media, stamp, body| {
            got.push((media, stamp, body[0]));
            true
        });
        output.handle_steps(
            &[(0, sound(1)), (0, unit(3, 1_040))],
            |media, stamp, body| {
                got.push((media, stamp, body[0]));
                true
            },
        );
        let expected = [(0, 0x90), (0, 0x91), (20, 0x91), (40, 0x90), (40, 0x91)];
        let expected = expected.map(|(stamp, first)| (Media::Audio, stamp, first));
        assert_eq!(got, expected);
        assert_eq!((output.figures.units, output.figures.units_dropped), (3, 0));
    }

    #[test]
    fn who_does_not_keep_up_loses_what_comes_and_goes_on() {
        let (mut output, mut got) = (TagOutput::default(), Vec::new());
        output.handle_steps(&[(0, sound(2)), (0, unit(1, 0))], |_, _, _| true);
        output.handle_steps(&[(0, unit(2, 20))], |_, _, _| false);
        output.handle_steps(&[(0, unit(3, 40))], |_, stamp, body| {
            got.push((stamp, body[body.len() - 1]));
            true
        });
        assert_eq!(got, [(40, 3)]);
        let figures = output.figures;
        assert_eq!(
            (figures.units, figures.units_dropped, figures.groups_dropped),
            (2, 1, 1)
        );
    }

    #[test]
    fn a_second_track_of_a_kind_is_left_out_and_counted() {
        let mut output = TagOutput::default();
        let aac = Format::Aac(AacFormat {
            config: vec![0x11, 0x90].into(),
            sample_rate: 48_000,
            channels: 2,
        });
        let steps = [(0, sound(2)), (1, Step::Format(aac)), (1, unit(1, 0))];
        output.handle_steps(&steps, |_, _, _| panic!("nothing is sent"));
        assert_eq!((output.figures.units, output.figures.unwritable), (0, 1));
    }
}
