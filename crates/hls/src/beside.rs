//! What goes along with a program beside its tracks: lines of text, which are renditions of their own, and tags.

use bytes::Bytes;

use crate::boxes::BoxError;
use crate::packager::{Cached, Packager};
use crate::script::{TextCue, TextRefused};
use crate::subtitles::{MAX_LANGUAGES, Subtitles, is_language};
use crate::tags::TagFigures;

/// Lines of text, and tags, that wait for the first playlist.
const MAX_EARLY: usize = 64;

/// What a packager has of them.
#[derive(Default)]
pub(crate) struct Beside {
    /// A list of each language; their places are behind those of tracks.
    pub subtitles: Vec<Subtitles>,
    /// Lines, and tags, that came before the first playlist.
    early: Vec<TextCue>,
    early_tags: Vec<(i64, Bytes)>,
    /// Of tags, those of renditions not counted.
    tags_dropped: u64,
    /// Of lines, those that made way for others not counted.
    text: TextFigures,
}

/// What became of lines of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextFigures {
    /// That came.
    pub lines: u64,
    /// That were over when they came.
    pub late: u64,
    /// That there was no place for.
    pub dropped: u64,
}

impl TextFigures {
    fn note(&mut self, taken: Result<(), TextRefused>) {
        match taken {
            Ok(()) => {}
            Err(TextRefused::Late) => self.late += 1,
            Err(_) => self.dropped += 1,
        }
    }
}

impl Packager {
    /// Take a line of text. Its language is a rendition from its first line on: players that have read the multivariant
    /// playlist before do not know it yet. What is refused is counted.
    pub fn handle_text(&mut self, cue: TextCue) -> Result<(), TextRefused> {
        self.beside.text.lines += 1;
        let taken = if self.gathering.is_none() {
            self.place_text(&cue)
        } else if self.beside.early.len() < MAX_EARLY {
            self.beside.early.push(cue);
            Ok(())
        } else {
            Err(TextRefused::Early)
        };
        self.beside.text.note(taken);
        taken
    }

    /// Take an ID3 tag that applies at this time, in microseconds of the program: it stands in the part of its time, of all
    /// video, or of all sound where there is none.
    pub fn handle_id3(&mut self, at_us: i64, data: Bytes) {
        if self.gathering.is_none() {
            self.place_tag(at_us, &data);
        } else if self.beside.early_tags.len() < MAX_EARLY {
            self.beside.early_tags.push((at_us, data));
        } else {
            self.beside.tags_dropped += 1;
        }
    }

    /// What became of tags; one that stands in several renditions is counted once.
    pub fn tag_figures(&self) -> TagFigures {
        let lead = self.renditions.get(self.lead);
        let figures = lead.map(|one| one.tags.figures).unwrap_or_default();
        TagFigures {
            dropped: figures.dropped + self.beside.tags_dropped,
            ..figures
        }
    }

    fn place_tag(&mut self, at_us: i64, data: &Bytes) {
        let has_video = self.renditions.iter().any(|one| one.format.is_video());
        for one in &mut self.renditions {
            if one.format.is_video() || !has_video {
                one.tags.push(at_us, data.clone());
            }
        }
    }

    /// When the newest that is listed is shown, in microseconds of the program; none before the first playlist.
    pub fn newest_us(&self) -> Option<i64> {
        let lead = self.renditions.get(self.lead)?;
        Some(lead.us(lead.part_start + lead.open.shown_after))
    }

    /// Put a line into the list of its language, or begin one.
    fn place_text(&mut self, cue: &TextCue) -> Result<(), TextRefused> {
        let language = cue.language.clone().filter(|tag| is_language(tag));
        let mut known = self.beside.subtitles.iter_mut();
        if let Some(text) = known.find(|one| one.language == language) {
            return text.take(cue);
        }
        let lead = self.renditions.get(self.lead).filter(|one| !one.ended);
        let lead = lead.ok_or(TextRefused::Ended)?;
        let number = self.beside.subtitles.len() + 1;
        if number > MAX_LANGUAGES {
            return Err(TextRefused::TooManyLanguages);
        }
        let name = self.free_name(number);
        let encryption = self.encryption.clone();
        let mut text = Subtitles::new(name, language, &lead.list, encryption);
        text.take(cue)?;
        self.beside.subtitles.push(text);
        self.cache.push(Cached::default());
        self.version += 1;
        Ok(())
    }

    /// A folder that no other list has.
    fn free_name(&self, number: usize) -> String {
        let wished = format!("text{number}");
        let is_taken = self.lists().any(|one| one.name == wished);
        if is_taken {
            format!("{wished}s")
        } else {
            wished
        }
    }

    /// Lists of text go along with the leading one.
    pub(crate) fn follow_with_text(&mut self) -> Result<(), BoxError> {
        let Some(lead) = self.renditions.get(self.lead) else {
            return Ok(());
        };
        for text in &mut self.beside.subtitles {
            text.follow(&lead.list)?;
        }
        let tracks = self.renditions.len();
        for at in tracks..tracks + self.beside.subtitles.len() {
            self.write_rows(at);
        }
        Ok(())
    }

    /// What became of lines of text.
    pub fn text_figures(&self) -> TextFigures {
        let scripts = self.beside.subtitles.iter().map(|one| &one.script);
        scripts.fold(self.beside.text, |sum, script| TextFigures {
            dropped: sum.dropped + script.dropped,
            ..sum
        })
    }

    /// What came before the first playlist.
    pub(crate) fn place_early(&mut self) {
        for cue in std::mem::take(&mut self.beside.early) {
            let taken = self.place_text(&cue);
            self.beside.text.note(taken);
        }
        for (at_us, data) in std::mem::take(&mut self.beside.early_tags) {
            self.place_tag(at_us, &data);
        }
    }
}
