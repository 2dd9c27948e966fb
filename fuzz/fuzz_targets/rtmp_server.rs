//! Invariant: any bytes of a peer leave a server with bounded output, whose every request can be accepted, and that takes nothing
//! once it has ended.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use roomtone_rtmp::{MAX_OUTPUT_BYTES, Server, ServerConfig, ServerEvent, Tracks};

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let mut server = Server::new(ServerConfig::default(), [7; 32], now);
    let mut tracks = Tracks::default();
    // The first packets of a simple handshake, so that what is interesting is reached.
    server.handle_bytes(&[3], now);
    server.handle_bytes(&[0; 2 * 1536], now);
    let greeting: usize = std::iter::from_fn(|| server.poll_output())
        .map(|bytes| bytes.len())
        .sum();
    assert_eq!(greeting, 1 + 2 * 1536);
    for piece in data.chunks(97) {
        server.handle_bytes(piece, now);
        if server.poll_request().is_some() {
            assert!(server.accept(now));
        }
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Media {
                media,
                timestamp,
                body,
            } = event
            {
                let _ = tracks.handle_tag(media, timestamp, &body);
                while tracks.poll_output().is_some() {}
            }
        }
        let ended = server.ended();
        if ended.is_some() {
            server.handle_bytes(piece, now);
            assert_eq!(server.ended(), ended);
        }
    }
    let written: usize = std::iter::from_fn(|| server.poll_output())
        .map(|bytes| bytes.len())
        .sum();
    assert!(written <= MAX_OUTPUT_BYTES + 64 * 1024);
});
