//! Opus against other implementations, and what its settings do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use opus_pure as second;
use roomtone_audio::codec::{
    Bandwidth, CodecError, Decode, Encode, Encoded, EncoderSetting, OpusDecoder, OpusEncoder,
};
use roomtone_audio::{Goertzel, rms};
use std::f64::consts::TAU;

const FRAME: usize = 960;

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

fn payloads(mut framed: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let Some((len, rest)) = framed.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)));
        out.push(payload);
        framed = rest;
    }
    out
}

fn sine(rate_hz: u32, tone_hz: f64, count: usize) -> Vec<i16> {
    (0..count)
        .map(|n| (10_000.0 * (TAU * tone_hz * n as f64 / f64::from(rate_hz)).sin()).round() as i16)
        .collect()
}

fn encode_all(encoder: &mut OpusEncoder, pcm: &[i16], frame: usize) -> Vec<Vec<u8>> {
    pcm.chunks_exact(frame)
        .map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload).unwrap();
            payload
        })
        .collect()
}

fn decode_all<T: AsRef<[u8]>>(payloads: &[T], rate_hz: u32) -> Vec<i16> {
    let mut decoder = OpusDecoder::new(rate_hz).unwrap();
    let mut out = Vec::new();
    for payload in payloads {
        let mut frame = [0; 5760];
        let len = decoder.decode(payload.as_ref(), &mut frame).unwrap();
        out.extend_from_slice(&frame[..len]);
    }
    out
}

/// Signal to noise in decibels of `ours` against `theirs`, at the best of all small delays.
fn agreement_db(ours: &[i16], theirs: &[i16]) -> f64 {
    (0..120)
        .flat_map(|shift| [(shift, 0), (0, shift)])
        .map(|(our_start, their_start)| {
            let (mut signal, mut noise) = (0.0, 1e-9);
            for (&our, &their) in ours[our_start..].iter().zip(&theirs[their_start..]) {
                signal += f64::from(their) * f64::from(their);
                noise += (f64::from(our) - f64::from(their)).powi(2);
            }
            10.0 * f64::log10(signal / noise)
        })
        .fold(f64::MIN, f64::max)
}

#[test]
fn packets_decode_as_ffmpegs_own_decoder_has_them() {
    // How these were made: tests/vectors/audio/README.md.
    let celt = decode_all(
        &payloads(include_bytes!(
            "../../../tests/vectors/audio/celt.opus-frames"
        )),
        48_000,
    );
    let theirs = samples(include_bytes!(
        "../../../tests/vectors/audio/celt-decoded.s16"
    ));
    assert_eq!(celt.len(), theirs.len());
    let agreement = agreement_db(&celt, &theirs);
    assert!(agreement > 60.0, "CELT agrees to {agreement} dB");

    let silk = decode_all(
        &payloads(include_bytes!(
            "../../../tests/vectors/audio/silk.opus-frames"
        )),
        48_000,
    );
    let theirs = samples(include_bytes!(
        "../../../tests/vectors/audio/silk-decoded.s16"
    ));
    assert_eq!(silk.len(), theirs.len());
    // The standard leaves the resampler behind SILK free (RFC 6716 section 4.2.9).
    let agreement = agreement_db(&silk, &theirs);
    assert!(agreement > 25.0, "SILK agrees to {agreement} dB");
}

