//! Subtitles as a rendition (section 4.4.6.1): a list of documents that goes along with the leading one.
//!
//! Lines come when somebody says something, which a list cannot wait for: it lists as many parts as the leading rendition,
//! of the same lengths, in segments of the same numbers, whether there is anything in them or not.

use bytes::Bytes;

use crate::boxes::BoxError;
use crate::encryption::Encryption;
use crate::list::{List, Medium};
use crate::script::{Script, TextCue, TextRefused};
use crate::segment::Segment;

/// Languages of one program.
pub(crate) const MAX_LANGUAGES: usize = 8;
/// Of a tag of BCP 47.
const MAX_TAG: usize = 35;

/// Lines of one language.
pub(crate) struct Subtitles {
    pub list: List,
    /// As the lines have it.
    pub language: Option<String>,
    pub script: Script,
}

impl Subtitles {
    /// A list that goes along from the leading one's open segment on.
    pub(crate) fn new(
        name: String,
        language: Option<String>,
        lead: &List,
        encryption: Option<Encryption>,
    ) -> Self {
        let mut list = List::new(
            name,
            Medium::Text,
            (lead.rate, lead.open.start),
            lead.cadence,
            lead.window_us(),
            whole_only(encryption),
        );
        list.begin_beside(lead);
        Self {
            list,
            language,
            script: Script::default(),
        }
    }

    /// Take a line.
    pub(crate) fn take(&mut self, cue: &TextCue) -> Result<(), TextRefused> {
        let open_us = self.shown_us(self.list.open.start);
        let end_us = self.shown_us(self.list.part_start);
        self.script.push(cue, open_us, end_us)
    }

    /// List what the leading list has listed since.
    pub(crate) fn follow(&mut self, lead: &List) -> Result<(), BoxError> {
        while self.list.open.number < lead.open.number {
            let Some(segment) = lead.window.segment(self.list.open.number) else {
                // It is gone before it was met: what is in between is in no list any more.
                self.list.begin_beside(lead);
                break;
            };
            self.go_along(segment)?;
            self.cut()?;
        }
        self.go_along(&lead.open)?;
        if lead.ended && !self.list.ended {
            self.list.ended = true;
        }
        Ok(())
    }

    /// From this segment on, or the first behind it that is begun, encrypt by another.
    pub(crate) fn change_encryption(&mut self, since: u64, encryption: Option<Encryption>) {
        self.list.ciphers.change(since, whole_only(encryption));
    }

    /// List the parts of the leading list's segment that are not listed here.
    fn go_along(&mut self, with: &Segment) -> Result<(), BoxError> {
        let list = &mut self.list;
        let there = list.open.parts.len();
        if there == 0 {
            list.open.start = with.start;
            list.part_start = with.start;
        }
        list.open.shown_after = with.shown_after;
        list.open.discontinuity = with.discontinuity;
        for part in with.parts.iter().skip(there) {
            let from = self.list.part_start;
            let body = self.document(from, from + part.duration as i64);
            let number = self.list.open.number;
            let body = match self.list.ciphers.open() {
                Some(encryption) => encryption.seal(number, &[&body[..]])?,
                None => body,
            };
            self.list.push(part.duration, true, Some(body), None);
        }
        Ok(())
    }

    /// Begin the next segment. The one before is a document of its own: several in a row are none.
    fn cut(&mut self) -> Result<(), BoxError> {
        let whole = self.document(self.list.open.start, self.list.part_start);
        let mut done = self.list.turn_over();
        done.replace_whole(match self.list.ciphers.open() {
            Some(encryption) => encryption.seal(done.number, &[&whole[..]])?,
            None => whole,
        });
        let next = self.list.open.number;
        self.list.ciphers.begin(next)?;
        self.list.complete(done);
        self.script
            .forget_before(self.shown_us(self.list.open.start));
        Ok(())
    }

    /// What is shown between two times of the list, in ticks.
    fn document(&self, from: i64, to: i64) -> Bytes {
        self.script.document(self.shown_us(from), self.shown_us(to))
    }

    /// When what is decoded at this tick is shown, in microseconds of the program.
    fn shown_us(&self, tick: i64) -> i64 {
        self.list.us(tick + self.list.open.shown_after)
    }
}

/// There are no samples in text that could be encrypted each for itself: such lists have it in the clear.
fn whole_only(encryption: Option<Encryption>) -> Option<Encryption> {
    encryption.filter(|one| !one.is_by_samples())
}

/// Whether this is a tag of BCP 47 as it may stand in a list: subtags of letters and digits.
pub fn is_language(tag: &str) -> bool {
    let is_subtag = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    tag.len() <= MAX_TAG && tag.split('-').all(is_subtag)
}
