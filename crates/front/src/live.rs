//! Live streams: playlists, segments and parts out of memory, old segments from disk (RFC 8216bis).
//!
//! `/live/NAME/index.m3u8` is the multivariant playlist, `/live/NAME/TRACK/index.m3u8` a media playlist, and beside it
//! lie its segments, parts and headers. What does not exist yet is waited for, at most three target durations.

//!
//! Who may not read a stream without a grant begins at `/live/NAME/index.m3u8` with a token, which the application
//! checks; it answers with a redirect to `/live/NAME/~GRANT/index.m3u8`. What is below is checked here alone. All
//! addresses in playlists are relative, so that the bytes are the same for all.

mod audience;
mod grant;
mod response;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Response};
use roomtone_hls::{Channel, DirectiveError, Directives, Held, MediaAnswer, PlaylistAnswer, Shelf};

use self::audience::{Asking, Audience};
pub use self::audience::{KickError, Viewer};
use self::grant::{Grant, GrantError, Grants};
use self::response::{Reply, Source};
use crate::body::ResponseBody;
use crate::config::{FrontConfig, LiveConfig};
use crate::error::FrontError;
use crate::refusal::Refusal;
use crate::stats::Stats;

const PREFIX: &str = "/live/";
const INDEX: &str = "index.m3u8";
/// How long is waited for a stream that has not said how long its segments are.
const FIRST_PLAYLIST: Duration = Duration::from_secs(12);
const DEFAULT_TARGET_S: u32 = 4;

/// What carries the grant to who comes again.
const COOKIE_NAME: &str = "roomtone-live";

/// The streams that can be watched here.
pub(crate) struct Live {
    shelf: Arc<Shelf>,
    public: bool,
    open_to_loopback: bool,
    grants: Grants,
    audience: Audience,
}

/// What of a request matters here; its body does not.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// Decoded.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    /// Of the client.
    pub(crate) address: IpAddr,
}

/// A path taken apart.
struct Place<'a> {
    name: &'a str,
    grant: Option<&'a str>,
    wanted: Wanted<'a>,
}

/// Who is to decide.
enum Entry {
    /// Nobody: it may.
    May(Option<Grant>),
    /// It has shown a grant before, and shall go on there.
    Again(String),
    /// The application.
    Ask,
}

/// What of a stream is asked for.
enum Wanted<'a> {
    Master,
    Media { track: &'a str },
    File { track: &'a str, file: &'a str },
}

impl Live {
    pub(crate) fn new(shelf: Arc<Shelf>, config: &FrontConfig) -> Result<Self, FrontError> {
        let LiveConfig {
            public,
            open_to_loopback,
            grant_key,
        } = &config.live;
        Ok(Self {
            shelf,
            public: *public,
            open_to_loopback: *open_to_loopback,
            grants: Grants::new(grant_key).map_err(|why| FrontError::BadConfig(why.into()))?,
            audience: Audience::new(config.limits.max_viewers),
        })
    }

    /// The response, or `None` where the path is of no stream there is, or the application decides.
    pub(crate) async fn serve(
        &self,
        asked: Asked<'_>,
        id: &HeaderValue,
        stats: &Stats,
    ) -> Option<Response<ResponseBody>> {
        let place = parse(asked.path)?;
        let refused = |refusal: Refusal| {
            refusal.count(stats);
            response::refused(refusal.response(id))
        };
        if *asked.method == Method::OPTIONS {
            return Some(response::preflight());
        }
        if !matches!(*asked.method, Method::GET | Method::HEAD) {
            return Some(refused(Refusal::MethodNotAllowed));
        }
        let now_ms = since_epoch_ms();
        let grant = match self.enter(&place, asked, now_ms / 1000) {
            Ok(Entry::May(grant)) => grant,
            Ok(Entry::Again(grant)) => return Some(response::go_on(place.name, &grant)),
            Ok(Entry::Ask) => return None,
            Err(refusal) => return Some(refused(refusal)),
        };
        let channel = self.shelf.get(place.name)?;
        let asking = Asking {
            stream: place.name,
            grant,
            address: asked.address,
            agent: asked
                .headers
                .get(USER_AGENT)
                .map_or(b"", HeaderValue::as_bytes),
        };
        let is_playlist = !matches!(place.wanted, Wanted::File { .. });
        if let Err(refusal) = self.audience.admit(asking, is_playlist, now_ms, stats) {
            return Some(refused(refusal));
        }
        let reply = match answer(&channel, &place.wanted, asked.query, stats).await {
            Ok(reply) => reply.open(stats).await,
            Err(refusal) => Err(refusal),
        };
        Some(reply.map_or_else(refused, |reply| reply.respond(asked.method, asked.headers)))
    }

    /// Who watches a stream now.
    pub(crate) fn viewers(&self, name: &str, stats: &Stats) -> Vec<Viewer> {
        self.audience.list(name, since_epoch_ms(), stats)
    }

    /// How many watch each stream.
    pub(crate) fn audience(&self, stats: &Stats) -> HashMap<String, u64> {
        self.audience.counts(since_epoch_ms(), stats)
    }

    /// The last keyframe of a stream.
    pub(crate) fn keyframe(&self, name: &str) -> Option<Bytes> {
        let channel = self.shelf.get(name)?;
        // What cannot be written was not packaged either.
        channel.with(|packager| packager.keyframe()).ok().flatten()
    }

