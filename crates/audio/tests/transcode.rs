//! A tone through every pair of codecs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use roomtone_audio::codec::{Codec, CodecError, EncoderSetting};
use roomtone_audio::{Goertzel, TranscodeSpec, Transcoder, rms};
use std::f64::consts::TAU;

const AMPLITUDE: f64 = 10_000.0;
const CODECS: [Codec; 5] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::L16 { rate_hz: 16_000 },
    Codec::Opus,
];

/// A second and more of a tone, coded in packets of 20 ms.
fn coded(codec: Codec, packets: u32) -> Vec<Vec<u8>> {
    let rate_hz = codec.full_rate_hz();
    let mut encoder = codec.encoder(rate_hz).unwrap();
    let _ = encoder.set(EncoderSetting::BitrateBps(64_000));
    (0..packets)
        .map(|packet| {
            let len = rate_hz / 50;
            let pcm: Vec<i16> = (packet * len..(packet + 1) * len)
                .map(|n| TAU * 440.0 * f64::from(n) / f64::from(rate_hz))
                .map(|angle| (AMPLITUDE * angle.sin()) as i16)
                .collect();
            let mut payload = Vec::new();
            encoder.encode(&pcm, &mut payload).unwrap();
            payload
        })
        .collect()
}

/// What is heard behind a transcoder, and the timestamps and markers of its packets.
fn transcode(
    transcoder: &mut Transcoder,
    spec: TranscodeSpec,
    packets: &[(u32, Vec<u8>)],
) -> (Vec<i16>, Vec<(u32, bool)>) {
    let mut decoder = spec.to.decoder(spec.to.full_rate_hz()).unwrap();
    let (mut heard, mut stamps) = (Vec::new(), Vec::new());
    for (timestamp, payload) in packets {
        transcoder
            .handle(payload, *timestamp, |out| {
                let mut pcm = [0; 5_760];
                let len = decoder.decode(out.payload, &mut pcm).unwrap();
                heard.extend_from_slice(&pcm[..len]);
                stamps.push((out.timestamp, out.marker));
            })
            .unwrap();
    }
    (heard, stamps)
}

fn stamped(codec: Codec, packets: Vec<Vec<u8>>) -> Vec<(u32, Vec<u8>)> {
    let step = codec.clock_hz() / 50;
    let stamps = (0..).map(|at: u32| (at * step).wrapping_sub(10 * step));
    stamps.zip(packets).collect()
}

#[test]
fn a_tone_crosses_every_pair_of_codecs_at_its_level_and_alone() {
    for from in CODECS {
        for to in CODECS {
            for ptime_ms in [10, 20, 40, 60] {
                let spec = TranscodeSpec { from, to, ptime_ms };
                let mut transcoder =
                    Transcoder::new(spec, &[EncoderSetting::BitrateBps(64_000)]).unwrap();
                let packets = stamped(from, coded(from, 60));
                let (heard, stamps) = transcode(&mut transcoder, spec, &packets);
                let name = format!("{from:?} to {to:?}, {ptime_ms} ms");
                assert_eq!(heard.len(), to.full_rate_hz() as usize * 6 / 5, "{name}");
                let steady = &heard[heard.len() / 2..];
                let tone = Goertzel::new(to.full_rate_hz(), 440.0).windowed_amplitude(steady);
                let change = 20.0 * (tone / AMPLITUDE).log10();
                assert!(change.abs() < 1.0, "{name}: {change} dB");
                let rest = (rms(steady).powi(2) - tone * tone / 2.0).max(0.0).sqrt();
                assert!(rest < 0.1 * AMPLITUDE, "{name}: {rest} beside");
                // One packet after the other on the clock of what goes out; one marker.
                for (at, pair) in stamps.windows(2).enumerate() {
                    let step = pair[1].0.wrapping_sub(pair[0].0);
                    assert_eq!(step, to.clock_hz() / 1000 * ptime_ms, "{name}, {at}");
                }
                assert_eq!(stamps.iter().filter(|(_, marker)| *marker).count(), 1);
                let counters = transcoder.counters();
                assert_eq!((counters.decoded, counters.jumps), (60, 0));
            }
        }
    }
}

