//! What is answered to whoever asks for a playlist or for media.

use std::sync::Arc;

use bytes::Bytes;

use crate::directives::{DirectiveError, Directives, Wanted};
use crate::list::{List, Medium};
use crate::packager::{Cached, Packager};
use crate::playlist::{Playlist, Report, Shared, media_playlist, write_rows};
use crate::segment::{Place, Segment};
use crate::stored::Stored;

/// What to answer for a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaylistAnswer {
    /// This.
    Ready(Arc<Playlist>),
    /// Nothing yet: ask again when [`Packager::version`] has risen.
    Wait,
    /// That there is no such playlist: 404.
    Unknown,
    /// That the request makes no sense: 400.
    Refused(DirectiveError),
}

/// What to answer for a segment, a part, a header or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaAnswer {
    /// These bytes, one after the other.
    Ready(Vec<Bytes>),
    /// What lies there, whole.
    Stored(Stored),
    /// The key that decrypts the others: for whoever may watch, and for no cache.
    Key(Bytes),
    /// Nothing yet: it is the part that was hinted at.
    Wait,
    /// That there is no such thing: 404.
    Unknown,
}

impl Packager {
    /// The playlist of a rendition, by its name.
    pub fn playlist(&mut self, name: &str, directives: Directives) -> PlaylistAnswer {
        if let Some(gathering) = &self.gathering {
            return if gathering.knows(name) {
                PlaylistAnswer::Wait
            } else {
                PlaylistAnswer::Unknown
            };
        }
        let Some((at, list)) = self.lists().enumerate().find(|(_, one)| one.name == name) else {
            return PlaylistAnswer::Unknown;
        };
        if !list.ended {
            // A list without anything in it is no legal playlist.
            if list.window.segments.is_empty() && list.open.parts.is_empty() {
                return PlaylistAnswer::Wait;
            }
            if let Some(wanted) = directives.wanted {
                if is_too_far(list, wanted) {
                    return PlaylistAnswer::Refused(DirectiveError::TooFar);
                }
                if !is_there(list, wanted) {
                    return PlaylistAnswer::Wait;
                }
            }
        }
        PlaylistAnswer::Ready(self.render(at, directives.skip))
    }

    /// A segment, part, header or key of a rendition, by its file name.
    pub fn media(&self, name: &str, file: &str) -> MediaAnswer {
        let found = self.lists().find(|one| one.name == name);
        let (Some(list), Some(file)) = (found, MediaName::parse(&self.config.run, file)) else {
            return MediaAnswer::Unknown;
        };
        match file {
            MediaName::Map(number) => match list.map(number) {
                Some(map) => MediaAnswer::Ready(vec![map.clone()]),
                None => MediaAnswer::Unknown,
            },
            MediaName::Key(number) => list
                .key(number)
                .map_or(MediaAnswer::Unknown, MediaAnswer::Key),
            MediaName::Segment(number, of) if of == list.medium => list
                .window
                .segment(number)
                .filter(|segment| !segment.is_gap())
                .map_or(MediaAnswer::Unknown, whole),
            MediaName::Part(number, of)
                if of == list.medium && number == list.next_part() && !list.ended =>
            {
                MediaAnswer::Wait
            }
            MediaName::Part(number, of) if of == list.medium => list
                .open
                .part(number)
                .or_else(|| list.window.part(number))
                .and_then(|part| part.body.clone())
                .map_or(MediaAnswer::Unknown, |body| MediaAnswer::Ready(vec![body])),
            MediaName::Segment(..) | MediaName::Part(..) => MediaAnswer::Unknown,
        }
    }

    fn render(&mut self, at: usize, skip: bool) -> Arc<Playlist> {
        let cached = &mut self.cache[at];
        if cached.version != self.version {
            *cached = Cached {
                version: self.version,
                ..Cached::default()
            };
        }
        let slot = if skip { &cached.delta } else { &cached.whole };
        if let Some(playlist) = slot {
            return Arc::clone(playlist);
        }
        self.write_rows(at);
        let shared = self.shared();
        let others = self.lists().enumerate().filter(|(other, _)| *other != at);
        let reports: Vec<Report> = others.filter_map(|(_, one)| report(one)).collect();
        let (text, known) = media_playlist(self.list(at), &shared, &reports, skip);
        let kind = if skip { "d" } else { "w" };
        let tag = format!("{}-{at}{kind}{}", self.config.run, self.version);
        let playlist = Arc::new(Playlist::new(text, known, tag));
        let slot = if skip {
            &mut self.cache[at].delta
        } else {
            &mut self.cache[at].whole
        };
        *slot = Some(Arc::clone(&playlist));
        playlist
    }

