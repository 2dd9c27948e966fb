//! Live streams: playlists, segments and parts out of memory (RFC 8216bis).
//!
//! `/live/NAME/index.m3u8` is the multivariant playlist, `/live/NAME/TRACK/index.m3u8` a media playlist, and beside it
//! lie its segments, parts and headers. What does not exist yet is waited for, at most three target durations.

mod response;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Response};
use roomtone_hls::{Channel, DirectiveError, Directives, MediaAnswer, PlaylistAnswer, Shelf};

use self::response::Reply;
use crate::body::ResponseBody;
use crate::refusal::Refusal;
use crate::stats::Stats;

const PREFIX: &str = "/live/";
const INDEX: &str = "index.m3u8";
/// How long is waited for a stream that has not said how long its segments are.
const FIRST_PLAYLIST: Duration = Duration::from_secs(12);
const DEFAULT_TARGET_S: u32 = 4;

/// The streams that can be watched here.
pub(crate) struct Live {
    shelf: Arc<Shelf>,
}

/// What of a request matters here; its body does not.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// Decoded.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

/// What of a stream is asked for.
enum Wanted<'a> {
    Master,
    Media { track: &'a str },
    File { track: &'a str, file: &'a str },
}

impl Live {
    pub(crate) fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf }
    }

    /// The response, or `None` where the path is of no stream there is.
    pub(crate) async fn serve(
        &self,
        asked: Asked<'_>,
        id: &HeaderValue,
        stats: &Stats,
    ) -> Option<Response<ResponseBody>> {
        let (name, wanted) = parse(asked.path)?;
        let channel = self.shelf.get(name)?;
        let reply = match *asked.method {
            Method::OPTIONS => return Some(response::preflight()),
            Method::GET | Method::HEAD => answer(&channel, &wanted, asked.query, stats).await,
            _ => Err(Refusal::MethodNotAllowed),
        };
        let refused = |refusal: Refusal| {
            refusal.count(stats);
            response::refused(refusal.response(id))
        };
        Some(reply.map_or_else(refused, |reply| reply.respond(asked.method, asked.headers)))
    }
}

fn parse(path: &str) -> Option<(&str, Wanted<'_>)> {
    let (name, rest) = path.strip_prefix(PREFIX)?.split_once('/')?;
    let wanted = match rest.split_once('/') {
        None if rest == INDEX => Wanted::Master,
        Some((track, file)) if file == INDEX => Wanted::Media { track },
        Some((track, file)) => Wanted::File { track, file },
        None => return None,
    };
    Some((name, wanted))
}

async fn answer(
    channel: &Channel,
    wanted: &Wanted<'_>,
    query: Option<&str>,
    stats: &Stats,
) -> Result<Reply, Refusal> {
    let directives = Directives::parse(query.unwrap_or_default()).map_err(bad_request)?;
    let (mut version, mut reply, target_s) = look(channel, wanted, directives)?;
    if reply.is_none() {
        stats.live_waits.increment();
    }
    let patience = target_s.map_or(FIRST_PLAYLIST, |target| {
        Duration::from_secs(3 * u64::from(target))
    });
    let give_up = tokio::time::sleep(patience);
    tokio::pin!(give_up);
    loop {
        if let Some(reply) = reply {
            return Ok(reply);
        }
        tokio::select! {
            changed = channel.changed_since(version) => changed.map_err(|_| Refusal::LiveWait)?,
            () = &mut give_up => return Err(Refusal::LiveWait),
        }
        (version, reply, _) = look(channel, wanted, directives)?;
    }
}

/// What there is to say now, if anything, with the version that it was true for and the target duration.
type Seen = (u64, Option<Reply>, Option<u32>);

fn look(channel: &Channel, wanted: &Wanted<'_>, directives: Directives) -> Result<Seen, Refusal> {
    channel.with(|packager| {
        let target = packager.cadence().map(|cadence| cadence.target_duration_s);
        let reply = match wanted {
            Wanted::Master => packager.master().map(Reply::playlist),
            Wanted::Media { track } => match packager.playlist(track, directives) {
                PlaylistAnswer::Ready(playlist) if directives.wanted.is_some() => Some(
                    Reply::blocking_playlist(playlist, target.unwrap_or(DEFAULT_TARGET_S)),
                ),
                PlaylistAnswer::Ready(playlist) => Some(Reply::playlist(playlist)),
                PlaylistAnswer::Wait => None,
                PlaylistAnswer::Unknown => return Err(Refusal::NotFound),
                PlaylistAnswer::Refused(error) => return Err(bad_request(error)),
            },
            Wanted::File { track, file } => match packager.media(track, file) {
                MediaAnswer::Ready(bodies) => Some(Reply::media(bodies, file)),
                MediaAnswer::Key(key) => Some(Reply::Key(key)),
                MediaAnswer::Wait => None,
                MediaAnswer::Unknown => return Err(Refusal::NotFound),
            },
        };
        Ok((packager.version(), reply, target))
    })
}

fn bad_request(error: DirectiveError) -> Refusal {
    Refusal::BadRequest(match error {
        DirectiveError::NotANumber => "a delivery directive is not a whole number",
        DirectiveError::PartAlone => "_HLS_part stands without _HLS_msn",
        DirectiveError::UnknownSkip => "_HLS_skip is neither YES nor v2",
        DirectiveError::TooFar => "the playlist asked for is too far in the future",
    })
}