    /// What is in memory of a stream, and how many requests wait for it.
    pub(crate) fn held(&self, name: &str) -> Option<(Vec<Held>, u64)> {
        let channel = self.shelf.get(name)?;
        let held = channel.with(|packager| packager.held());
        Some((held, channel.waiting() as u64))
    }

    /// Sends a viewer of a stream away.
    pub(crate) fn kick(&self, name: &str, id: u64, stats: &Stats) -> Result<Viewer, KickError> {
        self.audience.kick(name, id, since_epoch_ms(), stats)
    }

    /// Forgets viewers that have gone, so that their number is right.
    pub(crate) fn settle(&self, stats: &Stats) {
        self.audience.sweep(since_epoch_ms(), stats);
    }

    fn enter(&self, place: &Place<'_>, asked: Asked<'_>, now_s: u64) -> Result<Entry, Refusal> {
        if let Some(text) = place.grant {
            return match self.grants.check(place.name, text, now_s) {
                Ok(grant) => Ok(Entry::May(Some(grant))),
                Err(GrantError::Expired) => Err(Refusal::GrantExpired),
                Err(GrantError::Foreign) => Err(Refusal::GrantForeign),
            };
        }
        let is_master = matches!(place.wanted, Wanted::Master);
        // What is shown is checked, also where nothing has to be.
        if is_master && shows_credential(asked) {
            return Ok(Entry::Ask);
        }
        if self.public || self.open_to_loopback && asked.address.is_loopback() {
            return Ok(Entry::May(None));
        }
        if !is_master {
            return Err(Refusal::GrantMissing);
        }
        let again = cookies(asked.headers)
            .find(|text| self.grants.check(place.name, text, now_s).is_ok())
            .map(|text| Entry::Again(text.to_owned()));
        Ok(again.unwrap_or(Entry::Ask))
    }
}

fn since_epoch_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

fn shows_credential(asked: Asked<'_>) -> bool {
    let query = asked.query.unwrap_or_default();
    asked.headers.contains_key(AUTHORIZATION)
        || query.split('&').any(|pair| pair.starts_with("token="))
}

/// Grants in the request's cookies.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| {
            pair.trim()
                .strip_prefix(COOKIE_NAME)
                .and_then(|rest| rest.strip_prefix('='))
        })
}

fn parse(path: &str) -> Option<Place<'_>> {
    let (name, rest) = path.strip_prefix(PREFIX)?.split_once('/')?;
    let (grant, rest) = match rest.strip_prefix(grant::MARK) {
        Some(granted) => {
            let (grant, rest) = granted.split_once('/')?;
            (Some(grant), rest)
        }
        None => (None, rest),
    };
    let wanted = match rest.split_once('/') {
        None if rest == INDEX => Wanted::Master,
        Some((track, file)) if file == INDEX => Wanted::Media { track },
        Some((track, file)) => Wanted::File { track, file },
        None => return None,
    };
    Some(Place {
        name,
        grant,
        wanted,
    })
}

async fn answer(
    channel: &Arc<Channel>,
    wanted: &Wanted<'_>,
    query: Option<&str>,
    stats: &Stats,
) -> Result<Reply, Refusal> {
    let directives = Directives::parse(query.unwrap_or_default()).map_err(bad_request)?;
    let (mut seen, target_s) = look(channel, wanted, directives)?;
    if seen.reply.is_none() {
        stats.live_waits.increment();
    }
    let patience = target_s.map_or(FIRST_PLAYLIST, |target| {
        Duration::from_secs(3 * u64::from(target))
    });
    let give_up = tokio::time::sleep(patience);
    tokio::pin!(give_up);
    loop {
        if let Some(reply) = seen.reply {
            return Ok(reply);
        }
        // All who wait are woken from here, at once.
        if let Some(herald) = channel.herald() {
            tokio::spawn(herald);
        }
        tokio::select! {
            changed = channel.changed_since(seen.version, seen.track) => changed.map_err(|_| Refusal::LiveWait)?,
            () = &mut give_up => return Err(Refusal::LiveWait),
        }
        (seen, _) = look(channel, wanted, directives)?;
    }
}

/// What there is to say now, if anything.
struct Seen {
    reply: Option<Reply>,
    /// The version that this was true for.
    version: u64,
    /// The track that has to change before there is something else to say; none: any.
    track: Option<usize>,
}

/// Looks for an answer; gives the target duration, too.
fn look(
    channel: &Channel,
    wanted: &Wanted<'_>,
    directives: Directives,
) -> Result<(Seen, Option<u32>), Refusal> {
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
                MediaAnswer::Ready(bodies) => Some(Reply::media(Source::Memory(bodies), file)),
                MediaAnswer::Stored(stored) => Some(Reply::media(Source::Stored(stored), file)),
                MediaAnswer::Key(key) => Some(Reply::Key(key)),
                MediaAnswer::Wait => None,
                MediaAnswer::Unknown => return Err(Refusal::NotFound),
            },
        };
        let track = match wanted {
            Wanted::Media { track } | Wanted::File { track, .. } if reply.is_none() => {
                packager.track(track)
            }
            _ => None,
        };
        let seen = Seen {
            reply,
            version: packager.version(),
            track,
        };
        Ok((seen, target))
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
