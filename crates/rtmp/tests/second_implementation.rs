//! `rtmp-runtime`, which shares nothing with this crate, publishes to its server and is published to by its client.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a moment to count from; a test fails by panicking"
)]

use std::time::Instant;

use bytes::Bytes;
use roomtone_rtmp::{
    Client, ClientConfig, ClientEnd, ClientEvent, Media, Purpose, Refusal, Server, ServerConfig,
    ServerEvent, Target,
};
use rtmp_runtime::client::{
    ClientConfig as TheirClientConfig, ClientEvent as TheirClientEvent, ClientSession,
};
use rtmp_runtime::server::{ServerConfig as TheirConfig, ServerEvent as TheirEvent, ServerSession};

fn their_client(name: &str) -> ClientSession {
    let mut config = TheirClientConfig::default();
    "live".clone_into(&mut config.app);
    name.clone_into(&mut config.stream_key);
    ClientSession::new(config)
}

/// A picture that takes several chunks, and a frame of sound.
fn bodies() -> [(Media, u32, Bytes); 3] {
    let picture = |first| Bytes::from([vec![first, 1, 0, 0, 0], vec![first; 9000]].concat());
    [
        (Media::Video, 0x00ff_fff0, picture(0x17)),
        (Media::Audio, 0x00ff_fffa, Bytes::from_static(&[0xaf, 1, 7])),
        (Media::Video, 0x0100_0018, picture(0x27)),
    ]
}

#[test]
fn their_client_publishes_to_our_server() {
    let now = Instant::now();
    let mut client = their_client("cam?token=good");
    let mut server = Server::new(ServerConfig::default(), [7; 32], now);
    server.handle_bytes(&client.start(), now);
    while !client.is_publishing() {
        if let Some(request) = server.poll_request() {
            assert_eq!(request.address.parameter("token"), Some("good"));
            assert!(server.accept(now));
        }
        let bytes = server
            .poll_output()
            .expect("the server has something to say");
        let (answer, _) = client.handle_data(&bytes).unwrap();
        server.handle_bytes(&answer, now);
    }
    for (media, timestamp, body) in bodies() {
        let bytes = match media {
            Media::Audio => client.send_audio(timestamp, &body),
            Media::Video => client.send_video(timestamp, &body),
        };
        server.handle_bytes(&bytes.unwrap(), now);
    }
    let events: Vec<_> = std::iter::from_fn(|| server.poll_event()).collect();
    let expected = bodies().map(|(media, timestamp, body)| ServerEvent::Media {
        media,
        timestamp,
        body,
    });
    assert_eq!(server.ended(), None);
    assert!(events == expected, "{} events", events.len());
}

#[test]
fn their_client_is_told_why_it_may_not_publish() {
    let now = Instant::now();
    let mut client = their_client("cam");
    let mut server = Server::new(ServerConfig::default(), [7; 32], now);
    server.handle_bytes(&client.start(), now);
    let mut told = vec![];
    while let Some(bytes) = server.poll_output() {
        let (answer, events) = client.handle_data(&bytes).unwrap();
        told.extend(events);
        server.handle_bytes(&answer, now);
        if server.poll_request().is_some() {
            server.refuse(Refusal::Denied, "this key may not publish cam");
        }
    }
    assert!(told.contains(&TheirClientEvent::Error {
        code: "NetStream.Publish.BadName".to_owned(),
        description: "this key may not publish cam".to_owned(),
    }));
}

/// Our client towards their server, and what that server has seen.
fn publish_to_theirs(config: TheirConfig) -> (Client, Vec<TheirEvent>) {
    let now = Instant::now();
    let target = Target::parse("rtmp://h/live/cam").unwrap();
    let mut client = Client::new(ClientConfig::new(target, Purpose::Publish), [1; 32], now);
    let mut server = ServerSession::new(config);
    let mut seen = vec![];
    while let Some(bytes) = client.poll_output() {
        let (answer, events) = server.handle_data(&bytes).unwrap();
        seen.extend(events);
        client.handle_bytes(&answer, now);
        if client.poll_event() == Some(ClientEvent::Started) {
            for (media, timestamp, body) in bodies() {
                assert!(client.send_media(media, timestamp, body));
            }
            client.close();
        }
    }
    (client, seen)
}

#[test]
fn our_client_publishes_to_their_server() {
    let (client, seen) = publish_to_theirs(TheirConfig::default());
    assert_eq!(client.ended(), Some(&ClientEnd::Closed));
    let tags: Vec<&Vec<u8>> = seen
        .iter()
        .filter_map(|event| match event {
            TheirEvent::Media { flv } => Some(flv),
            _ => None,
        })
        .collect();
    assert_eq!(tags.len(), 3);
    for (tag, (_, timestamp, body)) in tags.into_iter().zip(bodies()) {
        // Behind the body stands the size of the tag, before it a header of eleven bytes.
        let (rest, _) = tag.split_at(tag.len() - 4);
        let (rest, read) = rest.split_at(rest.len() - body.len());
        assert!(read == body);
        let header = &rest[rest.len() - 11..];
        let time = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        assert_eq!(time, timestamp);
    }
    assert!(seen.contains(&TheirEvent::Eof));
}

#[test]
fn our_client_hears_why_their_server_refuses() {
    let config = TheirConfig::default().with_expected_stream_key(Some("other".to_owned()));
    let (client, _) = publish_to_theirs(config);
    let Some(ClientEnd::Refused { code, description }) = client.ended() else {
        panic!("{:?}", client.ended())
    };
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(!description.is_empty());
}
