//! What is said in a stream, line by line, and documents of it for spans of time (WebVTT, section 3.1.4 of RFC 8216bis).
//!
//! Who sends lines seldom says when they end: such a line stays until the next one comes, or has been there for as long as
//! it takes to read. A document tells of it only as far as its own span goes, and the next one goes on.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::Bytes;
use thiserror::Error;

/// A line that nothing follows is shown for so long, by its length.
const READING_US: std::ops::RangeInclusive<i64> = 2_000_000..=7_000_000;
/// A character takes so long to be read.
const CHARACTER_US: i64 = 1_000_000 / 15;
/// Lines that are not over; more and the oldest go, counted.
const MAX_LINES: usize = 256;
/// Bytes of a line; a longer one is refused.
pub(crate) const MAX_TEXT: usize = 4096;
/// A line is not kept for longer than this until its time comes.
const MAX_AHEAD_US: i64 = 60_000_000;

/// A line of text that is shown with a program (a cue of WebVTT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextCue {
    /// Which language it is in, by its tag of BCP 47; lines of one language are one rendition.
    pub language: Option<String>,
    /// When it is shown, in microseconds of the program.
    pub start_us: i64,
    /// When it is taken away; none: nobody knows yet.
    pub end_us: Option<i64>,
    /// What it says; nothing: what was shown before is taken away.
    pub text: String,
}

/// Why nobody will see a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextRefused {
    /// It is longer than 4,096 bytes.
    #[error("a line of text has up to 4096 bytes")]
    TooLong,
    /// It was over before it came.
    #[error("the line was over before it came")]
    Late,
    /// Its time is too far off, or too many wait for the first playlist.
    #[error("the line came too early")]
    Early,
    /// There are eight languages already.
    #[error("a stream has up to 8 languages")]
    TooManyLanguages,
    /// No more is listed.
    #[error("the stream has ended")]
    Ended,
}

struct Line {
    start_us: i64,
    end_us: Option<i64>,
    text: String,
}

/// Lines of one language in the order of their times.
#[derive(Default)]
pub(crate) struct Script {
    lines: VecDeque<Line>,
    /// Lines that made way for others.
    pub dropped: u64,
}

impl Script {
    /// Take a line; `open_us` is where the segment begins that is made now, `end_us` how far the list has come.
    pub(crate) fn push(
        &mut self,
        cue: &TextCue,
        open_us: i64,
        end_us: i64,
    ) -> Result<(), TextRefused> {
        let text = tidied(&cue.text);
        if cue.text.len() > MAX_TEXT {
            return Err(TextRefused::TooLong);
        }
        if cue.start_us > end_us + MAX_AHEAD_US {
            return Err(TextRefused::Early);
        }
        let line = Line {
            start_us: cue.start_us,
            end_us: cue.end_us,
            text,
        };
        if line.until_us() <= open_us {
            return Err(TextRefused::Late);
        }
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
        let start_us = line.start_us;
        let place = self.lines.partition_point(|one| one.start_us <= start_us);
        self.lines.insert(place, line);
        Ok(())
    }

    /// What is shown between two times, as a document of its own.
    pub(crate) fn document(&self, from_us: i64, to_us: i64) -> Bytes {
        let from_ms = from_us.max(0) / 1000;
        let mut out = format!(
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{},LOCAL:{}\n",
            (from_ms * 90) & MPEGTS_MASK,
            Time(from_ms * 1000)
        );
        for (place, line) in self.lines.iter().enumerate() {
            let (start_us, until_us) = match line.end_us {
                // The total time of one that is known (section 3.1.4).
                Some(end_us) => (line.start_us, end_us),
                None => (
                    line.start_us.max(from_us),
                    self.until_us(place, line).min(to_us),
                ),
            };
            let is_shown = start_us < to_us && until_us > from_us;
            if is_shown && until_us - start_us >= 1000 && !line.text.is_empty() {
                // Writing to a string does not fail.
                let _ = write!(
                    out,
                    "\n{} --> {}\n{}\n",
                    Time(start_us),
                    Time(until_us),
                    line.text
                );
            }
        }
        out.into()
    }

    /// Lines that end before this are not shown any more.
    pub(crate) fn forget_before(&mut self, us: i64) {
        while let Some(first) = self.lines.front()
            && self.until_us(0, first) <= us
        {
            self.lines.pop_front();
        }
    }

    /// When a line is taken away: one whose end nobody said, when the next comes.
    fn until_us(&self, place: usize, line: &Line) -> i64 {
        let next = self.lines.get(place + 1).map(|next| next.start_us);
        match (line.end_us, next) {
            (None, Some(next)) => line.until_us().min(next),
            _ => line.until_us(),
        }
    }
}

impl Line {
    /// When it is taken away if nothing follows.
    fn until_us(&self) -> i64 {
        let reading_us = || {
            let us = self.text.chars().count() as i64 * CHARACTER_US;
            us.clamp(*READING_US.start(), *READING_US.end())
        };
        self.end_us
            .unwrap_or_else(|| self.start_us.saturating_add(reading_us()))
    }
}

/// Clocks of MPEG-TS have 33 bits.
const MPEGTS_MASK: i64 = (1 << 33) - 1;

