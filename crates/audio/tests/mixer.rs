//! Who hears whom in a mix.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use roomtone_audio::codec::{Codec, CodecError, Decode, EncoderSetting};
use roomtone_audio::mixer::{
    InputId, MAX_INPUTS, MAX_OUTPUTS, Mixer, MixerError, OutputId, OutputSpec,
};
use roomtone_audio::{Goertzel, rms};
use std::collections::BTreeMap;
use std::f64::consts::TAU;

const AMPLITUDE: f64 = 6_000.0;

fn sine(rate_hz: u32, tone_hz: f64, tick: u32, tick_ms: u32) -> Vec<i16> {
    let len = rate_hz / 1000 * tick_ms;
    (tick * len..(tick + 1) * len)
        .map(|n| (AMPLITUDE * (TAU * tone_hz * f64::from(n) / f64::from(rate_hz)).sin()) as i16)
        .collect()
}

/// Somebody with an input and an output, and what they have heard.
struct Party {
    input: InputId,
    output: OutputId,
    rate_hz: u32,
    tone_hz: f64,
    decoder: Box<dyn Decode>,
    heard: Vec<i16>,
    timestamp: u32,
}

impl Party {
    fn join(mixer: &mut Mixer, codec: Codec, rate_hz: u32, ptime_ms: u32, tone_hz: f64) -> Self {
        let input = mixer.add_input(rate_hz).unwrap();
        let spec = OutputSpec {
            codec,
            rate_hz,
            ptime_ms,
            without: Some(input),
        };
        Self {
            input,
            output: mixer.add_output(spec).unwrap(),
            rate_hz,
            tone_hz,
            decoder: codec.decoder(rate_hz).unwrap(),
            heard: Vec::new(),
            timestamp: 0,
        }
    }
}

/// Runs a mixer of 20 ms ticks; `speaks` says who sounds their tone.
fn run(
    mixer: &mut Mixer,
    parties: &mut [Party],
    ticks: std::ops::Range<u32>,
    speaks: impl Fn(usize, u32) -> bool,
) {
    for tick in ticks {
        for (at, party) in parties.iter().enumerate() {
            let len = party.rate_hz as usize / 50;
            let pcm = if speaks(at, tick) {
                sine(party.rate_hz, party.tone_hz, tick, 20)
            } else {
                vec![0; len]
            };
            mixer.write(party.input, &pcm).unwrap();
        }
        let mut by_output: BTreeMap<OutputId, &mut Party> = parties
            .iter_mut()
            .map(|party| (party.output, party))
            .collect();
        mixer
            .tick(|out| {
                for id in out.outputs {
                    let party = by_output.get_mut(id).unwrap();
                    let mut pcm = [0; 5_760];
                    let len = party.decoder.decode(out.payload, &mut pcm).unwrap();
                    party.heard.extend_from_slice(&pcm[..len]);
                    party.timestamp += out.timestamp_step;
                }
            })
            .unwrap();
    }
}

/// Each hears the tones of all others at their level, and of itself nothing.
fn assert_each_hears_the_others(parties: &[Party]) {
    for party in parties {
        let steady = &party.heard[party.heard.len() / 2..];
        let mut others = 0.0;
        for other in parties {
            let tone = Goertzel::new(party.rate_hz, other.tone_hz).windowed_amplitude(steady);
            if other.output == party.output {
                assert!(
                    tone < 0.02 * AMPLITUDE,
                    "{} hears itself: {tone}",
                    party.tone_hz
                );
            } else {
                let change = 20.0 * (tone / AMPLITUDE).log10();
                assert!(
                    change.abs() < 1.5,
                    "{} of {}: {change} dB",
                    party.tone_hz,
                    other.tone_hz
                );
                others += tone * tone / 2.0;
            }
        }
        let rest = (rms(steady).powi(2) - others).max(0.0).sqrt();
        assert!(rest < 0.15 * AMPLITUDE, "{}: {rest} beside", party.tone_hz);
    }
}

#[test]
fn each_of_three_hears_the_other_two_through_every_codec() {
    let codecs = [
        (Codec::Pcmu, 8_000),
        (Codec::Pcma, 8_000),
        (Codec::G722, 16_000),
        (Codec::L16 { rate_hz: 24_000 }, 24_000),
        (Codec::Opus, 48_000),
    ];
    for (at, &(codec, rate_hz)) in codecs.iter().enumerate() {
        for &(other, other_rate_hz) in &codecs[at..] {
            let settings = [EncoderSetting::BitrateBps(64_000)];
            let mut mixer = Mixer::new(20, &settings).unwrap();
            let mut parties = [
                Party::join(&mut mixer, codec, rate_hz, 20, 440.0),
                Party::join(&mut mixer, other, other_rate_hz, 20, 880.0),
                Party::join(&mut mixer, codec, rate_hz, 40, 1_320.0),
            ];
            run(&mut mixer, &mut parties, 0..100, |_, _| true);
            assert_each_hears_the_others(&parties);
            for party in &parties {
                assert_eq!(party.heard.len(), 2 * party.rate_hz as usize);
            }
            assert_eq!(parties[0].timestamp, 2 * codec.clock_hz());
        }
    }
}