#[test]
fn a_second_implementation_decodes_ours_and_we_decode_its() {
    for rate_hz in [8_000, 16_000, 48_000] {
        let frame = rate_hz as usize / 50;
        let pcm = sine(rate_hz, 440.0, rate_hz as usize);
        let ours = encode_all(&mut OpusEncoder::new(rate_hz).unwrap(), &pcm, frame);
        let mut theirs = second::OpusDecoder::new(rate_hz as i32, 1).unwrap();
        let mut heard = Vec::new();
        for payload in &ours {
            let mut out = vec![0; frame];
            assert_eq!(theirs.decode_s16(payload, frame, &mut out).unwrap(), frame);
            heard.extend(out);
        }
        let agreement = agreement_db(&decode_all(&ours, rate_hz), &heard);
        assert!(agreement > 50.0, "{rate_hz} Hz agrees to {agreement} dB");

        let mut theirs =
            second::OpusEncoder::new(rate_hz as i32, 1, second::Application::Voip).unwrap();
        let made: Vec<Vec<u8>> = pcm
            .chunks_exact(frame)
            .map(|pcm| {
                let mut payload = vec![0; 1500];
                let len = theirs.encode_s16(pcm, frame, &mut payload).unwrap();
                payload.truncate(len);
                payload
            })
            .collect();
        let heard = decode_all(&made, rate_hz);
        let tone = Goertzel::new(rate_hz, 440.0).amplitude(&heard[heard.len() / 2..]);
        assert!((8_000.0..12_000.0).contains(&tone), "{tone} at {rate_hz}");
    }
}

#[test]
fn a_tone_comes_back_at_every_rate_and_frame_length() {
    for rate_hz in [8_000_u32, 16_000, 24_000, 48_000] {
        for frame_ms in [10, 20, 40, 60] {
            let frame = (rate_hz * frame_ms / 1000) as usize;
            let pcm = sine(rate_hz, 440.0, frame * (1200 / frame_ms as usize));
            let made = encode_all(&mut OpusEncoder::new(rate_hz).unwrap(), &pcm, frame);
            let heard = decode_all(&made, rate_hz);
            assert_eq!(heard.len(), pcm.len());
            let steady = &heard[heard.len() / 2..];
            let tone = Goertzel::new(rate_hz, 440.0).amplitude(steady);
            assert!((8_500.0..11_500.0).contains(&tone), "{tone} at {rate_hz}");
            let rest = (rms(steady).powi(2) - tone * tone / 2.0).max(0.0).sqrt();
            assert!(rest < 1_000.0, "{rest} beside the tone at {rate_hz} Hz");
        }
    }
}

#[test]
fn a_lost_frame_is_recovered_from_the_next_packet() {
    let mut encoder = OpusEncoder::new(48_000).unwrap();
    for setting in [
        EncoderSetting::Fec(true),
        EncoderSetting::ExpectedLossPercent(20),
        EncoderSetting::BitrateBps(32_000),
        EncoderSetting::MaxBandwidth(Bandwidth::Wide),
    ] {
        encoder.set(setting).unwrap();
    }
    // Each frame has a tone of its own, so that only a copy of the lost one can have its tone.
    let tone_of = |frame: usize| 300.0 + 200.0 * (frame / 4 % 5) as f64;
    let pcm: Vec<i16> = (0..40)
        .flat_map(|frame| sine(48_000, tone_of(frame), FRAME))
        .collect();
    let made = encode_all(&mut encoder, &pcm, FRAME);
    let mut decoder = OpusDecoder::new(48_000).unwrap();
    let mut recovered = 0;
    for (frame, payload) in made.iter().enumerate() {
        let mut out = [0; FRAME];
        // The third frame of a run of four is lost.
        if frame % 4 == 2 {
            let next = &made[frame + 1];
            let Some(answer) = decoder.recover(next, &mut out) else {
                continue;
            };
            assert_eq!(answer, Ok(FRAME));
            let tone = Goertzel::new(48_000, tone_of(frame)).amplitude(&out);
            recovered += usize::from(tone > 6_000.0);
        } else {
            decoder.decode(payload, &mut out).unwrap();
        }
    }
    assert!(recovered >= 8, "{recovered} of 10 lost frames recovered");
}

#[test]
fn a_packet_without_a_copy_recovers_nothing() {
    let pcm = sine(48_000, 440.0, 4 * FRAME);
    let made = encode_all(&mut OpusEncoder::new(48_000).unwrap(), &pcm, FRAME);
    let mut decoder = OpusDecoder::new(48_000).unwrap();
    assert_eq!(decoder.recover(&made[3], &mut [0; FRAME]), None);
    assert_eq!(decoder.recover(&[], &mut [0; FRAME]), None);
}

