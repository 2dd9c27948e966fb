//! Whatever a server of RTSP sends, in whatever pieces: what waits stays bounded, and a packet is never longer than what came.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use roomtone_rtsp::{Choice, Client, ClientConfig, ClientEvent, MAX_OUTPUT_BYTES, Target};

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let config = ClientConfig {
        target: Target::parse("rtsp://me:secret@cam.example/live").unwrap(),
        agent: "fuzz".to_owned(),
    };
    let mut client = Client::new(config, [7; 32], now);
    let mut came = 0;
    for (at, piece) in data.split(|byte| *byte == 0xff).enumerate() {
        client.handle_bytes(piece, now + Duration::from_millis(at as u64));
        came += piece.len();
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Described(media) => {
                    let choices: Vec<Choice> = (0..media.len())
                        .map(|media| Choice { media, ports: None })
                        .collect();
                    client.set_up(&choices, now);
                }
                ClientEvent::Playing(_) => {}
                ClientEvent::Data { payload, .. } => assert!(payload.len() <= came),
            }
        }
        while let Some(output) = client.poll_output() {
            assert!(output.len() <= 2 * MAX_OUTPUT_BYTES);
        }
        client.handle_timeout(now + Duration::from_secs(at as u64));
    }
});
