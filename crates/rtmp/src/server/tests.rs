use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    ChunkWriter, Client, ClientConfig, ClientEnd, ClientEvent, Credential, Purpose, Target,
};

/// Both sides of one connection, on one clock.
struct Pair {
    client: Client,
    server: Server,
    now: Instant,
}

impl Pair {
    fn new(url: &str, purpose: Purpose) -> Self {
        let now = Instant::now_in_tests();
        let config = ClientConfig::new(Target::parse(url).unwrap(), purpose);
        let mut pair = Self {
            client: Client::new(config, [1; 32], now),
            server: Server::new(ServerConfig::default(), [2; 32], now),
            now,
        };
        pair.exchange();
        pair
    }

    /// Until neither has anything to say.
    fn exchange(&mut self) {
        loop {
            let to_server = self.client.poll_output();
            let to_client = self.server.poll_output();
            if to_server.is_none() && to_client.is_none() {
                return;
            }
            if let Some(bytes) = to_server {
                self.server.handle_bytes(&bytes, self.now);
            }
            if let Some(bytes) = to_client {
                self.client.handle_bytes(&bytes, self.now);
            }
        }
    }

    fn accepted(url: &str, purpose: Purpose) -> Self {
        let mut pair = Self::new(url, purpose);
        pair.server.poll_request().unwrap();
        assert!(pair.server.accept(pair.now));
        pair.exchange();
        assert_eq!(pair.client.poll_event(), Some(ClientEvent::Started));
        pair
    }
}

trait InTests {
    fn now_in_tests() -> Instant;
}

impl InTests for Instant {
    /// A moment to count from.
    #[allow(clippy::disallowed_methods)]
    fn now_in_tests() -> Instant {
        Instant::now()
    }
}

fn media(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

#[test]
fn who_publishes_is_asked_for_with_name_and_credential() {
    let mut pair = Pair::new("rtmp://h/live/cam?token=secret", Purpose::Publish);
    let request = pair.server.poll_request().unwrap();
    assert_eq!(request.wish, Wish::Publish);
    assert_eq!(
        (&*request.address.app, &*request.address.name),
        ("live", "cam")
    );
    assert_eq!(request.credential(), Credential::Token("secret".to_owned()));
    assert!(request.fourccs.contains(&"hvc1".to_owned()));
    assert!(!format!("{request:?}").contains("secret"));
    assert_eq!(
        pair.client.poll_event(),
        None,
        "nothing begins before the answer"
    );
}

#[test]
fn what_is_published_comes_out_with_its_times_and_metadata() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    let metadata = Value::object([("width", 640.0.into())]);
    assert!(pair.client.send_metadata(&metadata));
    assert!(pair.client.send_media(Media::Video, 40, media(&[0x17, 1])));
    assert!(
        pair.client
            .send_media(Media::Audio, 0x0100_0000, media(&[0xaf, 1]))
    );
    pair.exchange();
    let events: Vec<_> = std::iter::from_fn(|| pair.server.poll_event()).collect();
    let event = |media: Media, timestamp, body: &'static [u8]| ServerEvent::Media {
        media,
        timestamp,
        body: Bytes::from_static(body),
    };
    assert_eq!(
        events,
        [
            ServerEvent::Metadata(metadata),
            event(Media::Video, 40, &[0x17, 1]),
            event(Media::Audio, 0x0100_0000, &[0xaf, 1]),
        ]
    );
}

#[test]
fn a_refusal_tells_the_encoder_why_and_ends_the_connection() {
    let mut pair = Pair::new("rtmp://h/live/cam?token=wrong", Purpose::Publish);
    pair.server.poll_request().unwrap();
    pair.server
        .refuse(Refusal::Denied, "this key may not publish cam");
    pair.exchange();
    assert_eq!(pair.server.ended(), Some(Ended::Refused));
    assert_eq!(
        pair.client.ended(),
        Some(&ClientEnd::Refused {
            code: "NetStream.Publish.BadName".to_owned(),
            description: "this key may not publish cam".to_owned(),
        })
    );
    assert!(!pair.server.accept(pair.now), "nothing is asked any more");
}

#[test]
fn a_publisher_may_be_ended_in_the_midst_of_its_stream() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    pair.server
        .refuse(Refusal::Unsupported, "the codec vvc1 is not taken");
    pair.exchange();
    assert!(matches!(
        pair.client.ended(),
        Some(ClientEnd::Refused { code, .. }) if code == "NetStream.Publish.Rejected"
    ));
}

