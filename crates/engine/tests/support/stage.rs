//! A mixer, who speaks into it and who hears what comes out.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use roomtone_audio::Goertzel;
use roomtone_audio::codec::{Codec, Encode, MAX_FRAME_SAMPLES};
use roomtone_engine::values::{
    CodecParameters, Command, CommandResult, EncodingParameters, Latching, MediaKind,
};

use super::{Harness, PATIENCE, Parts, PlainOptions, codec, config, receive_rtp, rtp, socket};

pub(crate) const PCMU: (u8, &str, u32, u8) = (0, "PCMU", 8_000, 1);
pub(crate) const PCMA: (u8, &str, u32, u8) = (8, "PCMA", 8_000, 1);
pub(crate) const G722: (u8, &str, u32, u8) = (9, "G722", 8_000, 1);
pub(crate) const OPUS: (u8, &str, u32, u8) = (111, "opus", 48_000, 2);
pub(crate) const L16: (u8, &str, u32, u8) = (97, "L16", 16_000, 1);
/// Amplitude of what is spoken.
pub(crate) const LOUD: f64 = 6_000.0;

pub(crate) type Named = (u8, &'static str, u32, u8);

pub(crate) fn named(of: Named) -> CodecParameters {
    codec(of.0, of.1, of.2, of.3)
}

pub(crate) fn audio(of: Named) -> Codec {
    Codec::from_rtpmap(of.1, of.2, of.3).unwrap()
}

/// Says a tone, packet by packet: one for each packet that is heard, so that the engine's own clock paces it.
pub(crate) struct Speaker {
    pub(crate) mouth: UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) codec: Codec,
    pub(crate) encoder: Box<dyn Encode>,
    pub(crate) ssrc: u32,
    pub(crate) hz: f64,
    pub(crate) said: u32,
}

impl Speaker {
    pub(crate) fn new(to: SocketAddr, of: Named, ssrc: u32, hz: f64) -> Self {
        let codec = audio(of);
        Self {
            mouth: socket().0,
            to,
            payload_type: of.0,
            codec,
            encoder: codec.encoder(codec.full_rate_hz()).unwrap(),
            ssrc,
            hz,
            said: 0,
        }
    }

    pub(crate) fn say(&mut self) {
        let rate = self.codec.full_rate_hz();
        let samples = rate as usize / 50;
        let first = self.said as usize * samples;
        let at = |n: usize| (first + n) as f64 / f64::from(rate);
        let pcm: Vec<i16> = (0..samples)
            .map(|n| ((at(n) * self.hz * std::f64::consts::TAU).sin() * LOUD) as i16)
            .collect();
        let mut payload = Vec::new();
        self.encoder.encode(&pcm, &mut payload).unwrap();
        let timestamp = self.said.wrapping_mul(self.codec.clock_hz() / 50);
        let sequence = self.said as u16;
        let packet = rtp(self.payload_type, sequence, timestamp, self.ssrc, &payload);
        self.mouth.send_to(&packet, self.to).unwrap();
        self.said += 1;
    }

    /// Says nothing, and of the noise there is that it has this level (RFC 3389).
    pub(crate) fn describe(&mut self, payload_type: u8, level: u8) {
        let timestamp = self.said.wrapping_mul(self.codec.clock_hz() / 50);
        let packet = rtp(
            payload_type,
            self.said as u16,
            timestamp,
            self.ssrc,
            &[level],
        );
        self.mouth.send_to(&packet, self.to).unwrap();
        self.said += 1;
    }

    /// Says nothing at all.
    pub(crate) const fn pause(&mut self) {
        self.said += 1;
    }
}

/// One end of a plain transport that speaks and hears.
pub(crate) struct Party {
    pub(crate) input: u64,
    pub(crate) ear: UdpSocket,
    pub(crate) codec: Codec,
}

