//! Live streams over HTTP.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::{Request, StatusCode};
use roomtone_frames::{AccessUnit, Format, OpusFormat};
use roomtone_front::{Front, KickError, LiveConfig};
use roomtone_hls::{
    Channel, EncryptionConfig, EncryptionMethod, Packager, PackagerConfig, SECRET_BYTES, Shelf,
    Stored, Track,
};
use support::{Client, ReplyText, Setup, address, bounded, counter, eventually, full};

/// A stream of sound, and the clock of whoever feeds it.
struct Stream {
    front: Front,
    channel: Arc<Channel>,
    begun: Instant,
    frames: i64,
    _setup: Setup,
}

impl Stream {
    /// Plays for so many seconds before anybody asks.
    fn start(seconds: i64) -> Self {
        Self::start_with(seconds, None)
    }

    /// The same, encrypted by a key.
    fn start_with(seconds: i64, encryption: Option<EncryptionConfig>) -> Self {
        Self::start_by(seconds, encryption, LiveConfig::default())
    }

    /// The same, for those whom the configuration lets.
    fn start_by(seconds: i64, encryption: Option<EncryptionConfig>, live: LiveConfig) -> Self {
        let mut setup = Setup::new();
        setup.config.live = live;
        let shelf = Arc::new(Shelf::default());
        let config = PackagerConfig {
            run: "r".into(),
            part_us: None,
            window_us: 60_000_000,
            zero_us: 0,
        };
        let format = Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 0,
        });
        let track = Track {
            name: "audio".into(),
            format,
        };
        let mut packager = Packager::new(config, vec![track]);
        if let Some(encryption) = &encryption {
            assert!(packager.encrypt(encryption).unwrap());
        }
        let channel = Arc::new(Channel::new(packager));
        shelf.put("tone".into(), Arc::clone(&channel));
        let front = Front::start_with(&setup.config, None, Some(shelf)).unwrap();
        let mut stream = Self {
            front,
            channel,
            begun: Instant::now(),
            frames: 0,
            _setup: setup,
        };
        stream.feed(seconds * 50);
        stream
    }

    fn feed(&mut self, frames: i64) {
        for _ in 0..frames {
            let dts = self.frames * 960;
            let now = self.begun + Duration::from_millis(20 * self.frames as u64);
            let unit = AccessUnit {
                dts,
                pts: dts,
                keyframe: true,
                data: vec![0xf8; 100].into(),
            };
            self.channel
                .with(|packager| packager.handle_unit(0, unit, now))
                .unwrap();
            self.frames += 1;
        }
    }

    /// A part is 17 frames of 20 ms.
    fn feed_a_part(&mut self) {
        self.feed(17);
    }

    async fn client(&self) -> Client {
        Client::http1(address(&self.front, "http")).await
    }

    async fn playlist(&self) -> ReplyText {
        self.client().await.get("/live/tone/audio/index.m3u8").await
    }

    /// Gives the name of the part that is hinted at, and the segment and number that it will be listed under.
    async fn hint(&self) -> (String, u64, u64) {
        let text = self.playlist().await.text;
        let hint = text
            .lines()
            .find(|line| line.starts_with("#EXT-X-PRELOAD-HINT"))
            .unwrap();
        let uri = hint.split('"').nth(1).unwrap().to_owned();
        let first: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))
            .unwrap()
            .parse()
            .unwrap();
        let segments = text
            .lines()
            .filter(|line| line.starts_with("#EXTINF"))
            .count() as u64;
        let open = text
            .lines()
            .rev()
            .skip(1)
            .take_while(|line| line.starts_with("#EXT-X-PART"))
            .count() as u64;
        (uri, first + segments, open)
    }
}