    /// What all playlists say.
    fn shared(&self) -> Shared<'_> {
        let hold_backs = self.renditions.iter();
        let hold_backs = hold_backs.map(|one| one.cadence.part_hold_back_us());
        Shared {
            run: &self.config.run,
            zero_us: self.config.zero_us,
            part_hold_back_us: hold_backs.max().unwrap_or(0),
            ranges: &self.ranges,
        }
    }

    /// Write once what lists say of segments whose parts they name no more.
    pub(crate) fn write_rows(&mut self, at: usize) {
        let mut rows = std::mem::take(&mut self.list_mut(at).window.rows);
        write_rows(&mut rows, self.list(at), &self.shared());
        self.list_mut(at).window.rows = rows;
    }
}

fn whole(segment: &Segment) -> MediaAnswer {
    match &segment.place {
        Place::Outside(stored) => MediaAnswer::Stored(stored.clone()),
        Place::Memory | Place::Leaving => MediaAnswer::Ready(segment.bodies().cloned().collect()),
    }
}

fn report(list: &List) -> Option<Report> {
    let last = Some(&list.open)
        .filter(|open| !open.parts.is_empty())
        .or_else(|| list.window.segments.back())?;
    let uri = format!("../{}/index.m3u8", list.name);
    Some(Report {
        uri,
        segment: last.number,
        part: last.parts.len() as u64 - 1,
    })
}

/// Rules of section 6.2.5.2: two segments ahead of the newest, or further in the open one than three seconds of parts.
fn is_too_far(list: &List, wanted: Wanted) -> bool {
    let open = &list.open;
    let newest = if open.parts.is_empty() {
        open.number.saturating_sub(1)
    } else {
        open.number
    };
    let part_us = list.cadence.part_target_us;
    let advance = if part_us < 1_000_000 {
        3_000_000u64.div_ceil(part_us)
    } else {
        3
    };
    let parts_there = match wanted.segment.cmp(&open.number) {
        std::cmp::Ordering::Less => return false,
        std::cmp::Ordering::Equal => open.parts.len() as u64,
        std::cmp::Ordering::Greater => 0,
    };
    wanted.segment > newest + 2
        || wanted
            .part
            .is_some_and(|part| part >= parts_there + advance)
}

/// Whether the playlist has what is wanted; a part behind the last of a segment is the first of the next.
fn is_there(list: &List, wanted: Wanted) -> bool {
    let open = &list.open;
    let Wanted { segment, part } = wanted;
    let Some(part) = part else {
        return segment < open.number;
    };
    if segment + 1 == open.number {
        let last = list
            .window
            .segments
            .back()
            .map_or(0, |last| last.parts.len() as u64);
        return part < last || !open.parts.is_empty();
    }
    segment < open.number || segment == open.number && part < open.parts.len() as u64
}

/// A file name, taken apart.
enum MediaName {
    Key(u64),
    Map(u32),
    Segment(u64, Medium),
    Part(u64, Medium),
}

impl MediaName {
    fn parse(run: &str, file: &str) -> Option<Self> {
        let rest = file.strip_prefix(run)?.strip_prefix('-')?;
        let (stem, extension) = rest.split_once('.')?;
        let number = |prefix: char| {
            let digits = stem.strip_prefix(prefix)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse::<u64>().ok())?
        };
        let media = |medium: Medium| {
            let segment = number('s').map(|number| Self::Segment(number, medium));
            segment.or_else(|| number('p').map(|number| Self::Part(number, medium)))
        };
        match extension {
            "key" => number('k').map(Self::Key),
            "mp4" => number('i')
                .and_then(|number| u32::try_from(number).ok())
                .map(Self::Map),
            _ => Medium::of(extension).and_then(media),
        }
    }
}
