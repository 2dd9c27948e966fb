//! Invariant: whatever events or samples a peer sends, digits start and end in turn, and every
//! payload that is read is written again as it was, but for its reserved bit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_audio::dtmf::{Detector, EventPayload, EventReceiver, Heard, ReceivedEvent};
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    let mut receiver = EventReceiver::new(8_000);
    let mut events = Vec::new();
    for (at, record) in input.chunks_exact(6).enumerate() {
        let now = Duration::from_millis(20 * at as u64);
        let payload = &record[2..];
        if let Some(read) = EventPayload::parse(payload) {
            let mut wanted = [payload[0], payload[1], payload[2], payload[3]];
            wanted[1] &= !0x40;
            assert_eq!(read.to_bytes(), wanted);
        }
        let timestamp = u32::from(u16::from_be_bytes([record[0], record[1]])) << 8;
        receiver.handle(payload, timestamp, now, &mut events);
        receiver.handle_timeout(now, &mut events);
    }
    let mut pressed = None;
    for event in events {
        match event {
            ReceivedEvent::Started(digit) => assert_eq!(pressed.replace(digit), None),
            ReceivedEvent::Ended { digit, .. } => assert_eq!(pressed.take(), Some(digit)),
        }
    }

    let pcm: Vec<i16> = input
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut detector = Detector::new(8_000).expect("a rate of ours");
    let mut heard = Vec::new();
    detector.handle(&pcm, &mut heard);
    let mut pressed = None;
    for heard in heard {
        match heard {
            Heard::Started(digit) => assert_eq!(pressed.replace(digit), None),
            Heard::Ended { digit, .. } => assert_eq!(pressed.take(), Some(digit)),
        }
    }
});
