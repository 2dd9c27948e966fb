//! Headers and bodies of what is sent of a live stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, LOCATION, VARY,
};
use hyper::{Method, Response, StatusCode};
use roomtone_hls::{Playlist, Stored};

use crate::body::{self, ResponseBody};
use crate::conditions::{self, Part};
use crate::file_body::FileBody;
use crate::refusal::Refusal;
use crate::stats::Stats;

/// A piece of a body is at most this long, so that nothing urgent waits behind it on one connection.
const PIECE: usize = 64 << 10;
/// Target durations for which an answer that was waited for may be kept (section 6.2.5.2 allows three to twelve).
const BLOCKING_TARGETS: u32 = 6;

/// What is to be sent.
pub(super) enum Reply {
    Playlist {
        playlist: Arc<Playlist>,
        max_age_s: u32,
    },
    Media {
        source: Source,
        tag: String,
        kind: &'static str,
    },
    Key(Bytes),
}

/// Where media comes from.
pub(super) enum Source {
    Memory(Vec<Bytes>),
    /// What has left memory, before it is opened.
    Stored(Stored),
    File {
        file: File,
        len: u64,
    },
}

impl Source {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bodies) => bodies.iter().map(|body| body.len() as u64).sum(),
            Self::Stored(stored) => stored.bytes(),
            Self::File { len, .. } => *len,
        }
    }

    /// The bytes from `first` up to `end`; none of what was not opened.
    fn body(self, first: u64, end: u64) -> ResponseBody {
        match self {
            Self::Memory(bodies) => Pieces::cut(bodies, first, end)
                .map_err(|never| match never {})
                .boxed_unsync(),
            Self::File { file, .. } => FileBody::new(file, first, end - first).boxed_unsync(),
            Self::Stored(_) => body::empty(),
        }
    }
}

impl Reply {
    pub(super) fn playlist(playlist: Arc<Playlist>) -> Self {
        Self::Playlist {
            playlist,
            max_age_s: 1,
        }
    }

    pub(super) fn blocking_playlist(playlist: Arc<Playlist>, target_s: u32) -> Self {
        Self::Playlist {
            playlist,
            max_age_s: BLOCKING_TARGETS * target_s,
        }
    }

    pub(super) fn media(source: Source, file: &str) -> Self {
        Self::Media {
            source,
            tag: format!("\"{file}\""),
            kind: kind_of(file),
        }
    }

    /// Opens the file, where there is one: it can be read to its end from then on, also when it is thrown away.
    pub(super) async fn open(self, stats: &Stats) -> Result<Self, Refusal> {
        let Self::Media {
            source: Source::Stored(stored),
            tag,
            kind,
        } = self
        else {
            return Ok(self);
        };
        let opening = tokio::task::spawn_blocking(move || {
            File::open(stored.path()).map(|file| Source::File {
                file,
                len: stored.bytes(),
            })
        });
        if let Ok(Ok(source)) = opening.await {
            stats.live_stored.increment();
            Ok(Self::Media { source, tag, kind })
        } else {
            stats.live_stored_unreadable.increment();
            Err(Refusal::FileUnreadable)
        }
    }

    pub(super) fn respond(self, method: &Method, asked: &HeaderMap) -> Response<ResponseBody> {
        match self {
            Self::Playlist {
                playlist,
                max_age_s,
            } => send_playlist(&playlist, max_age_s, method, asked),
            Self::Media { source, tag, kind } => send_media(source, (&tag, kind), method, asked),
            Self::Key(key) => send_key(key, method),
        }
    }
}

/// The answer to a browser that asks whether it may ask.
pub(super) fn preflight() -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    allow_origins(headers);
    set(headers, ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    set(
        headers,
        ACCESS_CONTROL_ALLOW_HEADERS,
        "Range, If-None-Match, If-Range, Authorization, Content-Type",
    );
    set(headers, ACCESS_CONTROL_MAX_AGE, "86400");
    response
}

/// Sends who has a grant already to where it opens.
pub(super) fn go_on(name: &str, grant: &str) -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    allow_origins(headers);
    set(headers, CACHE_CONTROL, "no-store");
    set_text(
        headers,
        LOCATION,
        format!("/live/{name}/~{grant}/index.m3u8"),
    );
    response
}

/// A refusal that pages of other origins may read, and that no cache keeps for long.
pub(super) fn refused(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    allow_origins(response.headers_mut());
    set(response.headers_mut(), CACHE_CONTROL, "max-age=1");
    response
}

