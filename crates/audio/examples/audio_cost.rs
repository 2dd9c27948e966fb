//! Prints what each step on a 20 ms frame costs, in microseconds. Run with `--release`.

use roomtone_audio::Resampler;
use roomtone_audio::codec::{Codec, CodecError, Encoded};
use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Instant;

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

fn main() -> Result<(), CodecError> {
    codecs()?;
    resampling()
}
