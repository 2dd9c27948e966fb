//! What a source sends beside its media: cues for splicing, lines of text, timed metadata.

use std::collections::VecDeque;

use bytes::Bytes;
use roomtone_hls::{Packager, TextCue};
use roomtone_mpegts::Splice;

/// So many wait until it is known where their times are in the program; more and the oldest go, counted.
const MAX_HELD: usize = 64;

/// Something that a source sends beside its media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beside {
    /// A cue for splicing, in the times of the source.
    Cue(Splice),
    Line(Line),
    Tag(Tag),
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it is shown, in microseconds of the source.
    pub(crate) at_us: i64,
    /// Which language it is in, if it says so.
    pub(crate) language: Option<String>,
    /// Nothing: what was shown before is taken away.
    pub(crate) text: String,
}

/// Timed metadata: an ID3 tag, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    /// When it applies, in microseconds of the source.
    pub(crate) at_us: i64,
    pub(crate) data: Bytes,
}

/// Lines and tags that wait to be placed.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: VecDeque<Line>,
    tags: VecDeque<Tag>,
    /// Lines, and tags, that came too early.
    pub(super) lines_dropped: u64,
    pub(super) tags_dropped: u64,
}

/// Those that have their place in the program.
pub(super) struct Placed {
    lines: Vec<TextCue>,
    tags: Vec<(i64, Bytes)>,
}

impl Waiting {
    pub(super) fn push_line(&mut self, line: Line) {
        self.lines_dropped += push(&mut self.lines, line);
    }

    pub(super) fn push_tag(&mut self, tag: Tag) {
        self.tags_dropped += push(&mut self.tags, tag);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.tags.is_empty()
    }

    /// What has come; `offset_us` is where the program is at the zero of the source's time.
    pub(super) fn take(&mut self, offset_us: i64) -> Placed {
        let lines = self.lines.drain(..).map(|line| TextCue {
            language: line.language,
            start_us: offset_us + line.at_us,
            end_us: None,
            text: line.text,
        });
        let tags = self.tags.drain(..);
        Placed {
            lines: lines.collect(),
            tags: tags.map(|tag| (offset_us + tag.at_us, tag.data)).collect(),
        }
    }
}

impl Placed {
    /// Hand all over; what is refused is counted there.
    pub(super) fn give_to(self, packager: &mut Packager) {
        for line in self.lines {
            let _ = packager.handle_text(line);
        }
        for (at_us, data) in self.tags {
            packager.handle_id3(at_us, data);
        }
    }
}

/// How many had to go.
fn push<T>(held: &mut VecDeque<T>, one: T) -> u64 {
    let full = held.len() == MAX_HELD;
    if full {
        held.pop_front();
    }
    held.push_back(one);
    u64::from(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_than_there_is_place_for_and_the_newest_stay() {
        let mut waiting = Waiting::default();
        for at_us in 0..=MAX_HELD as i64 {
            waiting.push_line(Line {
                at_us,
                language: None,
                text: String::new(),
            });
            waiting.push_tag(Tag {
                at_us,
                data: Bytes::new(),
            });
        }
        assert_eq!((waiting.lines_dropped, waiting.tags_dropped), (1, 1));
        let placed = waiting.take(1_000);
        assert_eq!(placed.lines.len(), MAX_HELD);
        assert_eq!((placed.lines[0].start_us, placed.tags[0].0), (1_001, 1_001));
    }
}
