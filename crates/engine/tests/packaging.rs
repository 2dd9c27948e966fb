//! Packagers over real sockets: what a plain sender sends is listed on the shelf, and it is asked for keyframes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_engine::values::{
    CodecFeedback, CodecParameters, Command, CommandResult, ErrorCode, Event, Listing, MediaKind,
};
use roomtone_hls::{Directives, PlaylistAnswer, Shelf};
use support::{Harness, PATIENCE, PlainOptions, codec, config, is_rtcp, rtp, socket};

// Parameter sets of 1280x720, as x264 writes them, in an aggregate (RFC 6184 section 5.7.1).
const SETS: [u8; 34] = [
    0x78, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03,
    0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80, 0x00, 0x05, 0x68, 0xeb, 0xc3,
    0xcb, 0x20,
];
const PICTURE: Duration = Duration::from_millis(40);
/// Payload-specific feedback with the format of a picture loss indication (RFC 4585 section 6.3.1).
const PLI: [u8; 2] = [0x81, 206];

struct Camera {
    socket: UdpSocket,
    sequence: u16,
    pictures: u32,
    asked: u32,
}

impl Camera {
    /// Sends the picture that is due, and reads what comes until the next is.
    fn turn(&mut self, to: std::net::SocketAddr) {
        let keyframe = self.pictures == 0 || self.asked > 0;
        self.asked = 0;
        let timestamp = self.pictures * 3_600;
        let mut send = |payload: &[u8], marker: u8| {
            let packet = rtp(0x60 | marker, self.sequence, timestamp, 5, payload);
            self.sequence += 1;
            self.socket.send_to(&packet, to).unwrap();
        };
        if keyframe {
            send(&SETS, 0);
        }
        send(&[if keyframe { 0x65 } else { 0x41 }, 1, 2, 3], 0x80);
        self.pictures += 1;
        let next = Instant::now() + PICTURE;
        let mut buffer = [0; 2048];
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            self.socket
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .unwrap();
            if let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
                let packet = &buffer[..len];
                let is_request = is_rtcp(packet) && packet.windows(2).any(|two| two == PLI);
                self.asked += u32::from(is_request);
            }
        }
    }
}

#[test]
fn a_camera_is_listed_on_the_shelf_and_asked_for_the_keyframes_that_segments_need() {
    let shelf = Arc::<Shelf>::default();
    let mut harness = Harness::with_shelf(config(1), shelf.clone());
    let router = harness.router(None);
    let (transport, at, _) = harness.plain(PlainOptions::on(router));
    let (socket, address) = socket();
    harness.connect_plain(transport, address);
    let h264 = CodecParameters {
        feedback: CodecFeedback {
            pli: true,
            ..CodecFeedback::default()
        },
        ..codec(96, "H264", 90_000, 1)
    };
    let produced = harness.call(Command::Produce {
        transport,
        kind: MediaKind::Video,
        codecs: vec![h264],
        encodings: vec![],
        mid: None,
        header_extensions: vec![],
        paused: false,
    });
    let CommandResult::Produced { producer } = produced else {
        panic!("{produced:?}");
    };
    let opened = harness.call(Command::OpenPackager {
        router,
        name: "camera".into(),
        listing: Listing {
            window_ms: 20_000,
            part_ms: None,
            encryption: None,
        },
    });
    let CommandResult::PackagerOpened { packager } = opened else {
        panic!("{opened:?}");
    };
    let added = harness.call(Command::AddPackagerTrack { packager, producer });
    assert!(matches!(added, CommandResult::PackagerTrackAdded { .. }));
    let mut camera = Camera {
        socket,
        sequence: 0,
        pictures: 0,
        asked: 0,
    };
    let deadline = Instant::now() + PATIENCE;
    let list = loop {
        assert!(Instant::now() < deadline, "no segment in time");
        camera.turn(at);
        let list = shelf.get("camera").and_then(|channel| {
            channel.with(|one| match one.playlist("video", Directives::default()) {
                PlaylistAnswer::Ready(list) => Some(list),
                _ => None,
            })
        });
        if let Some(list) = list.map(|list| String::from_utf8(list.text.to_vec()).unwrap())
            && list.contains("#EXTINF")
        {
            break list;
        }
    };
    // Nobody else asks: the first segment ends at a keyframe that the packager has asked for.
    assert!(list.contains(",INDEPENDENT=YES"), "{list}");
    let started = harness.event(|event| match event {
        Event::PackagerStarted { packager, tracks } => Some((*packager, tracks.clone())),
        _ => None,
    });
    assert_eq!(started.0, packager);
    assert_eq!(started.1[0].width, Some(1_280));
    // What has begun takes no new track, and a name is one packager's.
    let (other, ..) = harness.plain(PlainOptions::on(router));
    let voice = harness.produce_opus(other, Some(9));
    let late = Command::AddPackagerTrack {
        packager,
        producer: voice,
    };
    assert_eq!(harness.refused(late), ErrorCode::WrongState);
    harness.done(Command::ClosePackager { packager });
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no end in time");
        let channel = shelf.get("camera").expect("it can be read for a while");
        let ended = channel.with(|one| match one.playlist("video", Directives::default()) {
            PlaylistAnswer::Ready(list) => list.text.windows(9).any(|nine| nine == b"-ENDLIST\n"),
            _ => false,
        });
        if ended {
            break;
        }
        std::thread::yield_now();
    }
}
