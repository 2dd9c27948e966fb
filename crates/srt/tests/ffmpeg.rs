//! FFmpeg, with libsrt, sends to a listener.

mod driver;

use driver::Served;
use roomtone_netem::LinkConfig;
use roomtone_srt::{Acceptance, CipherMode, Encryption, KeyLength, ListenerEvent, Passphrase};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// FFmpeg sends two seconds of a moving picture, in real time.
fn ffmpeg(url: &str) -> Child {
    let program = std::env::var("ROOMTONE_FFMPEG").unwrap_or_else(|_| "ffmpeg".into());
    Command::new(program)
        .args("-v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -t 2".split(' '))
        .args("-c:v mpeg2video -b:v 1M -f mpegts".split(' '))
        .arg(url)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("FFmpeg runs")
}

/// What a listener has of two seconds sent by FFmpeg.
fn receive(mut served: Served, query: &str, passphrase: Option<&str>) -> Served {
    let mut child = ffmpeg(&format!(
        "srt://{}?pkt_size=1316&streamid=publish:stage{query}",
        served.address()
    ));
    let passphrase = passphrase.map(|text| Passphrase::new(text).expect("long enough"));
    served.serve(
        |request| {
            assert_eq!(request.stream_id, "publish:stage");
            Ok(Acceptance {
                passphrase: passphrase.clone(),
                ..Acceptance::default()
            })
        },
        |served| {
            !served.closed.is_empty()
                || child.try_wait().expect("a child").is_some() && served.opened.is_empty()
        },
    );
    let output = child.wait_with_output().expect("a child");
    println!("{}", String::from_utf8_lossy(&output.stderr));
    served
}

/// Packets of MPEG-TS, none of them missing.
fn assert_whole(served: &Served) {
    let packets = served.received.chunks(188);
    assert!(packets.len() > 500, "{} packets", packets.len());
    let mut next = std::collections::HashMap::new();
    for packet in packets {
        assert_eq!((packet.len(), packet[0]), (188, 0x47));
        let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff;
        let (counter, has_payload) = (packet[3] & 15, packet[3] & 0x10 != 0);
        if let Some(expected) = next.insert(pid, (counter + 1) % 16)
            && has_payload
        {
            assert_eq!(counter, expected, "of {pid}");
        }
    }
    println!("{:?}", served.closed);
    println!("{:?}", served.listener.stats());
}

#[test]
fn a_plain_stream_arrives_whole() {
    let served = receive(Served::new(), "", None);
    assert_whole(&served);
    assert_eq!(served.requests[0].encryption, None);
}

#[test]
fn encrypted_streams_arrive_whole() {
    for (length, name) in [
        (KeyLength::Aes128, 16),
        (KeyLength::Aes192, 24),
        (KeyLength::Aes256, 32),
    ] {
        let query = format!("&passphrase=a-phrase-of-some-length&pbkeylen={name}");
        let served = receive(Served::new(), &query, Some("a-phrase-of-some-length"));
        assert_whole(&served);
        let encryption = Encryption {
            mode: CipherMode::Ctr,
            length,
        };
        assert_eq!(served.requests[0].encryption, Some(encryption));
    }
}

#[test]
fn libsrt_heeds_a_small_window_and_goes_on_in_it() {
    let mut served = Served::new();
    let url = format!("srt://{}?pkt_size=1316", served.address());
    let mut child = ffmpeg(&url);
    let mut limited = false;
    served.serve(
        |_| Ok(Acceptance::default()),
        |served| {
            if let Some(&connection) = served.opened.first()
                && !limited
            {
                limited = served.listener.limit_window(connection, Some(2));
            }
            !served.closed.is_empty()
                || child.try_wait().expect("a child").is_some() && served.opened.is_empty()
        },
    );
    child.wait().expect("it ends");
    let [ListenerEvent::Closed { stats, .. }] = served.closed.as_slice() else {
        panic!("{:?}", served.closed);
    };
    // A megabit a second is half of what a window of two lets through at an acknowledgement each 10 ms.
    assert_whole(&served);
    assert!(limited && stats.received > 100, "{stats:?}");
    // What was on its way before it heard of the window, and what is acknowledged twice, are no matter.
    assert!(stats.received <= 2 * (stats.acks_sent + 16), "{stats:?}");
}

#[test]
fn callers_without_the_right_passphrase_are_refused() {
    for (query, passphrase) in [
        (
            "&passphrase=another-phrase",
            Some("a-phrase-of-some-length"),
        ),
        ("", Some("a-phrase-of-some-length")),
        ("&passphrase=another-phrase", None),
    ] {
        let served = receive(Served::new(), query, passphrase);
        assert!(served.opened.is_empty() && served.received.is_empty());
        assert!(served.listener.stats().rejected > 0);
    }
}

#[test]
fn a_stream_arrives_whole_over_a_line_that_loses_and_reorders() {
    for (seed, loss) in [(1, 0.02), (3, 0.05)] {
        let line = LinkConfig {
            delay: Duration::from_millis(20),
            loss,
            reorder: 0.01,
            ..LinkConfig::default()
        };
        let mut served = Served::new().over(&line, seed);
        // FFmpeg counts latency in microseconds.
        let mut child = ffmpeg(&format!(
            "srt://{}?pkt_size=1316&latency=800000",
            served.address()
        ));
        // Not up to its goodbye: behind that it sends nothing again.
        served.serve(
            |_| Ok(Acceptance::default()),
            |served| served.received.len() > 300_000,
        );
        let stats = served.listener.connection_stats(served.opened[0]);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let stats = stats.expect("open");
        assert!(stats.lost > 0 && stats.reports_sent > 0, "{stats:?}");
        assert_eq!(stats.latency, Duration::from_millis(800));
        assert_eq!(stats.dropped, 0, "{stats:?}");
        assert_whole(&served);
    }
}