/// Status, headers and bytes of media.
async fn media(
    client: &mut Client,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, hyper::HeaderMap, Vec<u8>) {
    let mut request = Request::get(path).header("host", "front.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = client
        .send(request.body(full("")).unwrap())
        .await
        .unwrap()
        .into_parts();
    (
        head.status,
        head.headers,
        bounded(body.collect()).await.unwrap().to_bytes().to_vec(),
    )
}

#[tokio::test]
async fn the_key_of_an_encrypted_stream_is_given_and_kept_by_no_cache() {
    let encryption = EncryptionConfig {
        method: EncryptionMethod::Aes128,
        secret: [9; SECRET_BYTES],
        segments_per_key: 0,
    };
    let stream = Stream::start_with(10, Some(encryption));
    let text = stream.playlist().await.text;
    assert!(
        text.contains("#EXT-X-KEY:METHOD=AES-128,URI=\"r-k0.key\""),
        "{text}"
    );
    let path = "/live/tone/audio/r-k0.key";
    let (status, headers, key) = media(&mut stream.client().await, path, &[]).await;
    assert_eq!((status, key.len()), (StatusCode::OK, 16));
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["access-control-allow-origin"], "*");
    let clear = Stream::start(10);
    let (status, ..) = media(&mut clear.client().await, path, &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_player_finds_its_way_from_the_name_to_the_bytes() {
    let stream = Stream::start(10);
    let mut client = stream.client().await;
    let master = client.get("/live/tone/index.m3u8").await;
    assert_eq!(
        master.headers["content-type"],
        "application/vnd.apple.mpegurl"
    );
    assert!(master.text.contains("audio/index.m3u8"), "{}", master.text);
    let playlist = stream.playlist().await;
    let file = |start: &str| {
        playlist
            .text
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap()
    };
    let map = file("#EXT-X-MAP").split('"').nth(1).unwrap();
    let (status, headers, init) = media(&mut client, &format!("/live/tone/audio/{map}"), &[]).await;
    assert_eq!((status, &init[4..8]), (StatusCode::OK, &b"ftyp"[..]));
    assert_eq!(headers["cache-control"], "max-age=3600, immutable");
    let segment = file("r-s");
    let (status, _, bytes) = media(&mut client, &format!("/live/tone/audio/{segment}"), &[]).await;
    assert_eq!((status, &bytes[4..8]), (StatusCode::OK, &b"moof"[..]));
    assert_eq!(counter(&stream.front, "live_responses"), 4);
}

#[tokio::test]
async fn a_reload_waits_for_its_part_and_all_who_wait_get_the_same() {
    let mut stream = Stream::start(10);
    let (uri, segment, part) = stream.hint().await;
    let path = format!("/live/tone/audio/index.m3u8?_HLS_msn={segment}&_HLS_part={part}");
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let (mut client, path) = (stream.client().await, path.clone());
        waiting.push(tokio::spawn(async move { client.get(&path).await }));
    }
    eventually(|| counter(&stream.front, "live_waits") == 50).await;
    assert!(waiting.iter().all(|one| !one.is_finished()));
    stream.feed_a_part();
    let mut texts = Vec::new();
    for one in waiting {
        let reply = bounded(one).await.unwrap();
        assert_eq!(reply.headers["cache-control"], "max-age=24");
        texts.push(reply.text);
    }
    assert!(texts[0].contains(&format!("URI=\"{uri}\"")), "{}", texts[0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[tokio::test]
async fn a_hinted_part_is_sent_whole_once_it_is_there() {
    let mut stream = Stream::start(10);
    let (uri, ..) = stream.hint().await;
    let mut client = stream.client().await;
    let path = format!("/live/tone/audio/{uri}");
    let fetch = tokio::spawn(async move { media(&mut client, &path, &[]).await });
    eventually(|| counter(&stream.front, "live_waits") == 1).await;
    stream.feed_a_part();
    let (status, headers, bytes) = bounded(fetch).await.unwrap();
    assert_eq!((status, &bytes[4..8]), (StatusCode::OK, &b"moof"[..]));
    assert_eq!(
        headers["content-length"].to_str().unwrap(),
        bytes.len().to_string()
    );
}

#[tokio::test]
async fn the_end_of_a_stream_releases_whoever_waits() {
    let stream = Stream::start(10);
    let (uri, segment, _) = stream.hint().await;
    let (mut reader, mut fetcher) = (stream.client().await, stream.client().await);
    let path = format!("/live/tone/audio/index.m3u8?_HLS_msn={segment}");
    let reload = tokio::spawn(async move { reader.get(&path).await });
    let path = format!("/live/tone/audio/{uri}");
    let fetch = tokio::spawn(async move { media(&mut fetcher, &path, &[]).await });
    eventually(|| counter(&stream.front, "live_waits") == 2).await;
    stream
        .channel
        .with(|packager| packager.end(stream.begun))
        .unwrap();
    assert!(
        bounded(reload)
            .await
            .unwrap()
            .text
            .contains("#EXT-X-ENDLIST")
    );
    let (status, ..) = bounded(fetch).await.unwrap();
    assert_eq!(status, StatusCode::OK, "what had come of it was sent");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_other_origins_may_read_why() {
    let stream = Stream::start(10);
    let mut client = stream.client().await;
    for (query, status) in [
        ("_HLS_part=1", StatusCode::BAD_REQUEST),
        ("_HLS_msn=-1", StatusCode::BAD_REQUEST),
        ("_HLS_msn=1000", StatusCode::BAD_REQUEST),
        ("_HLS_skip=no", StatusCode::BAD_REQUEST),
        ("_HLS_msn=0", StatusCode::OK),
    ] {
        let reply = client
            .get(&format!("/live/tone/audio/index.m3u8?{query}"))
            .await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text);
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
    }
    let lost = client.get("/live/tone/audio/r-s999.m4s").await;
    assert_eq!(
        (lost.status, &lost.headers["cache-control"]),
        (StatusCode::NOT_FOUND, &"max-age=1".parse().unwrap())
    );
    let post = Request::post("/live/tone/index.m3u8")
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    assert_eq!(
        client.reply(post).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let ask = Request::options("/live/tone/index.m3u8")
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    let allowed = client.reply(ask).await;
    assert_eq!(allowed.status, StatusCode::NO_CONTENT);
    assert!(
        allowed.headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("Range")
    );
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_the_applications() {
    let stream = Stream::start(1);
    let mut client = stream.client().await;
    assert_eq!(
        client.get("/live/other/index.m3u8").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        client.get("/live/tone").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(counter(&stream.front, "application_absent"), 2);
}

#[tokio::test]
async fn playlists_are_zipped_for_those_who_take_it_and_have_tags() {
    let stream = Stream::start(10);
    let mut client = stream.client().await;
    let path = "/live/tone/audio/index.m3u8";
    let plain = client.get(path).await;
    let (_, headers, zipped) = media(&mut client, path, &[("accept-encoding", "gzip")]).await;
    assert_eq!(
        (
            headers["content-encoding"].to_str().unwrap(),
            headers["vary"].to_str().unwrap()
        ),
        ("gzip", "Accept-Encoding")
    );
    assert_eq!(zipped[..2], [0x1f, 0x8b]);
    assert!(zipped.len() < plain.text.len() / 3);
    assert_ne!(headers["etag"], plain.headers["etag"]);
    let tag = plain.headers["etag"].to_str().unwrap();
    assert_eq!(
        client
            .get_with(path, &[("if-none-match", tag)])
            .await
            .status,
        StatusCode::NOT_MODIFIED
    );
    let ranged = client.get_with(path, &[("range", "bytes=0-3")]).await;
    assert_eq!(
        (ranged.status, ranged.text.len()),
        (StatusCode::OK, plain.text.len())
    );
}

#[tokio::test]
async fn media_is_sent_in_part_and_its_head_alone() {
    let stream = Stream::start(10);
    let mut client = stream.client().await;
    let path = "/live/tone/audio/r-s0.m4s";
    let (_, _, whole) = media(&mut client, path, &[]).await;
    let (status, headers, some) = media(&mut client, path, &[("range", "bytes=4-7")]).await;
    assert_eq!(
        (status, &some[..]),
        (StatusCode::PARTIAL_CONTENT, &whole[4..8])
    );
    assert_eq!(
        headers["content-range"].to_str().unwrap(),
        format!("bytes 4-7/{}", whole.len())
    );
    let (status, _, rest) =
        media(&mut client, path, &[("range", "bytes=10-9007199254740991")]).await;
    assert_eq!(
        (status, &rest[..]),
        (StatusCode::PARTIAL_CONTENT, &whole[10..])
    );
    let (status, ..) = media(&mut client, path, &[("range", "bytes=99999999-")]).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    let head = Request::head(path)
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    let head = client.reply(head).await;
    assert_eq!(
        head.headers["content-length"].to_str().unwrap(),
        whole.len().to_string()
    );
    assert!(head.text.is_empty());
}

#[tokio::test]
async fn playlists_come_by_http2_too() {
    let stream = Stream::start(10);
    let mut client = Client::http2(address(&stream.front, "http")).await;
    let reply = client.get("/live/tone/audio/index.m3u8").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text.starts_with("#EXTM3U"));
}

/// Grants of the key of 32 bytes 0, 1, 2, ...: number 7 for the stream `tone`, until 2033 and until 1970.
const GRANT: &str = "AAAAAAAAAAd3NZQAy_JxYSZ5SzBeQk_2q1bSUw";
const STALE: &str = "AAAAAAAAAAcAAAAB5RE6cBmOj63hE8_zP_hesg";

fn by_grant(open_to_loopback: bool) -> LiveConfig {
    LiveConfig {
        public: false,
        open_to_loopback,
        grant_key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".into(),
    }
}

#[tokio::test]
async fn a_stream_that_is_not_public_is_read_below_a_grant_and_its_bytes_are_the_same_for_all() {
    let stream = Stream::start_by(10, None, by_grant(false));
    let mut client = stream.client().await;
    let master = client.get(&format!("/live/tone/~{GRANT}/index.m3u8")).await;
    assert_eq!(master.status, StatusCode::OK);
    assert!(!master.text.contains('~'), "{}", master.text);
    let list = client
        .get(&format!("/live/tone/~{GRANT}/audio/index.m3u8"))
        .await;
    assert_eq!(list.status, StatusCode::OK);
    let bare = client.get("/live/tone/audio/index.m3u8").await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    assert!(bare.text.contains("grant_missing"), "{}", bare.text);
    assert_eq!(bare.headers["access-control-allow-origin"], "*");
    let stale = client
        .get(&format!("/live/tone/~{STALE}/audio/index.m3u8"))
        .await;
    assert_eq!(stale.status, StatusCode::UNAUTHORIZED);
    let foreign = client
        .get(&format!("/live/tune/~{GRANT}/audio/index.m3u8"))
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert_eq!(counter(&stream.front, "live_grants_foreign"), 1);
    assert_eq!(counter(&stream.front, "live_grants_expired"), 1);
}

#[tokio::test]
async fn a_cookie_leads_back_to_the_grant_and_no_further() {
    let stream = Stream::start_by(10, None, by_grant(false));
    let mut client = stream.client().await;
    let cookie = format!("a=b; roomtone-live={GRANT}");
    let ask = async |client: &mut Client, path: &str| {
        let request = Request::get(path)
            .header("host", "front.test")
            .header("cookie", &cookie);
        client.send(request.body(full("")).unwrap()).await.unwrap()
    };
    let response = ask(&mut client, "/live/tone/index.m3u8").await;
    assert_eq!(response.status(), StatusCode::FOUND);
    let expected = format!("/live/tone/~{GRANT}/index.m3u8");
    assert_eq!(response.headers()["location"], expected);
    assert_eq!(response.headers()["cache-control"], "no-store");
    drop(response);
    let mut client = stream.client().await;
    let response = ask(&mut client, "/live/tone/audio/index.m3u8").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    drop(response);
    // Whoever shows nothing, or something, is for the application to judge: here there is none.
    let mut client = stream.client().await;
    for query in ["", "?token=x"] {
        let path = format!("/live/tone/index.m3u8{query}");
        let reply = client.get(&path).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

#[tokio::test]
async fn viewers_are_listed_and_one_that_is_sent_away_gets_nothing_more() {
    let stream = Stream::start_by(10, None, by_grant(true));
    let mut client = stream.client().await;
    let granted = format!("/live/tone/~{GRANT}/audio/index.m3u8");
    assert_eq!(client.get(&granted).await.status, StatusCode::OK);
    assert_eq!(stream.playlist().await.status, StatusCode::OK);
    let viewers = stream.front.viewers("tone");
    assert_eq!(viewers.len(), 2, "{viewers:?}");
    assert_eq!(stream.front.audience()["tone"], 2);
    let (by_grant, open): (Vec<_>, Vec<_>) =
        viewers.into_iter().partition(|one| one.grant.is_some());
    assert_eq!(by_grant[0].grant, Some(7));
    stream.front.kick("tone", by_grant[0].id).unwrap();
    let again = stream.front.kick("tone", by_grant[0].id);
    assert_eq!(again, Err(KickError::Unknown));
    let kicked = client.get(&granted).await;
    assert_eq!(kicked.status, StatusCode::FORBIDDEN);
    assert!(kicked.text.contains("viewer_kicked"), "{}", kicked.text);
    let media = client
        .get(&format!("/live/tone/~{GRANT}/audio/r-s0.m4s"))
        .await;
    assert_eq!(media.status, StatusCode::FORBIDDEN);
    assert_eq!(stream.playlist().await.status, StatusCode::OK);
    stream.front.kick("tone", open[0].id).unwrap();
    assert_eq!(stream.playlist().await.status, StatusCode::FORBIDDEN);
    assert_eq!(counter(&stream.front, "live_viewers"), 0);
}

#[tokio::test]
async fn what_has_left_memory_is_served_out_of_its_file_as_it_was_before() {
    let stream = Stream::start(60);
    let mut client = stream.client().await;
    let path = "/live/tone/audio/r-s1.m4s";
    let (status, before, bytes) = media(&mut client, path, &[]).await;
    assert_eq!(status, StatusCode::OK);
    let folder = tempfile::tempdir().unwrap();
    stream.channel.with(|packager| {
        while let Some(leaving) = packager.next_leaving(0) {
            let file = folder.path().join(&leaving.name);
            std::fs::write(&file, leaving.bodies.concat()).unwrap();
            let discard = Arc::new(|path: &std::path::Path, _| drop(std::fs::remove_file(path)));
            let stored = Stored::new(file, leaving.bytes, discard);
            packager.handle_left(leaving.track, leaving.segment, Some(stored));
        }
    });
    let (status, after, file) = media(&mut client, path, &[]).await;
    assert_eq!((status, &file), (StatusCode::OK, &bytes));
    for name in [
        "etag",
        "content-type",
        "cache-control",
        "content-length",
        "accept-ranges",
    ] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert_eq!(counter(&stream.front, "live_stored"), 1);
    let (status, headers, some) = media(&mut client, path, &[("range", "bytes=4-7")]).await;
    assert_eq!(
        (status, &some[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[4..8])
    );
    let range = format!("bytes 4-7/{}", bytes.len());
    assert_eq!(headers["content-range"].to_str().unwrap(), range);
    let tag = before["etag"].to_str().unwrap();
    let (status, _, none) = media(&mut client, path, &[("if-none-match", tag)]).await;
    assert_eq!((status, none.len()), (StatusCode::NOT_MODIFIED, 0));
    // A file that somebody else took away is an error that says so.
    std::fs::remove_file(folder.path().join("r-s1.m4s")).unwrap();
    let (status, ..) = media(&mut client, path, &[]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(counter(&stream.front, "live_stored_unreadable"), 1);
}