/// Text as it may stand in a cue: an empty line would end it, and signs of markup are no text.
fn tidied(text: &str) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let text = lines.join("\n").replace('\0', "");
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

/// A time in microseconds, as WebVTT writes it.
struct Time(i64);

impl std::fmt::Display for Time {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0.max(0) / 1000;
        let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
        let (seconds, ms) = (ms / 1000 % 60, ms % 1000);
        write!(out, "{hours:02}:{minutes:02}:{seconds:02}.{ms:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start_ms: i64, end_ms: Option<i64>, text: &str) -> TextCue {
        TextCue {
            language: None,
            start_us: start_ms * 1000,
            end_us: end_ms.map(|ms| ms * 1000),
            text: text.to_owned(),
        }
    }

    fn script(lines: impl IntoIterator<Item = TextCue>) -> Script {
        let mut script = Script::default();
        for line in lines {
            script.push(&line, 0, 0).unwrap();
        }
        script
    }

    /// Cues of a document: times and text.
    fn cues(script: &Script, from_ms: i64, to_ms: i64) -> Vec<String> {
        let document = script.document(from_ms * 1000, to_ms * 1000);
        let document = String::from_utf8(document.to_vec()).unwrap();
        let (head, rest) = document.split_once("\n\n").unwrap_or((&document, ""));
        assert!(head.starts_with("WEBVTT\nX-TIMESTAMP-MAP="), "{head}");
        let cues = rest.split("\n\n").filter(|cue| !cue.is_empty());
        cues.map(|cue| cue.trim_end().to_owned()).collect()
    }

    #[test]
    fn a_line_whose_end_is_known_is_told_whole_wherever_it_is_shown() {
        let script = script([line(1500, Some(5250), "over the cut")]);
        let told = ["00:00:01.500 --> 00:00:05.250\nover the cut"];
        assert_eq!(cues(&script, 0, 4000), told);
        assert_eq!(cues(&script, 4000, 8000), told);
        assert!(cues(&script, 0, 1500).is_empty());
        assert!(cues(&script, 5250, 8000).is_empty());
    }

    #[test]
    fn a_line_without_an_end_stays_until_the_next_or_as_long_as_it_takes_to_read() {
        let long = "a".repeat(60);
        let lines = [line(1000, None, "one"), line(2500, None, &long)];
        let script = script(lines);
        assert_eq!(
            cues(&script, 0, 4000),
            [
                "00:00:01.000 --> 00:00:02.500\none".to_owned(),
                format!("00:00:02.500 --> 00:00:04.000\n{long}"),
            ]
        );
        // 60 characters take 4 s.
        let rest = format!("00:00:04.000 --> 00:00:06.499\n{long}");
        assert_eq!(cues(&script, 4000, 8000), [rest]);
        assert!(cues(&script, 8000, 12_000).is_empty());
    }

    #[test]
    fn nothing_takes_away_what_was_shown() {
        let script = script([line(1000, None, "one"), line(1800, None, " \n ")]);
        assert_eq!(
            cues(&script, 0, 4000),
            ["00:00:01.000 --> 00:00:01.800\none"]
        );
    }

    #[test]
    fn text_cannot_end_its_cue_or_be_taken_for_markup() {
        let text = "Tom & <Jerry>\r\n\r\n1 --> 2\n";
        let script = script([line(0, Some(1000), text)]);
        let told = "00:00:00.000 --> 00:00:01.000\nTom &amp; &lt;Jerry&gt;\n1 --&gt; 2";
        assert_eq!(cues(&script, 0, 1000), [told]);
    }

    #[test]
    fn times_are_tied_to_a_clock_of_33_bits() {
        let day = 30 * 3_600_000_i64;
        let document = Script::default().document(day * 1000, day * 1000 + 1);
        let expected = format!(
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{},LOCAL:30:00:00.000\n",
            day * 90 - (1 << 33)
        );
        assert_eq!(document, expected);
    }

    #[test]
    fn lines_come_in_any_order_and_what_is_over_is_counted() {
        let mut script = script([line(3000, Some(3500), "b"), line(1000, Some(2000), "a")]);
        let starts = cues(&script, 0, 4000).into_iter();
        let starts: Vec<String> = starts.map(|cue| cue[..12].to_owned()).collect();
        assert_eq!(starts, ["00:00:01.000", "00:00:03.000"]);
        script.forget_before(2_000_000);
        assert_eq!(script.lines.len(), 1);
        let over = script.push(&line(1000, Some(4000), "over"), 4_000_000, 4_300_000);
        assert_eq!((over, script.lines.len()), (Err(TextRefused::Late), 1));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut script = script((0..=MAX_LINES as i64).map(|at| line(at, Some(9000), "x")));
        assert_eq!((script.lines.len(), script.dropped), (MAX_LINES, 1));
        let long = script.push(&line(0, None, &"x".repeat(MAX_TEXT + 1)), 0, 0);
        let far = script.push(&line(61_000, None, "far"), 0, 0);
        assert_eq!(
            (long, far),
            (Err(TextRefused::TooLong), Err(TextRefused::Early))
        );
        assert_eq!((script.lines.len(), script.dropped), (MAX_LINES, 1));
    }
}