#[test]
fn the_mix_of_the_silent_is_encoded_once_for_all_of_them() {
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let mut parties: Vec<Party> = (0..20)
        .map(|at| {
            Party::join(
                &mut mixer,
                Codec::Pcmu,
                8_000,
                20,
                300.0 + 100.0 * f64::from(at),
            )
        })
        .collect();
    run(&mut mixer, &mut parties, 0..100, |at, _| at < 3);
    let counters = mixer.counters();
    // Three speakers, and one for the seventeen others.
    assert_eq!(counters.encoded, 4 * 100);
    assert_eq!(counters.delivered, 20 * 100);
    assert_eq!(counters.mixed, 3 * 100);
    assert_eq!(counters.silent, 17 * 100);
    assert_each_hears_the_others(&{
        parties.truncate(3);
        parties
    });
}

#[test]
fn silence_hears_nothing_and_speech_is_not_torn_when_speakers_change() {
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let mut parties = [
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 440.0),
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 880.0),
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 1_320.0),
    ];
    run(&mut mixer, &mut parties, 0..50, |_, _| false);
    assert!(
        parties
            .iter()
            .all(|party| party.heard.iter().all(|sample| sample.abs() < 9))
    );
    // The first speaks all the time, the second in turns: the third hears the first throughout.
    run(&mut mixer, &mut parties, 50..350, |at, tick| {
        at == 0 || at == 1 && tick / 50 % 2 == 0
    });
    let third = &parties[2].heard[9_600..];
    for frame in third.chunks_exact(160) {
        let tone = Goertzel::new(8_000, 440.0).amplitude(frame);
        assert!((0.85..1.15).contains(&(tone / AMPLITUDE)), "{tone}");
    }
    // And the second never misses a packet, whichever mix it hears.
    assert_eq!(parties[1].heard.len(), 350 * 160);
    let second = parties[1].heard[9_600..].chunks_exact(160);
    for frame in second {
        let tone = Goertzel::new(8_000, 440.0).amplitude(frame);
        assert!((0.85..1.15).contains(&(tone / AMPLITUDE)), "{tone}");
    }
}

#[test]
fn a_muted_input_is_heard_by_nobody_and_an_input_gone_by_nobody_either() {
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let mut parties = [
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 440.0),
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 880.0),
    ];
    mixer.set_muted(parties[0].input, true).unwrap();
    run(&mut mixer, &mut parties, 0..50, |_, _| true);
    assert!(rms(&parties[1].heard) < 9.0);
    assert!(rms(&parties[0].heard) > 3_000.0);
    assert_eq!(mixer.level(parties[0].input), Ok(127));
    mixer.set_muted(parties[0].input, false).unwrap();
    run(&mut mixer, &mut parties, 50..100, |_, _| true);
    assert!(rms(&parties[1].heard[60 * 160..]) > 3_000.0);

    mixer.remove_input(parties[1].input).unwrap();
    assert_eq!(
        mixer.write(parties[1].input, &[0; 160]),
        Err(MixerError::NoSuchInput)
    );
    assert_eq!(
        mixer.remove_input(parties[1].input),
        Err(MixerError::NoSuchInput)
    );
    mixer.remove_output(parties[0].output).unwrap();
    let mut given = 0;
    mixer
        .write(parties[0].input, &sine(8_000, 440.0, 0, 20))
        .unwrap();
    mixer.tick(|out| given += out.outputs.len()).unwrap();
    assert_eq!(given, 1, "an output without its input hears everybody");
    mixer.remove_output(parties[1].output).unwrap();
    mixer.tick(|_| panic!("nobody listens")).unwrap();
    assert_eq!(
        mixer.remove_output(parties[1].output),
        Err(MixerError::NoSuchOutput)
    );
}

