//! FFmpeg, with libsrt, sends to a listener.

mod driver;

use driver::Served;
use roomtone_srt::{Acceptance, CipherMode, Encryption, KeyLength, Passphrase};
use std::process::{Child, Command, Stdio};

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
fn receive(query: &str, passphrase: Option<&str>) -> Served {
    let mut served = Served::new();
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
    let served = receive("", None);
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
        let served = receive(&query, Some("a-phrase-of-some-length"));
        assert_whole(&served);
        let encryption = Encryption {
            mode: CipherMode::Ctr,
            length,
        };
        assert_eq!(served.requests[0].encryption, Some(encryption));
    }
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
        let served = receive(query, passphrase);
        assert!(served.opened.is_empty() && served.received.is_empty());
        assert!(served.listener.stats().rejected > 0);
    }
}