#[test]
fn lost_packets_are_bridged_and_long_gaps_move_the_timestamp() {
    for (from, to) in [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcma)] {
        let spec = TranscodeSpec {
            from,
            to,
            ptime_ms: 20,
        };
        let mut transcoder = Transcoder::new(spec, &[]).unwrap();
        let mut packets = stamped(from, coded(from, 200));
        packets.drain(120..170);
        packets.drain(60..63);
        let (heard, stamps) = transcode(&mut transcoder, spec, &packets);
        let counters = transcoder.counters();
        assert_eq!((counters.concealed, counters.jumps), (3, 1), "{counters:?}");
        // 200 packets less the 50 that were not bridged.
        assert_eq!(heard.len(), to.full_rate_hz() as usize * 3);
        let frame = to.full_rate_hz() as usize / 50;
        for bridged in heard[58 * frame..66 * frame].chunks_exact(frame) {
            // The first frame that comes of Opus at 64 kbit/s builds on one that was lost.
            assert!(rms(bridged) > 0.2 * AMPLITUDE, "{from:?}: {}", rms(bridged));
        }
        let step = to.clock_hz() / 50;
        let jump = stamps[120].0.wrapping_sub(stamps[119].0);
        assert_eq!(jump, 51 * step);
        assert!(stamps[120].1, "speech begins anew");
    }
}

#[test]
fn what_cannot_be_decoded_is_counted_and_bridged() {
    let (from, to) = (Codec::Opus, Codec::Pcmu);
    let spec = TranscodeSpec {
        from,
        to,
        ptime_ms: 20,
    };
    let mut transcoder = Transcoder::new(spec, &[]).unwrap();
    let mut packets = stamped(from, coded(from, 50));
    packets[30].1 = vec![0xff, 0xff];
    let (heard, _) = transcode(&mut transcoder, spec, &packets);
    let counters = transcoder.counters();
    assert_eq!((counters.undecodable, counters.concealed), (1, 1));
    assert_eq!(heard.len(), 8_000);
}

#[test]
fn a_packet_behind_later_ones_is_left_out_and_a_new_beginning_followed() {
    let (from, to) = (Codec::Pcmu, Codec::Pcma);
    let ptime_ms = 20;
    let spec = TranscodeSpec { from, to, ptime_ms };
    let mut transcoder = Transcoder::new(spec, &[]).unwrap();
    let mut packets = stamped(from, coded(from, 50));
    packets.swap(20, 21);
    for (timestamp, _) in &mut packets[30..] {
        *timestamp = timestamp.wrapping_sub(1_000_000);
    }
    let (heard, _) = transcode(&mut transcoder, spec, &packets);
    let counters = transcoder.counters();
    assert_eq!(
        (counters.late, counters.jumps, counters.concealed),
        (1, 1, 1)
    );
    assert_eq!(heard.len(), 8_000);
}

#[test]
fn a_length_that_the_codec_has_not_is_refused() {
    let (from, to) = (Codec::Pcmu, Codec::Opus);
    let refused = Transcoder::new(
        TranscodeSpec {
            from,
            to,
            ptime_ms: 30,
        },
        &[],
    );
    assert_eq!(
        refused.err(),
        Some(CodecError::FrameLength { samples: 240 })
    );
    let spec = TranscodeSpec {
        from: Codec::Opus,
        to: Codec::Pcmu,
        ptime_ms: 20,
    };
    let mut transcoder = Transcoder::new(spec, &[EncoderSetting::Complexity(3)]).unwrap();
    let answer = transcoder.set(EncoderSetting::Complexity(3));
    assert_eq!(answer, Err(CodecError::NoSuchSetting));
}