#[test]
fn listeners_without_an_input_hear_everybody() {
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let parties = [
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 440.0),
        Party::join(&mut mixer, Codec::Pcmu, 8_000, 20, 880.0),
    ];
    let spec = OutputSpec {
        codec: Codec::L16 { rate_hz: 16_000 },
        rate_hz: 16_000,
        ptime_ms: 10,
        without: None,
    };
    let listener = mixer.add_output(spec).unwrap();
    let mut heard = Vec::new();
    for tick in 0..50 {
        for party in &parties {
            mixer
                .write(party.input, &sine(8_000, party.tone_hz, tick, 20))
                .unwrap();
        }
        mixer
            .tick(|out| {
                if out.outputs.contains(&listener) {
                    assert_eq!((out.payload.len(), out.timestamp_step), (320, 160));
                    heard.extend(
                        out.payload
                            .chunks(2)
                            .map(|b| i16::from_be_bytes([b[0], b[1]])),
                    );
                }
            })
            .unwrap();
    }
    assert_eq!(heard.len(), 16_000);
    for tone_hz in [440.0, 880.0] {
        let tone = Goertzel::new(16_000, tone_hz).windowed_amplitude(&heard[8_000..]);
        assert!((0.97..1.03).contains(&(tone / AMPLITUDE)), "{tone}");
    }
}

#[test]
fn five_hundred_who_shout_are_mixed_without_overflow() {
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let inputs: Vec<InputId> = (0..MAX_INPUTS)
        .map(|_| mixer.add_input(8_000).unwrap())
        .collect();
    assert_eq!(mixer.add_input(8_000), Err(MixerError::TooManyInputs));
    let spec = |without| OutputSpec {
        codec: Codec::Pcmu,
        rate_hz: 8_000,
        ptime_ms: 20,
        without,
    };
    for &input in &inputs {
        mixer.add_output(spec(Some(input))).unwrap();
    }
    for _ in inputs.len()..MAX_OUTPUTS {
        mixer.add_output(spec(None)).unwrap();
    }
    assert_eq!(
        mixer.add_output(spec(None)),
        Err(MixerError::TooManyOutputs)
    );
    for _ in 0..3 {
        for &input in &inputs {
            mixer.write(input, &[i16::MAX; 160]).unwrap();
        }
        let mut given = 0;
        mixer
            .tick(|out| {
                given += out.outputs.len();
                // The loudest code that there is, and no sign has turned.
                assert!(out.payload.iter().skip(80).all(|&code| code == 0x80));
            })
            .unwrap();
        assert_eq!(given, MAX_OUTPUTS);
    }
    assert_eq!(mixer.counters().encoded, 3 * 501);
}

#[test]
fn a_setting_reaches_the_encoders_that_are_and_those_to_come() {
    let bytes = |mixer: &mut Mixer, ticks: std::ops::Range<u32>| {
        let mut parties = Vec::new();
        for tone_hz in [440.0, 880.0] {
            parties.push(Party::join(mixer, Codec::Opus, 16_000, 20, tone_hz));
        }
        parties.push(Party::join(mixer, Codec::Pcmu, 8_000, 20, 1_320.0));
        let mut bytes = 0;
        for tick in ticks {
            for party in &parties {
                let pcm = sine(party.rate_hz, party.tone_hz, tick, 20);
                mixer.write(party.input, &pcm).unwrap();
            }
            mixer
                .tick(|out| bytes += usize::from(out.payload.len() < 160) * out.payload.len())
                .unwrap();
        }
        for party in parties {
            mixer.remove_input(party.input).unwrap();
            mixer.remove_output(party.output).unwrap();
        }
        bytes
    };
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let before = bytes(&mut mixer, 0..100);
    mixer.set(EncoderSetting::BitrateBps(8_000)).unwrap();
    let after = bytes(&mut mixer, 100..200);
    assert!(2 * after < before, "{before} bytes, then {after}");
    let wrong = EncoderSetting::BitrateBps(1);
    let refused = MixerError::Codec(CodecError::SettingOutOfRange);
    assert_eq!(mixer.set(wrong), Err(refused));
    assert_eq!(Mixer::new(20, &[wrong]).err(), Some(refused));
}

#[test]
fn what_fits_no_tick_or_codec_is_refused() {
    assert_eq!(
        Mixer::new(15, &[]).err(),
        Some(MixerError::Ptime { ptime_ms: 15 })
    );
    let mut mixer = Mixer::new(20, &[]).unwrap();
    let input = mixer.add_input(8_000).unwrap();
    let answer = mixer.write(input, &[0; 80]);
    assert_eq!(answer, Err(MixerError::FrameLength { samples: 80 }));
    let spec = OutputSpec {
        codec: Codec::Pcmu,
        rate_hz: 8_000,
        ptime_ms: 20,
        without: Some(input),
    };
    for ptime_ms in [0, 30, 160] {
        let answer = mixer.add_output(OutputSpec { ptime_ms, ..spec });
        assert_eq!(answer, Err(MixerError::Ptime { ptime_ms }));
    }
    let wrong_rate = OutputSpec {
        rate_hz: 16_000,
        ..spec
    };
    assert!(matches!(
        mixer.add_output(wrong_rate),
        Err(MixerError::Codec(_))
    ));
    mixer.remove_input(input).unwrap();
    assert_eq!(mixer.add_output(spec), Err(MixerError::NoSuchInput));
}
