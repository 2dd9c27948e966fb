//! FFmpeg sends a transport stream in datagrams, bare and behind RTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a foreign peer has sockets and keeps its own time"
)]

mod common;

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use roomtone_mpegts::{DatagramReader, DatagramStats, Demuxer, Event, TrackId};

const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/h264_aac.ts");
const PICTURES: usize = 25;
/// Only against hangs.
const PATIENCE: Duration = Duration::from_secs(40);

fn ffmpeg(format: &str, url: &str) -> Child {
    let program = std::env::var("ROOMTONE_FFMPEG").unwrap_or_else(|_| "ffmpeg".into());
    Command::new(program)
        .args([
            "-v", "error", "-re", "-i", STREAM, "-c", "copy", "-f", format, url,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("FFmpeg runs")
}

/// What FFmpeg sends, taken apart.
fn receive(format: &str, scheme: &str) -> (Vec<Event>, DatagramStats) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut child = ffmpeg(
        format,
        &format!("{scheme}://127.0.0.1:{port}?pkt_size=1316"),
    );
    let (mut reader, mut demuxer) = (DatagramReader::default(), Demuxer::default());
    let begin = Instant::now();
    let mut bytes = [0; 2048];
    while begin.elapsed() < PATIENCE {
        let now = Instant::now();
        match socket.recv(&mut bytes) {
            Ok(length) => {
                reader.handle_datagram(&bytes[..length], now, |run| demuxer.handle_bytes(run));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(child.wait().unwrap().success());
    reader.finish(|run| demuxer.handle_bytes(run));
    demuxer.finish();
    (
        std::iter::from_fn(|| demuxer.poll_event()).collect(),
        reader.stats,
    )
}

fn assert_whole(events: &[Event]) {
    assert_eq!(common::units(events, TrackId(0)).len(), PICTURES);
    // Behind RTP FFmpeg does not send the last packet of sound: nothing of it comes, and no number is missing.
    assert!(common::units(events, TrackId(1)).len() > 30);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Dropped { .. }))
    );
}

#[test]
fn bare_datagrams_of_ffmpeg_are_taken_apart() {
    let (events, stats) = receive("mpegts", "udp");
    assert_whole(&events);
    assert!(stats.bare > 0 && stats.rtp == 0);
}

#[test]
fn datagrams_of_ffmpeg_behind_rtp_are_taken_apart() {
    let (events, stats) = receive("rtp_mpegts", "rtp");
    assert_whole(&events);
    assert!(stats.rtp > 0 && stats.bare == 0);
    assert_eq!(
        (stats.lost, stats.other_payload, stats.other_source),
        (0, 0, 0)
    );
}
