//! Invariant: whatever packets come, with whatever holes, the first unit given is a keyframe, and each is the same after
//! it was sent and received again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_frames::depacketize::{
    AacDepacketizer, Av1Depacketizer, H264Depacketizer, HevcDepacketizer, Payload,
};
use roomtone_frames::packetize::packetize;
use roomtone_frames::{AacFormat, AccessUnit, Format};

enum Depacketizer {
    H264(H264Depacketizer),
    Hevc(HevcDepacketizer),
    Av1(Av1Depacketizer),
    Aac(AacDepacketizer),
}

impl Depacketizer {
    fn new(choice: u8) -> Self {
        match choice % 4 {
            0 => Self::H264(H264Depacketizer::default()),
            1 => Self::Hevc(HevcDepacketizer::default()),
            2 => Self::Av1(Av1Depacketizer::default()),
            _ => Self::Aac(AacDepacketizer::new(1024)),
        }
    }

    fn handle(&mut self, payload: Payload<'_>) -> Vec<AccessUnit> {
        match self {
            Self::H264(one) => {
                one.handle_payload(payload);
                std::iter::from_fn(|| one.poll_unit()).collect()
            }
            Self::Hevc(one) => {
                one.handle_payload(payload);
                std::iter::from_fn(|| one.poll_unit()).collect()
            }
            Self::Av1(one) => {
                one.handle_payload(payload);
                std::iter::from_fn(|| one.poll_unit()).collect()
            }
            Self::Aac(one) => {
                one.handle_payload(payload);
                std::iter::from_fn(|| one.poll_unit()).collect()
            }
        }
    }

    fn format(&self) -> Option<Format> {
        match self {
            Self::H264(one) => one.format().map(Format::H264),
            Self::Hevc(one) => one.format().map(Format::Hevc),
            Self::Av1(one) => one.format().cloned().map(Format::Av1),
            Self::Aac(_) => Some(Format::Aac(AacFormat {
                config: vec![0x11, 0x90].into(),
                sample_rate: 48_000,
                channels: 2,
            })),
        }
    }
}

/// What was sent again and received is the same.
fn send_again(choice: u8, format: &Format, unit: &AccessUnit) {
    let mut packets = Vec::new();
    if packetize(format, unit, 100, &mut packets).is_err() {
        return;
    }
    let mut receiver = Depacketizer::new(choice);
    let mut came = Vec::new();
    for (sequence, packet) in (0..).zip(&packets) {
        came.extend(receiver.handle(Payload {
            sequence,
            timestamp: unit.pts,
            marker: packet.marker,
            bytes: &packet.bytes,
        }));
    }
    // One that decoding cannot begin with is not given.
    if unit.keyframe {
        assert_eq!(came, [unit.clone()]);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else {
        return;
    };
    let mut depacketizer = Depacketizer::new(choice);
    let (mut sequence, mut timestamp, mut begun) = (0, 0, false);
    while let Some((&[flags, length], behind)) = rest.split_first_chunk::<2>() {
        let (bytes, next) = behind.split_at(usize::from(length).min(behind.len()));
        rest = next;
        sequence += 1 + u64::from(flags >> 7);
        timestamp += i64::from(flags & 3) * 1024;
        let units = depacketizer.handle(Payload {
            sequence,
            timestamp,
            marker: flags & 4 != 0,
            bytes,
        });
        let format = depacketizer.format();
        for unit in &units {
            assert!(begun || unit.keyframe);
            begun = true;
            if let Some(format) = &format {
                send_again(choice, format, unit);
            }
        }
    }
});