pub(crate) struct Stage {
    pub(crate) harness: Harness,
    pub(crate) router: u64,
    pub(crate) mixer: u64,
    pub(crate) speakers: Vec<Speaker>,
    /// Payload type of comfort noise of the outputs to come.
    pub(crate) noise: Option<u8>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with_ticks(20)
    }

    pub(crate) fn with_ticks(tick_ms: u32) -> Self {
        let mut harness = Harness::new(config(1));
        let router = harness.router(None);
        let mixer = match harness.call(Command::OpenMixer { router, tick_ms }) {
            CommandResult::MixerOpened { mixer } => mixer,
            other => panic!("{other:?}"),
        };
        Self {
            harness,
            router,
            mixer,
            speakers: Vec::new(),
            noise: None,
        }
    }

    /// A producer fed from outside, and where to send to.
    pub(crate) fn source(&mut self, codecs: Vec<CodecParameters>, ssrc: u32) -> (u64, SocketAddr) {
        let (transport, at, _) = self.harness.plain(PlainOptions {
            latching: Latching::Once,
            ..PlainOptions::on(self.router)
        });
        let command = Command::Produce {
            transport,
            kind: MediaKind::Audio,
            codecs,
            encodings: vec![EncodingParameters {
                ssrc: Some(ssrc),
                ..EncodingParameters::default()
            }],
            mid: None,
            header_extensions: vec![],
            paused: false,
        };
        match self.harness.call(command) {
            CommandResult::Produced { producer } => (producer, at),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn hear(&mut self, producer: u64, inband_dtmf: bool) -> u64 {
        let command = Command::AddMixerInput {
            mixer: self.mixer,
            producer,
            inband_dtmf,
        };
        match self.harness.call(command) {
            CommandResult::MixerInputAdded { input } => input,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn output(&mut self, of: Named, without: Option<u64>) -> UdpSocket {
        self.output_with_events(of, without, None).1
    }

    /// The producer that a mix is, and who hears it.
    pub(crate) fn output_with_events(
        &mut self,
        of: Named,
        without: Option<u64>,
        events: Option<u8>,
    ) -> (u64, UdpSocket) {
        self.output_of(of, 20, without, events)
    }

    pub(crate) fn output_of(
        &mut self,
        of: Named,
        ptime_ms: u32,
        without: Option<u64>,
        events: Option<u8>,
    ) -> (u64, UdpSocket) {
        let command = Command::AddMixerOutput {
            mixer: self.mixer,
            codec: named(of),
            ptime_ms,
            events_payload_type: events,
            noise_payload_type: self.noise,
            without,
            only: None,
        };
        let producer = match self.harness.call(command) {
            CommandResult::Produced { producer } => producer,
            other => panic!("{other:?}"),
        };
        let (ear, ear_at) = socket();
        let (transport, _, _) = self.harness.plain(PlainOptions::on(self.router));
        self.harness.connect_plain(transport, ear_at);
        let consumed = self.harness.call(Command::Consume {
            transport,
            kind: MediaKind::Audio,
            producer: Some(producer),
            mid: None,
            payload_types: std::iter::once(of.0)
                .chain(events)
                .chain(self.noise)
                .map(|pt| (pt, pt))
                .collect(),
            rtx_payload_types: vec![],
            header_extensions: vec![],
            feedback: roomtone_engine::values::CodecFeedback::default(),
            redundancy: None,
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
        });
        assert!(matches!(consumed, CommandResult::Consumed { .. }));
        (producer, ear)
    }

    /// Somebody who says one tone and hears all others.
    pub(crate) fn party(&mut self, of: Named, ssrc: u32, hz: f64) -> Party {
        let (producer, at) = self.source(vec![named(of)], ssrc);
        let input = self.hear(producer, false);
        self.speakers.push(Speaker::new(at, of, ssrc, hz));
        Party {
            input,
            ear: self.output(of, Some(input)),
            codec: audio(of),
        }
    }

    /// The next packet at an ear; all speakers say as much as is heard.
    pub(crate) fn next(&mut self, ear: &UdpSocket) -> Parts {
        let packet = receive_rtp(ear);
        self.speakers.iter_mut().for_each(Speaker::say);
        packet
    }

    /// Listens until a fifth of a second sounds as wanted: these tones as loud as they were said, those not at all.
    pub(crate) fn wait_heard(
        &mut self,
        ear: &UdpSocket,
        codec: Codec,
        wanted: &[f64],
        unwanted: &[f64],
    ) {
        let rate = codec.full_rate_hz();
        let mut decoder = codec.decoder(rate).unwrap();
        let mut pcm = Vec::new();
        let window = rate as usize / 5;
        let mut last = String::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let packet = self.next(ear);
            let mut frame = vec![0; MAX_FRAME_SAMPLES];
            let count = decoder.decode(&packet.payload, &mut frame).unwrap();
            pcm.extend_from_slice(&frame[..count]);
            if pcm.len() < window {
                continue;
            }
            let level = |hz: &f64| Goertzel::new(rate, *hz).windowed_amplitude(&pcm[..window]);
            let heard: Vec<f64> = wanted.iter().map(level).collect();
            let leaked: Vec<f64> = unwanted.iter().map(level).collect();
            let as_said = |level: &f64| (0.7..1.3).contains(&(level / LOUD));
            if heard.iter().all(as_said) && leaked.iter().all(|level| *level < LOUD / 50.0) {
                return;
            }
            last = format!("{wanted:?} at {heard:?}, {unwanted:?} at {leaked:?}");
            pcm.drain(..window);
        }
        panic!("never heard as wanted; last {last}");
    }
}
