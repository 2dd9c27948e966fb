//! Playlists as text: the whole, and the delta that leaves out what a client has (section 6.2.5.1).

use std::fmt::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::date_ranges::DateRanges;
use crate::encryption::EncryptionMethod;
use crate::list::{List, Medium};
use crate::rows::Rows;
use crate::segment::Segment;
use crate::squeezed::{self, Known};

/// One state of a playlist; the same bytes serve all who ask for it.
#[derive(Debug, Clone)]
pub struct Playlist {
    /// As it is.
    pub text: Bytes,
    /// Names this state among all of this stream.
    pub tag: String,
    /// What of it is compressed already.
    known: Vec<Known>,
    /// Compressed once somebody takes it so, by whoever asks first, while nobody else is held up.
    gzip: OnceLock<Bytes>,
}

impl PartialEq for Playlist {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.tag) == (&other.text, &other.tag)
    }
}

impl Eq for Playlist {}

impl Playlist {
    pub(crate) fn new(text: String, known: Vec<Known>, tag: String) -> Self {
        Self {
            text: text.into(),
            tag,
            known,
            gzip: OnceLock::new(),
        }
    }

    /// Compressed by gzip.
    pub fn gzip(&self) -> &Bytes {
        self.gzip
            .get_or_init(|| squeezed::gzip(&self.text, &self.known))
    }
}

/// What a media playlist says of another (section 4.4.5.4).
pub(crate) struct Report {
    pub uri: String,
    pub segment: u64,
    pub part: u64,
}

/// What all media playlists of a presentation share.
pub(crate) struct Shared<'a> {
    /// Goes before every name, so that a cache never mixes two lives of a stream.
    pub run: &'a str,
    /// Wall clock at the zero of the program, in microseconds since 1970.
    pub zero_us: i64,
    /// The hold-back of all renditions (section 4.4.3.8).
    pub part_hold_back_us: u64,
    /// Spans of time that are told of.
    pub ranges: &'a DateRanges,
}

/// Write about all segments that list no parts any more, once for all playlists.
pub(crate) fn write_rows(rows: &mut Rows, list: &List, shared: &Shared<'_>) {
    let segments = &list.window.segments;
    let mut place = rows.len();
    while let Some(segment) = segments.get(place)
        && behind(list, segment) > tail(list)
    {
        rows.write(|out| {
            let before = place.checked_sub(1).and_then(|before| segments.get(before));
            let mut writer = Writer::behind(before, out, list, shared);
            writer.segment_head(segment);
            writer.segment_tail(segment);
            writer.out
        });
        place = rows.len();
    }
}

/// Write a media playlist, and say what of it is compressed already; with `skip` older segments are left out where any
/// may be.
pub(crate) fn media_playlist(
    list: &List,
    shared: &Shared<'_>,
    reports: &[Report],
    skip: bool,
) -> (String, Vec<Known>) {
    let mut known = Vec::new();
    let (segments, rows) = (&list.window.segments, &list.window.rows);
    let skipped = if skip { skippable(list) } else { 0 };
    let space = if skipped > 0 {
        0
    } else {
        rows.behind_first().len()
    };
    let out = String::with_capacity(space + 4096);
    let mut writer = Writer::behind(None, out, list, shared);
    writer.head(skipped);
    if skipped > 0 && list.ciphers.differ() {
        // Who has what is left out may take its key for that of what follows.
        writer.key = Some(NO_KEY);
    }
    let mut next = skipped;
    while let Some(segment) = segments.get(next) {
        writer.segment_head(segment);
        if behind(list, segment) <= tail(list) {
            writer.parts(segment);
        }
        writer.segment_tail(segment);
        next += 1;
        if next == 1 && rows.len() > 1 {
            known = rows.known(writer.out.len());
            writer.out.push_str(rows.behind_first());
            next = rows.len();
            writer = Writer::behind(segments.get(next - 1), writer.out, list, shared);
        }
    }
    if list.ended {
        writer.line(format_args!("#EXT-X-ENDLIST"));
    } else {
        if !list.open.parts.is_empty() {
            writer.segment_head(&list.open);
            writer.parts(&list.open);
        }
        let hint = part_name(shared.run, list.next_part(), list.medium);
        writer.line(format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\""));
    }
    for report in reports {
        let Report { uri, segment, part } = report;
        writer.line(format_args!(
            "#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={segment},LAST-PART={part}"
        ));
    }
    (writer.out, known)
}

/// How many segments end further from the end of the playlist than the skip boundary.
fn skippable(list: &List) -> usize {
    if list.ended || !offers_skip(list) {
        return 0;
    }
    let boundary = list.ticks(list.cadence.skip_until_us());
    let segments = &list.window.segments;
    segments.partition_point(|segment| behind(list, segment) > boundary)
}

/// How much is listed behind a segment, in ticks; what a clock jumped over is not.
fn behind(list: &List, segment: &Segment) -> u64 {
    list.open.listed_to() - segment.listed_to()
}

/// So far from the end parts are listed, in ticks.
fn tail(list: &List) -> u64 {
    3 * list.ticks(list.cadence.target_us())
}

/// A window that never outgrows the boundary has nothing to skip.
fn offers_skip(list: &List) -> bool {
    list.window_us() > list.cadence.skip_until_us()
}

pub(crate) fn segment_name(run: &str, number: u64, medium: Medium) -> String {
    format!("{run}-s{number}.{}", medium.extension())
}

pub(crate) fn part_name(run: &str, number: u64, medium: Medium) -> String {
    format!("{run}-p{number}.{}", medium.extension())
}

pub(crate) fn map_name(run: &str, number: u32) -> String {
    format!("{run}-i{number}.mp4")
}

