//! Prints what each step on a 20 ms frame costs, in microseconds. Run with `--release`.

use roomtone_audio::codec::{Codec, CodecError, Encoded};
use roomtone_audio::jitter::{JitterBuffer, JitterConfig, Packet, PacketKind};
use roomtone_audio::mixer::{Mixer, MixerError, OutputSpec};
use roomtone_audio::{Resampler, TranscodeSpec, Transcoder};
use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::{Duration, Instant};

const FRAMES: usize = 100;

/// Two voices' worth of tones that swell and fade, so that codecs have work to do.
fn sound(rate_hz: u32) -> Vec<i16> {
    let step = |hz: f64, n: usize| (TAU * hz * n as f64 / f64::from(rate_hz)).sin();
    (0..rate_hz as usize * 2)
        .map(|n| {
            let swell = step(3.0, n).abs();
            (6_000.0 * swell * (step(220.0, n) + 0.6 * step(1_330.0, n) + 0.2 * step(2_900.0, n)))
                as i16
        })
        .collect()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock; the library never does"
)]
fn microseconds_each(mut work: impl FnMut(usize)) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for frame in 0..FRAMES {
            work(frame);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / FRAMES as f64);
    }
    best
}

fn codecs() -> Result<(), CodecError> {
    println!(
        "{:<10} {:>8} {:>10} {:>10}",
        "codec", "Hz", "encode us", "decode us"
    );
    for (codec, rate_hz) in [
        (Codec::Pcmu, 8_000),
        (Codec::Pcma, 8_000),
        (Codec::G722, 16_000),
        (Codec::L16 { rate_hz: 16_000 }, 16_000),
        (Codec::Opus, 8_000),
        (Codec::Opus, 16_000),
        (Codec::Opus, 24_000),
        (Codec::Opus, 48_000),
    ] {
        let pcm = sound(rate_hz);
        let len = rate_hz as usize / 50;
        let frame = |at: usize| &pcm[at * len..][..len];
        let mut encoder = codec.encoder(rate_hz)?;
        let mut payload = Vec::with_capacity(2_000);
        let encode = microseconds_each(|at| {
            payload.clear();
            let _ = black_box(encoder.encode(black_box(frame(at)), &mut payload));
        });
        let mut payloads = vec![Vec::new(); FRAMES];
        for (at, payload) in payloads.iter_mut().enumerate() {
            assert_ne!(encoder.encode(frame(at), payload)?, Encoded::Nothing);
        }
        let mut decoder = codec.decoder(rate_hz)?;
        let mut out = vec![0; len];
        let decode = microseconds_each(|at| {
            let _ = black_box(decoder.decode(black_box(&payloads[at]), &mut out));
        });
        println!(
            "{:<10} {rate_hz:>8} {encode:>10.2} {decode:>10.2}",
            codec.name()
        );
    }
    Ok(())
}

fn resampling() -> Result<(), CodecError> {
    println!("\n{:<10} {:>8} {:>10}", "from Hz", "to Hz", "us");
    for (from_hz, to_hz) in [
        (8_000, 16_000),
        (8_000, 48_000),
        (16_000, 48_000),
        (24_000, 16_000),
        (48_000, 16_000),
        (48_000, 8_000),
    ] {
        let pcm = sound(from_hz);
        let len = from_hz as usize / 50;
        let mut resampler = Resampler::new(from_hz, to_hz)?;
        let mut out = Vec::with_capacity(2_000);
        let cost = microseconds_each(|at| {
            out.clear();
            resampler.process(black_box(&pcm[at * len..][..len]), &mut out);
            black_box(&out);
        });
        println!("{from_hz:<10} {to_hz:>8} {cost:>10.2}");
    }
    Ok(())
}

/// The payloads of [`sound`], two seconds of them.
fn payloads(codec: Codec) -> Result<Vec<Vec<u8>>, CodecError> {
    let rate_hz = codec.full_rate_hz();
    let mut encoder = codec.encoder(rate_hz)?;
    let frames = sound(rate_hz);
    let mut out = Vec::new();
    for pcm in frames.chunks_exact(rate_hz as usize / 50) {
        let mut payload = Vec::new();
        encoder.encode(pcm, &mut payload)?;
        out.push(payload);
    }
    Ok(out)
}

