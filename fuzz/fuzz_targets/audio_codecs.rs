//! Invariant: whatever payloads a peer sends, a decoder either refuses one or gives exactly the
//! samples it announced, and it goes on decoding what comes next.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_audio::codec::{Codec, MAX_FRAME_SAMPLES};

const CODECS: [Codec; 5] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::L16 { rate_hz: 16_000 },
    Codec::Opus,
];

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else {
        return;
    };
    let codec = CODECS[usize::from(choice) % CODECS.len()];
    let rate_hz = codec.rate_towards([8_000, 16_000, 24_000, 48_000][usize::from(choice >> 6)]);
    let rate_hz = if codec == Codec::Opus {
        rate_hz
    } else {
        codec.full_rate_hz()
    };
    let mut decoder = codec.decoder(rate_hz).expect("a rate of the codec");
    let mut out = vec![0; MAX_FRAME_SAMPLES];
    // Each payload behind one byte with its length.
    while let Some((&len, behind)) = rest.split_first() {
        let (payload, next) = behind.split_at(usize::from(len).min(behind.len()));
        rest = next;
        let announced = decoder.samples_in(payload);
        let decoded = decoder.decode(payload, &mut out);
        if let Ok(samples) = decoded {
            assert_eq!(announced, Ok(samples));
        }
        if len & 1 == 1 {
            let _ = decoder.recover(payload, &mut out[..rate_hz as usize / 50]);
            let _ = decoder.conceal(&mut out[..rate_hz as usize / 50]);
        }
    }
});
