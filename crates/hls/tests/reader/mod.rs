//! A reader that knows the rules: parses media playlists and holds each against the one before.

use std::collections::BTreeMap;

use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use roomtone_hls::{Directives, MediaAnswer, Packager, PlaylistAnswer};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Part {
    pub uri: String,
    pub duration: f64,
    pub independent: bool,
    pub gap: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Segment {
    pub number: u64,
    pub uri: String,
    pub duration: f64,
    pub date_time: String,
    pub map: String,
    /// What decrypts it, if it is encrypted.
    pub key: Option<String>,
    /// Samples are, and not the whole.
    pub by_samples: bool,
    pub discontinuity: bool,
    pub gap: bool,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Media {
    /// Whether the last key is one of samples.
    pub by_samples: bool,
    pub text: String,
    pub target: f64,
    pub part_target: f64,
    pub hold_back: f64,
    pub skip_until: Option<f64>,
    pub first: u64,
    pub discontinuity_sequence: u64,
    pub skipped: u64,
    /// The last is the open one where it has parts and no name.
    pub segments: Vec<Segment>,
    pub hints: Vec<String>,
    pub reports: Vec<(String, u64, u64)>,
    pub ranges: Vec<String>,
    pub ended: bool,
}

pub(crate) fn ready(packager: &mut Packager, name: &str, query: &str) -> Option<Media> {
    match packager.playlist(name, Directives::parse(query).unwrap()) {
        PlaylistAnswer::Ready(playlist) => {
            Some(parse(std::str::from_utf8(&playlist.text).unwrap()))
        }
        PlaylistAnswer::Wait => None,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn fetch(packager: &Packager, name: &str, uri: &str) -> Option<Vec<u8>> {
    match packager.media(name, uri) {
        MediaAnswer::Ready(bodies) => Some(bodies.concat()),
        MediaAnswer::Key(key) => Some(key.to_vec()),
        MediaAnswer::Wait => None,
        MediaAnswer::Stored(stored) => panic!("{name}/{uri} is in {stored:?}"),
        MediaAnswer::Unknown => panic!("{name}/{uri} is unknown"),
    }
}

fn attributes(line: &str) -> BTreeMap<String, String> {
    let list = line.split_once(':').map_or("", |(_, list)| list);
    list.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

pub(crate) fn parse(text: &str) -> Media {
    let mut media = Media {
        text: text.to_owned(),
        ..Media::default()
    };
    let mut open = Segment::default();
    let mut map = String::new();
    let mut key = None;
    for line in text.lines() {
        let of = attributes(line);
        let number = |key: &str| of.get(key).map(|value| value.parse::<f64>().unwrap());
        let value = line.split_once(':').map_or("", |(_, value)| value);
        match line.split(':').next().unwrap() {
            "#EXT-X-TARGETDURATION" => media.target = value.parse().unwrap(),
            "#EXT-X-PART-INF" => media.part_target = number("PART-TARGET").unwrap(),
            "#EXT-X-SERVER-CONTROL" => {
                assert_eq!(of["CAN-BLOCK-RELOAD"], "YES");
                media.hold_back = number("PART-HOLD-BACK").unwrap();
                media.skip_until = number("CAN-SKIP-UNTIL");
            }
            "#EXT-X-MEDIA-SEQUENCE" => media.first = value.parse().unwrap(),
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                media.discontinuity_sequence = value.parse().unwrap();
            }
            "#EXT-X-SKIP" => media.skipped = number("SKIPPED-SEGMENTS").unwrap() as u64,
            "#EXT-X-MAP" => {
                assert_eq!(key, None, "a key before a header is its key: {text}");
                map.clone_from(&of["URI"]);
            }
            "#EXT-X-KEY" => {
                key = (of["METHOD"] != "NONE").then(|| {
                    media.by_samples = of["METHOD"] == "SAMPLE-AES";
                    assert!(media.by_samples || of["METHOD"] == "AES-128");
                    assert_eq!(of.contains_key("IV"), media.by_samples);
                    of["URI"].clone()
                });
            }
            "#EXT-X-DISCONTINUITY" => open.discontinuity = true,
            "#EXT-X-PROGRAM-DATE-TIME" => value.clone_into(&mut open.date_time),
            "#EXT-X-GAP" => open.gap = true,
            "#EXT-X-PART" => open.parts.push(Part {
                uri: of["URI"].clone(),
                duration: number("DURATION").unwrap(),
                independent: of.contains_key("INDEPENDENT"),
                gap: of.contains_key("GAP"),
            }),
            "#EXTINF" => open.duration = value.trim_end_matches(',').parse().unwrap(),
            "#EXT-X-PRELOAD-HINT" => media.hints.push(of["URI"].clone()),
            "#EXT-X-RENDITION-REPORT" => {
                media.reports.push((
                    of["URI"].clone(),
                    number("LAST-MSN").unwrap() as u64,
                    number("LAST-PART").unwrap() as u64,
                ));
            }
            "#EXT-X-ENDLIST" => media.ended = true,
            "#EXT-X-DATERANGE" => media.ranges.push(line.to_owned()),
            "#EXTM3U" | "#EXT-X-VERSION" => {}
            uri if !uri.starts_with('#') => {
                uri.clone_into(&mut open.uri);
                open.map.clone_from(&map);
                open.key.clone_from(&key);
                open.by_samples = media.by_samples;
                media.segments.push(std::mem::take(&mut open));
            }
            other => panic!("unknown tag {other}"),
        }
    }
    if !open.parts.is_empty() {
        (open.map, open.key) = (map, key);
        open.by_samples = media.by_samples;
        media.segments.push(open);
    }
    for (place, segment) in media.segments.iter_mut().enumerate() {
        segment.number = media.first + media.skipped + place as u64;
    }
    media
}

/// Holds every playlist of a rendition against the rules, and against the one before.
#[derive(Default)]
pub(crate) struct Rules {
    last: Option<Media>,
    pub checked: u64,
}

impl Rules {
    /// Read the playlist as it is, if there is one.
    pub(crate) fn look(&mut self, packager: &mut Packager, name: &str) {
        let Some(media) = ready(packager, name, "") else {
            return;
        };
        if self
            .last
            .as_ref()
            .is_some_and(|last| last.text == media.text)
        {
            return;
        }
        self.checked += 1;
        within(&media);
        if let Some(last) = &self.last {
            across(last, &media);
        }
        let newest = media.segments.last().map(|newest| newest.number);
        let before = self
            .last
            .as_ref()
            .and_then(|last| last.segments.last())
            .map(|newest| newest.number);
        for segment in media
            .segments
            .iter()
            .rev()
            .take(if newest == before { 0 } else { 2 })
        {
            if segment.map.is_empty() {
                documents(packager, name, segment);
            } else {
                assert!(fetch(packager, name, &segment.map).is_some());
                bodies(packager, name, segment);
            }
        }
        self.last = Some(media);
    }

    pub(crate) fn last(&self) -> &Media {
        self.last.as_ref().unwrap()
    }
}

/// What belongs to the segment of a number, decrypted where it is encrypted; each alone (rule 49).
pub(crate) fn clear(packager: &Packager, name: &str, segment: &Segment, uri: &str) -> Vec<u8> {
    let mut bytes = fetch(packager, name, uri).unwrap();
    let Some(key) = segment.key.as_ref().filter(|_| !segment.by_samples) else {
        return bytes;
    };
    let key = fetch(packager, name, key).unwrap();
    let key = UnboundCipherKey::new(&AES_128, &key).unwrap();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).unwrap();
    let vector = FixedLength::from(u128::from(segment.number).to_be_bytes());
    let vector = DecryptionContext::Iv128(vector);
    key.decrypt(&mut bytes, vector).unwrap().to_vec()
}

/// Text without a header: each part, and the whole, is a document that says where its times are.
fn documents(packager: &Packager, name: &str, segment: &Segment) {
    let parts = segment.parts.iter().map(|part| &part.uri);
    let whole = Some(&segment.uri).filter(|uri| !uri.is_empty());
    for uri in parts.chain(whole) {
        assert_eq!(uri.rsplit('.').next(), Some("vtt"), "{uri}");
        let document = clear(packager, name, segment, uri);
        assert!(document.starts_with(b"WEBVTT\nX-TIMESTAMP-MAP="), "{uri}");
    }
}

/// Parts of a finished parent are its bytes (rule 15).
fn bodies(packager: &Packager, name: &str, segment: &Segment) {
    if segment.parts.iter().all(|part| part.gap) {
        return;
    }
    let there = segment.parts.iter().filter(|part| !part.gap);
    let parts: Vec<u8> = there
        .flat_map(|part| clear(packager, name, segment, &part.uri))
        .collect();
    assert!(!parts.is_empty());
    assert_eq!(parts[4..8], *b"moof");
    if !segment.uri.is_empty() {
        assert_eq!(clear(packager, name, segment, &segment.uri), parts);
    }
}

/// Rules that one playlist keeps alone: 2, 3, 5, 6, 9, 10, 12, 36.
fn within(media: &Media) {
    let text = &media.text;
    assert!(media.hold_back >= 3.0 * media.part_target - 1e-9, "{text}");
    assert!(
        media
            .skip_until
            .is_none_or(|until| until >= 6.0 * media.target),
        "{text}"
    );
    for segment in &media.segments {
        assert!(
            segment.duration.round() <= media.target,
            "{} in {text}",
            segment.duration
        );
        assert!(!segment.date_time.is_empty(), "{text}");
        for (at, part) in segment.parts.iter().enumerate() {
            assert!(
                part.duration <= media.part_target + 1e-9,
                "{} in {text}",
                part.duration
            );
            // Of a whole segment, whether another is listed behind it yet or not.
            let last = at + 1 == segment.parts.len() && !segment.uri.is_empty() || media.ended;
            let before_gap = segment.parts.get(at + 1).is_some_and(|next| next.gap);
            let short = part.duration < 0.85 * media.part_target;
            assert!(
                !short || last || before_gap || part.independent || part.gap,
                "{} in {text}",
                part.duration
            );
        }
        let listed: f64 = segment.parts.iter().map(|part| part.duration).sum();
        assert!(
            segment.parts.is_empty()
                || segment.duration == 0.0
                || (listed - segment.duration).abs() < 1e-3,
            "{text}"
        );
    }
    assert_eq!(media.hints.len(), usize::from(!media.ended), "{text}");
}

/// Rules over time: 1, 5, 11, 14, 24, 36.
fn across(last: &Media, media: &Media) {
    assert_eq!(
        (last.target, last.part_target, last.hold_back),
        (media.target, media.part_target, media.hold_back)
    );
    let removed = media.first - last.first;
    let gone = &last.segments[..removed as usize];
    let discontinuities = gone.iter().filter(|segment| segment.discontinuity).count() as u64;
    assert_eq!(
        media.discontinuity_sequence,
        last.discontinuity_sequence + discontinuities
    );
    if removed > 0 {
        let listed: f64 = media.segments.iter().map(length).sum();
        assert!(
            listed >= 3.0 * media.target - 1e-6,
            "{listed} is too short: {}",
            media.text
        );
    }
    for old in &last.segments[removed as usize..] {
        let new = &media.segments[(old.number - media.first) as usize];
        assert_eq!((&old.date_time, &old.map), (&new.date_time, &new.map));
        if !old.uri.is_empty() {
            assert_eq!((&old.uri, old.duration), (&new.uri, new.duration));
        }
        for (before, after) in old.parts.iter().zip(&new.parts) {
            assert_eq!(before, after);
        }
        let far = media
            .segments
            .iter()
            .filter(|one| one.number > old.number)
            .map(length)
            .sum::<f64>();
        assert!(
            new.parts.len() >= old.parts.len() || far > 3.0 * media.target,
            "parts left early: {}",
            media.text
        );
    }
    // What was hinted at is what came next, or nothing came.
    let hinted = &last.hints[..];
    let parts = |media: &Media| {
        media
            .segments
            .iter()
            .flat_map(|one| one.parts.clone())
            .map(|part| part.uri)
            .collect::<Vec<_>>()
    };
    let (old, new) = (parts(last), parts(media));
    if let Some(next) = new
        .iter()
        .position(|uri| Some(uri) == old.last())
        .and_then(|at| new.get(at + 1))
    {
        assert_eq!(hinted, std::slice::from_ref(next));
    }
}

pub(crate) fn length(segment: &Segment) -> f64 {
    if segment.duration > 0.0 {
        segment.duration
    } else {
        segment.parts.iter().map(|part| part.duration).sum()
    }
}