#[test]
fn a_lost_frame_is_concealed_and_a_long_loss_fades() {
    let pcm = sine(48_000, 440.0, 20 * FRAME);
    let made = encode_all(&mut OpusEncoder::new(48_000).unwrap(), &pcm, FRAME);
    let mut decoder = OpusDecoder::new(48_000).unwrap();
    let mut out = [0; FRAME];
    for payload in &made {
        decoder.decode(payload, &mut out).unwrap();
    }
    let before = rms(&out);
    assert_eq!(decoder.conceal(&mut out), Some(Ok(FRAME)));
    assert!(rms(&out) > 0.5 * before, "{} of {before}", rms(&out));
    for _ in 0..50 {
        decoder.conceal(&mut out);
    }
    assert!(rms(&out) < 0.05 * before, "{} of {before}", rms(&out));
}

#[test]
fn silence_is_sent_as_nothing_with_dtx_and_in_full_without() {
    let sent = |dtx: bool| {
        let mut encoder = OpusEncoder::new(16_000).unwrap();
        encoder.set(EncoderSetting::Dtx(dtx)).unwrap();
        let frames = (0..100).map(|_| encoder.encode(&[0; 320], &mut Vec::new()).unwrap());
        frames.filter(|&made| made != Encoded::Nothing).count()
    };
    assert_eq!(sent(false), 100);
    assert!(sent(true) < 40, "{} frames of silence sent", sent(true));
}

#[test]
fn bitrate_and_bandwidth_are_kept_to() {
    let bytes = |setting: EncoderSetting| {
        let mut encoder = OpusEncoder::new(48_000).unwrap();
        encoder.set(setting).unwrap();
        let pcm = sine(48_000, 3_300.0, 50 * FRAME);
        let made = encode_all(&mut encoder, &pcm, FRAME);
        (made.iter().map(Vec::len).sum::<usize>(), made)
    };
    let (few, _) = bytes(EncoderSetting::BitrateBps(12_000));
    let (many, _) = bytes(EncoderSetting::BitrateBps(64_000));
    assert!(few < 2_500 && many > 2 * few, "{few} and {many} bytes");
    // RFC 6716 table 2: the configuration in the top five bits tells the bandwidth.
    let (_, made) = bytes(EncoderSetting::MaxBandwidth(Bandwidth::Narrow));
    for payload in made {
        let configuration = payload[0] >> 3;
        assert!(matches!(configuration, 0..=3 | 16..=19), "{configuration}");
    }
}

#[test]
fn values_outside_a_setting_are_refused() {
    let mut encoder = OpusEncoder::new(48_000).unwrap();
    for setting in [
        EncoderSetting::Complexity(11),
        EncoderSetting::BitrateBps(100),
        EncoderSetting::BitrateBps(u32::MAX),
        EncoderSetting::ExpectedLossPercent(101),
    ] {
        assert_eq!(encoder.set(setting), Err(CodecError::SettingOutOfRange));
    }
    assert_eq!(encoder.set(EncoderSetting::Complexity(10)), Ok(()));
    encoder.reset();
    let mut payload = Vec::new();
    assert!(encoder.encode(&[0; FRAME], &mut payload).is_ok());
}

#[test]
fn what_is_no_packet_is_refused() {
    let mut decoder = OpusDecoder::new(48_000).unwrap();
    let mut out = [0; 5760];
    for payload in [&[][..], &[0x03, 0xff][..], &[0xff, 0x00][..]] {
        assert_eq!(
            decoder.decode(payload, &mut out),
            Err(CodecError::BadPayload)
        );
    }
    let mut payload = Vec::new();
    let mut encoder = OpusEncoder::new(48_000).unwrap();
    encoder.encode(&[0; FRAME], &mut payload).unwrap();
    let answer = decoder.decode(&payload, &mut out[..FRAME - 1]);
    assert_eq!(answer, Err(CodecError::BufferTooSmall { needed: FRAME }));
}