#[test]
fn a_stream_ended_by_its_publisher_may_be_followed_by_another() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    pair.client.close();
    pair.exchange();
    assert_eq!(pair.server.poll_event(), Some(ServerEvent::Stopped));
    assert_eq!(pair.server.ended(), None);
    let until = pair.server.next_timeout().unwrap();
    assert_eq!(until, pair.now + ServerConfig::default().until_request);
}

#[test]
fn media_before_the_answer_are_counted_and_left_out() {
    let mut pair = Pair::new("rtmp://h/live/cam", Purpose::Publish);
    let early = Message {
        kind: Kind::Video,
        stream: 1,
        timestamp: 0,
        payload: media(&[0x17, 1]),
    };
    let mut wire = bytes::BytesMut::new();
    ChunkWriter::default().write(40, &early, &mut wire);
    pair.server.handle_bytes(&wire, pair.now);
    assert_eq!(pair.server.poll_event(), None);
    assert_eq!(pair.server.counters().unasked, 1);
}

#[test]
fn a_player_gets_what_is_sent_and_the_end() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Play);
    let metadata = Value::object([("width", 640.0.into())]);
    assert!(pair.server.send_metadata(&metadata));
    assert!(pair.server.send_media(Media::Audio, 20, media(&[0xaf, 1])));
    pair.server.close();
    pair.exchange();
    // What it says beside its media is told by its name.
    assert!(matches!(
        pair.client.poll_event(),
        Some(ClientEvent::Data { name, .. }) if name == "|RtmpSampleAccess"
    ));
    assert_eq!(
        pair.client.poll_event(),
        Some(ClientEvent::Metadata(metadata))
    );
    assert!(matches!(
        pair.client.poll_event(),
        Some(ClientEvent::Media {
            media: Media::Audio,
            timestamp: 20,
            ..
        })
    ));
    assert_eq!(pair.client.ended(), Some(&ClientEnd::Finished));
}

#[test]
fn a_player_that_does_not_read_gets_no_more_than_waits_already() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Play);
    let big = Bytes::from(vec![0; 1 << 20]);
    let taken = (0..20)
        .filter(|&at| pair.server.send_media(Media::Video, at, big.clone()))
        .count();
    assert!((5..10).contains(&taken), "{taken}");
}

#[test]
fn who_asks_for_nothing_is_left_after_ten_seconds_and_who_falls_silent_after_thirty() {
    let now = Instant::now_in_tests();
    let mut server = Server::new(ServerConfig::default(), [2; 32], now);
    let at = server.next_timeout().unwrap();
    assert_eq!(at, now + Duration::from_secs(10));
    server.handle_timeout(now);
    assert_eq!(server.ended(), None, "too early");
    server.handle_timeout(at);
    assert_eq!(server.ended(), Some(Ended::NoRequest));

    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    let at = pair.server.next_timeout().unwrap();
    assert_eq!(at, pair.now + Duration::from_secs(30));
    pair.server.handle_timeout(at);
    assert_eq!(pair.server.ended(), Some(Ended::Silent));
}

#[test]
fn a_name_is_needed() {
    let now = Instant::now_in_tests();
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    pair.client.close();
    pair.exchange();
    // A command on a stream that was deleted is answered too.
    let command = Command::new("publish", 5.0, Value::Null, vec!["".into()]);
    let mut wire = bytes::BytesMut::new();
    let message = Message {
        kind: Kind::Command,
        stream: 1,
        timestamp: 0,
        payload: command.write(),
    };
    ChunkWriter::default().write(40, &message, &mut wire);
    pair.server.handle_bytes(&wire, now);
    assert_eq!(pair.server.ended(), Some(Ended::Refused));
    assert!(!pair.server.written().is_empty());
}

#[test]
fn commands_nobody_knows_are_answered_so() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    let command = Command::new("launchRocket", 9.0, Value::Null, vec![]);
    let message = Message {
        kind: Kind::Command,
        stream: 0,
        timestamp: 0,
        payload: command.write(),
    };
    let mut wire = bytes::BytesMut::new();
    ChunkWriter::default().write(40, &message, &mut wire);
    pair.server.handle_bytes(&wire, pair.now);
    assert_eq!(pair.server.counters().unknown_commands, 1);
    let answer = pair.server.written();
    assert!(answer.windows(6).any(|six| six == b"_error"));
}