fn transcoding() -> Result<(), CodecError> {
    println!(
        "\n{:<10} {:>8} {:>10} {:>14}",
        "from", "to", "us", "streams a core"
    );
    for (from, to) in [
        (Codec::Pcmu, Codec::Pcma),
        (Codec::Pcmu, Codec::G722),
        (Codec::Pcmu, Codec::Opus),
        (Codec::Opus, Codec::Pcmu),
        (Codec::G722, Codec::Opus),
    ] {
        let payloads = payloads(from)?;
        let ptime_ms = 20;
        let mut transcoder = Transcoder::new(TranscodeSpec { from, to, ptime_ms }, &[])?;
        let mut timestamp = 0_u32;
        let cost = microseconds_each(|at| {
            let payload = black_box(&payloads[at]);
            let made = transcoder.handle(payload, timestamp, |out| {
                black_box(out.payload);
            });
            timestamp = timestamp.wrapping_add(from.clock_hz() / 50);
            let _ = black_box(made);
        });
        assert_eq!(transcoder.counters().jumps, 0);
        let streams = 20_000.0 / cost;
        println!(
            "{:<10} {:>8} {cost:>10.2} {streams:>14.0}",
            from.name(),
            to.name()
        );
    }
    Ok(())
}

/// A mix of 200, each with a jitter buffer: what one of them costs a tick.
fn mixing() -> Result<(), MixerError> {
    const PARTIES: usize = 200;
    println!(
        "\n{:<28} {:>12} {:>12}",
        "PCMU mix of 200", "us each", "each a core"
    );
    for speakers in [3, 20, PARTIES] {
        let payloads = payloads(Codec::Pcmu)?;
        let silence = vec![0xff; 160];
        let mut mixer = Mixer::new(20, &[])?;
        let mut parties = Vec::new();
        for _ in 0..PARTIES {
            let input = mixer.add_input(8_000)?;
            mixer.add_output(OutputSpec {
                codec: Codec::Pcmu,
                rate_hz: 8_000,
                ptime_ms: 20,
                without: Some(input),
            })?;
            let buffer = JitterBuffer::new(Codec::Pcmu, 8_000, JitterConfig::default())?;
            parties.push((input, buffer));
        }
        let (mut tick, mut pcm) = (0_u32, [0; 160]);
        let cost = microseconds_each(|at| {
            let now = Duration::from_millis(20 * u64::from(tick));
            for (number, (input, buffer)) in parties.iter_mut().enumerate() {
                let packet = Packet {
                    sequence: tick as u16,
                    timestamp: tick.wrapping_mul(160),
                    kind: PacketKind::Sound,
                    payload: if number < speakers {
                        &payloads[at]
                    } else {
                        &silence
                    },
                };
                buffer.handle_packet(packet, now);
                buffer.pull(&mut pcm, now);
                let _ = black_box(mixer.write(*input, &pcm));
            }
            let _ = black_box(mixer.tick(|out| {
                black_box(out.payload);
            }));
            tick += 1;
        });
        // All of it was done: every packet decoded, every party served, and the speakers mixed.
        let (ticks, counters) = (u64::from(tick), mixer.counters());
        let decoded = |(_, buffer): &(_, JitterBuffer)| buffer.counters().decoded;
        assert!(
            parties
                .iter()
                .map(decoded)
                .all(|decoded| decoded + 5 > ticks)
        );
        assert_eq!(counters.delivered, ticks * PARTIES as u64);
        assert!(
            counters.mixed > ticks * speakers as u64 * 9 / 10,
            "{counters:?}"
        );
        let each = cost / PARTIES as f64;
        println!(
            "{:<28} {each:>12.2} {:>12.0}",
            format!("{speakers} speak"),
            20_000.0 / each
        );
    }
    Ok(())
}

fn main() -> Result<(), MixerError> {
    codecs()?;
    resampling()?;
    transcoding()?;
    mixing()
}