pub(crate) fn key_name(run: &str, number: u64) -> String {
    format!("{run}-k{number}.key")
}

/// The number of a key that is none of this list.
const NO_KEY: u64 = u64::MAX;

struct Writer<'a> {
    out: String,
    list: &'a List,
    shared: &'a Shared<'a>,
    /// The map in force, and the number of the key.
    map: Option<u32>,
    key: Option<u64>,
}

impl<'a> Writer<'a> {
    /// One that goes on behind a segment.
    fn behind(
        before: Option<&Segment>,
        out: String,
        list: &'a List,
        shared: &'a Shared<'a>,
    ) -> Self {
        let ciphers = &list.ciphers;
        let key_of = |segment: &Segment| Some(ciphers.of(segment.number)?.key_of(segment.number));
        Self {
            out,
            list,
            shared,
            map: before.map(|segment| segment.map),
            key: before.and_then(key_of),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.out, "{line}");
    }

    fn head(&mut self, skipped: usize) {
        let list = self.list;
        let cadence = list.cadence;
        self.line(format_args!("#EXTM3U\n#EXT-X-VERSION:9"));
        self.line(format_args!(
            "#EXT-X-TARGETDURATION:{}",
            cadence.target_duration_s
        ));
        let skip = if offers_skip(list) {
            format!(",CAN-SKIP-UNTIL={:.1}", micros(cadence.skip_until_us()))
        } else {
            String::new()
        };
        let hold_back = micros(self.shared.part_hold_back_us);
        self.line(format_args!(
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back:.3}{skip}"
        ));
        self.line(format_args!(
            "#EXT-X-PART-INF:PART-TARGET={:.3}",
            micros(cadence.part_target_us)
        ));
        let first = list.first_listed();
        self.line(format_args!("#EXT-X-MEDIA-SEQUENCE:{}", first.number));
        let discontinuities = list.window.discontinuity_sequence;
        if discontinuities > 0 {
            self.line(format_args!(
                "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}"
            ));
        }
        if skipped > 0 {
            self.line(format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
        }
        // Deltas tell of all of them: clients are not offered to leave any out.
        let listed_us = list.us(first.start);
        let zero_us = self.shared.zero_us;
        self.shared.ranges.write(&mut self.out, listed_us, zero_us);
    }

    fn segment_head(&mut self, segment: &Segment) {
        if segment.discontinuity {
            self.line(format_args!("#EXT-X-DISCONTINUITY"));
        }
        if !self.list.maps.is_empty() && self.map != Some(segment.map) {
            self.map = Some(segment.map);
            // A key that stands before a header is its key, too; headers are not encrypted.
            if self.key.take().is_some() {
                self.line(format_args!("#EXT-X-KEY:METHOD=NONE"));
            }
            let map = map_name(self.shared.run, segment.map);
            self.line(format_args!("#EXT-X-MAP:URI=\"{map}\""));
        }
        self.key_of(segment);
        let at = self.shared.zero_us + self.list.us(segment.start + segment.shown_after);
        self.line(format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", date_time(at)));
    }

    fn key_of(&mut self, segment: &Segment) {
        let Some(encryption) = self.list.ciphers.of(segment.number) else {
            if self.key.take().is_some() {
                self.line(format_args!("#EXT-X-KEY:METHOD=NONE"));
            }
            return;
        };
        let number = encryption.key_of(segment.number);
        if self.key == Some(number) {
            return;
        }
        let name = key_name(self.shared.run, number);
        let vector = u128::from_be_bytes(encryption.vector);
        match encryption.method {
            EncryptionMethod::Aes128 => {
                self.line(format_args!("#EXT-X-KEY:METHOD=AES-128,URI=\"{name}\""));
            }
            EncryptionMethod::SampleAes => self.line(format_args!(
                "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"{name}\",IV=0x{vector:032x}"
            )),
        }
        self.key = Some(number);
    }

    fn parts(&mut self, segment: &Segment) {
        let digits = self.list.medium.digits();
        for part in &segment.parts {
            let duration = self.seconds(part.duration);
            let name = part_name(self.shared.run, part.number, self.list.medium);
            let independent = if part.independent {
                ",INDEPENDENT=YES"
            } else {
                ""
            };
            let gap = if part.body.is_none() { ",GAP=YES" } else { "" };
            self.line(format_args!(
                "#EXT-X-PART:DURATION={duration:.digits$},URI=\"{name}\"{independent}{gap}"
            ));
        }
    }

    fn segment_tail(&mut self, segment: &Segment) {
        if segment.is_gap() {
            self.line(format_args!("#EXT-X-GAP"));
        }
        let digits = self.list.medium.digits();
        let duration = self.seconds(segment.duration());
        let name = segment_name(self.shared.run, segment.number, self.list.medium);
        self.line(format_args!("#EXTINF:{duration:.digits$},\n{name}"));
    }

    fn seconds(&self, ticks: u64) -> f64 {
        self.list.seconds(ticks)
    }
}

fn micros(us: u64) -> f64 {
    us as f64 / 1e6
}

/// ISO 8601 in UTC, to the millisecond, of microseconds since 1970.
pub(crate) fn date_time(us: i64) -> String {
    let ms = us.div_euclid(1000);
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second, milli) = (
        in_day / 3_600_000,
        in_day / 60_000 % 60,
        in_day / 1000 % 60,
        in_day % 1000,
    );
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Days since 1970 as a date: years begin in March, so that the leap day is their last.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097; // days in 400 years
    let days = days + 719_468; // since 1 March of the year 0
    let (era, in_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date_time(951_782_400_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(date_time(1_764_374_399_999_000), "2025-11-28T23:59:59.999Z");
        assert_eq!(date_time(4_107_542_400_000_000), "2100-03-01T00:00:00.000Z");
    }
}