#[test]
fn a_peer_that_asks_and_never_reads_is_left() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    let mut wire = bytes::BytesMut::new();
    let mut writer = ChunkWriter::default();
    let ping = Message {
        kind: Kind::UserControl,
        stream: 0,
        timestamp: 0,
        payload: media(&[0, 6, 0, 0, 0, 1]),
    };
    for _ in 0..1000 {
        writer.write(2, &ping, &mut wire);
    }
    for _ in 0..40 {
        pair.server.handle_bytes(&wire, pair.now);
    }
    assert_eq!(pair.server.ended(), Some(Ended::NotReading));
    assert!(pair.server.written().len() < MAX_OUTPUT_BYTES + 64_000);
}

#[test]
fn other_protocols_are_told_by_their_first_byte() {
    for (first, bytes) in [(22, &b"\x16\x03\x01"[..]), (b'G', b"GET / HTTP/1.1")] {
        let now = Instant::now_in_tests();
        let mut server = Server::new(ServerConfig::default(), [2; 32], now);
        server.handle_bytes(bytes, now);
        assert_eq!(
            server.ended(),
            Some(Ended::Protocol(ProtocolError::NotRtmp(first)))
        );
        assert_eq!(server.next_timeout(), None);
    }
}

#[test]
fn what_came_is_acknowledged_once_the_window_is_full() {
    let mut pair = Pair::accepted("rtmp://h/live/cam", Purpose::Publish);
    let big = Bytes::from(vec![0x27; 1 << 20]);
    for at in 0..3 {
        assert!(pair.client.send_media(Media::Video, at, big.clone()));
        let bytes = pair.client.poll_output().unwrap();
        pair.server.handle_bytes(&bytes, pair.now);
    }
    // Basic header and message header of an acknowledgement: type 3 on chunk stream 2.
    let written = pair.server.written();
    assert_eq!(written.len(), 12);
    assert_eq!(written[7], 3);
}

/// What a publisher sends, each time until it waits for an answer.
fn recorded() -> Vec<Vec<u8>> {
    let now = Instant::now_in_tests();
    let target = Target::parse("rtmp://h/live/cam?token=a").unwrap();
    let mut client = Client::new(ClientConfig::new(target, Purpose::Publish), [1; 32], now);
    let mut server = Server::new(ServerConfig::default(), [2; 32], now);
    let mut all = vec![];
    for round in 0.. {
        if let Some(bytes) = client.poll_output() {
            server.handle_bytes(&bytes, now);
            all.push(bytes.to_vec());
        } else if round > 20 {
            return all;
        }
        if server.poll_request().is_some() {
            server.accept(now);
        }
        if let Some(bytes) = server.poll_output() {
            client.handle_bytes(&bytes, now);
        }
        if client.poll_event() == Some(ClientEvent::Started) {
            client.send_metadata(&Value::object([("width", 640.0.into())]));
            for at in 0..5 {
                client.send_media(Media::Video, at * 40, Bytes::from(vec![at as u8; 6000]));
                client.send_media(Media::Audio, at * 40, Bytes::from(vec![at as u8; 200]));
            }
            client.close();
        }
    }
    all
}

/// What a server makes of it, in pieces.
fn replayed(turns: &[Vec<u8>], step: usize) -> (Vec<ServerEvent>, Vec<u8>, Option<Ended>) {
    let now = Instant::now_in_tests();
    let mut server = Server::new(ServerConfig::default(), [2; 32], now);
    let (mut events, mut written) = (vec![], vec![]);
    for piece in turns.iter().flat_map(|turn| turn.chunks(step)) {
        server.handle_bytes(piece, now);
        if server.poll_request().is_some() {
            server.accept(now);
        }
        events.extend(std::iter::from_fn(|| server.poll_event()));
        written.extend_from_slice(&server.written());
    }
    (events, written, server.ended())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_split_of_the_bytes_gives_the_same(step in 1usize..1500) {
        let turns = recorded();
        let whole = replayed(&turns, usize::MAX);
        // Metadata, ten of media, and the end.
        prop_assert_eq!(whole.0.len(), 12);
        // No need to print what differs: it is all of it.
        prop_assert!(replayed(&turns, step) == whole);
    }

    #[test]
    fn a_byte_changed_anywhere_upsets_nobody(turn in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut turns = recorded();
        let turn = turn.get_mut(&mut turns);
        *at.get_mut(turn) = with;
        let _ = replayed(&turns, 700);
    }
}