/// Ranges of a playlist are ignored: it may be another by the next request.
fn send_playlist(
    playlist: &Playlist,
    max_age_s: u32,
    method: &Method,
    asked: &HeaderMap,
) -> Response<ResponseBody> {
    let zipped = takes_gzip(asked);
    let tag = format!("\"{}{}\"", playlist.tag, if zipped { "-gz" } else { "" });
    let mut response = Response::new(body::empty());
    let headers = response.headers_mut();
    allow_origins(headers);
    set(headers, VARY, "Accept-Encoding");
    set_text(headers, CACHE_CONTROL, format!("max-age={max_age_s}"));
    set_text(headers, ETAG, tag.clone());
    if conditions::is_not_modified(asked, &tag, None) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    set(headers, CONTENT_TYPE, "application/vnd.apple.mpegurl");
    let bytes = if zipped {
        playlist.gzip()
    } else {
        &playlist.text
    };
    if zipped {
        set(headers, CONTENT_ENCODING, "gzip");
    }
    headers.insert(CONTENT_LENGTH, bytes.len().into());
    if method == Method::GET {
        *response.body_mut() = Full::new(bytes.clone())
            .map_err(|never| match never {})
            .boxed_unsync();
    }
    response
}

/// What a file of a list is: of MP4, or a document of text.
fn kind_of(file: &str) -> &'static str {
    match file.rsplit_once('.') {
        Some((_, "vtt")) => "text/vtt",
        _ => "video/mp4",
    }
}

fn send_media(
    source: Source,
    (tag, kind): (&str, &'static str),
    method: &Method,
    asked: &HeaderMap,
) -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    let headers = response.headers_mut();
    allow_origins(headers);
    // A name is used once in the life of the server and of the stream: what it names never changes.
    set(headers, CACHE_CONTROL, "max-age=3600, immutable");
    set_text(headers, ETAG, tag.to_owned());
    set(headers, ACCEPT_RANGES, "bytes");
    if conditions::is_not_modified(asked, tag, None) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let len = source.len();
    let (first, end) = match conditions::part(asked, tag, len) {
        Part::Whole => (0, len),
        Part::Range { first, last } => {
            set_text(
                headers,
                CONTENT_RANGE,
                format!("bytes {first}-{last}/{len}"),
            );
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (first, last + 1)
        }
        Part::Unsatisfiable => {
            set_text(headers, CONTENT_RANGE, format!("bytes */{len}"));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return response;
        }
    };
    set(response.headers_mut(), CONTENT_TYPE, kind);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, (end - first).into());
    if method == Method::GET {
        *response.body_mut() = source.body(first, end);
    }
    response
}

/// No cache keeps a key: it would give it to those who may not watch.
fn send_key(key: Bytes, method: &Method) -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    let headers = response.headers_mut();
    allow_origins(headers);
    set(headers, CACHE_CONTROL, "no-store");
    set(headers, CONTENT_TYPE, "application/octet-stream");
    headers.insert(CONTENT_LENGTH, key.len().into());
    if method == Method::GET {
        *response.body_mut() = Full::new(key)
            .map_err(|never| match never {})
            .boxed_unsync();
    }
    response
}

fn allow_origins(headers: &mut HeaderMap) {
    set(headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        headers,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        "Age, Date, ETag, Content-Length, Content-Range",
    );
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    asked
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.parse() == Ok(0.0));
            matches!(name.trim(), "gzip" | "*") && !refused
        })
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn set_text(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// A body of known length, in pieces of what is in memory anyway.
struct Pieces {
    bodies: VecDeque<Bytes>,
    left: u64,
}

impl Pieces {
    /// The bytes from `first` up to `end` of all bodies, one after the other.
    fn cut(bodies: Vec<Bytes>, first: u64, end: u64) -> Self {
        let mut at = 0;
        let mut kept = VecDeque::with_capacity(bodies.len());
        for body in bodies {
            let len = body.len() as u64;
            let (from, to) = (first.clamp(at, at + len) - at, end.clamp(at, at + len) - at);
            if from < to {
                kept.push_back(body.slice(from as usize..to as usize));
            }
            at += len;
        }
        Self {
            bodies: kept,
            left: end - first,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(front) = self.bodies.front_mut() else {
            return Poll::Ready(None);
        };
        let piece = front.split_to(front.len().min(PIECE));
        if front.is_empty() {
            self.bodies.pop_front();
        }
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bodies.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_range_over_several_bodies_is_cut_to_the_byte() {
        let bodies = vec![
            Bytes::from_static(b"0123"),
            Bytes::from_static(b"4567"),
            Bytes::from_static(b"89"),
        ];
        for (first, end, expected) in [
            (0, 10, "0123456789"),
            (2, 9, "2345678"),
            (4, 8, "4567"),
            (9, 10, "9"),
        ] {
            let pieces = Pieces::cut(bodies.clone(), first, end);
            assert_eq!(pieces.size_hint().exact(), Some(end - first));
            assert_eq!(pieces.collect().await.unwrap().to_bytes(), expected);
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (text, takes) in [
            ("gzip, br", true),
            ("br;q=1, *", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            assert_eq!(takes_gzip(&headers), takes, "{text}");
        }
    }
}
