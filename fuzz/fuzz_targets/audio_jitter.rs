//! Invariant: whatever packets come whenever, each pull is filled, no more packets wait than may,
//! and every packet is accounted for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_audio::codec::Codec;
use roomtone_audio::jitter::{JitterBuffer, JitterConfig, Packet, PacketKind};
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else {
        return;
    };
    let codec = [Codec::Pcmu, Codec::G722, Codec::Opus][usize::from(choice) % 3];
    let rate_hz = codec.rate_towards(8_000);
    let config = JitterConfig {
        most_packets: 16,
        ..JitterConfig::default()
    };
    let mut buffer = JitterBuffer::new(codec, rate_hz, config).expect("a rate of the codec");
    let mut out = vec![0; rate_hz as usize / 50];
    let mut now = Duration::ZERO;
    while let Some((&[high, low, stamp, fine, wait, kind], behind)) = rest.split_first_chunk::<6>()
    {
        let (payload, next) = behind.split_at(usize::from(kind & 0x1f).min(behind.len()));
        rest = next;
        let packet = Packet {
            sequence: u16::from_be_bytes([high, low]),
            timestamp: u32::from(stamp) * 160 + (u32::from(fine) << (kind >> 5) * 3),
            kind: match kind >> 5 {
                0 => PacketKind::Event,
                1 => PacketKind::ComfortNoise,
                _ => PacketKind::Sound,
            },
            payload,
        };
        buffer.handle_packet(packet, now);
        if wait & 1 == 1 {
            buffer.pull(&mut out, now);
        }
        now += Duration::from_millis(u64::from(wait));
        let counters = buffer.counters();
        let done = counters.duplicate + counters.overflow + counters.decoded + counters.undecodable;
        assert!(done <= counters.received);
    }
});
