//! A mix of some inputs alone: one encoder for all outputs of it, with the same codec and packet time.
//!
//! Nothing is sent while nothing sounds: who hears one speaker needs no silence of it.

use roomtone_audio::Resampler;
use roomtone_audio::codec::{Codec, CodecError, Encode, EncoderSetting};

use super::NewOutput;
use super::stream::Stream;
use crate::shard::Batch;
use crate::values::Report;

/// Milliseconds of silence that are still sent: what an encoder has of a sound's end.
const SILENT_MS: u32 = 200;

/// Outputs that sound alike, and their encoder.
pub(super) struct Group {
    only: Vec<u64>,
    codec: Codec,
    ptime_ms: u32,
    tick_ms: u32,
    encoder: Box<dyn Encode>,
    /// By input: from its rate to the encoder's.
    resamplers: Vec<(u64, u32, Resampler)>,
    sum: Vec<i32>,
    resampled: Vec<i16>,
    silent_ms: u32,
    /// Samples that wait for a whole packet.
    pcm: Vec<i16>,
    payload: Vec<u8>,
    streams: Vec<Stream>,
    failed: u64,
}

impl Group {
    pub(super) fn new(
        only: &[u64],
        output: &NewOutput,
        tick_ms: u32,
        settings: &[EncoderSetting],
    ) -> Result<Self, CodecError> {
        let codec = output.codec;
        let mut encoder = codec.encoder(codec.full_rate_hz())?;
        for setting in settings {
            // G.711 and its like have none of them.
            let _ = encoder.set(*setting);
        }
        Ok(Self {
            only: only.to_vec(),
            codec,
            ptime_ms: output.ptime_ms,
            tick_ms,
            encoder,
            resamplers: Vec::new(),
            sum: Vec::new(),
            resampled: Vec::new(),
            silent_ms: SILENT_MS,
            pcm: Vec::new(),
            payload: Vec::new(),
            streams: Vec::new(),
            failed: 0,
        })
    }

    pub(super) fn takes(&self, only: &[u64], output: &NewOutput) -> bool {
        self.only == only && self.codec == output.codec && self.ptime_ms == output.ptime_ms
    }

    pub(super) fn add(&mut self, output: &NewOutput) {
        self.streams.push(Stream::new(output));
    }

    pub(super) fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut()
    }

    /// Whether outputs are left.
    pub(super) fn remove(&mut self, output: u64) -> bool {
        self.streams.retain(|stream| stream.id != output);
        !self.streams.is_empty()
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.encoder.rate_hz()
    }

    pub(super) fn set(&mut self, setting: EncoderSetting) {
        let _ = self.encoder.set(setting);
    }

    pub(super) fn report(&self) -> Report {
        Report::from([
            ("type".to_owned(), "mixer-encoder".into()),
            ("codec".to_owned(), self.codec.name().into()),
            ("ptimeMs".to_owned(), self.ptime_ms.into()),
            ("outputs".to_owned(), self.streams.len().into()),
            ("framesFailed".to_owned(), self.failed.into()),
        ])
    }

    /// Takes the frames of a tick with who sounds and at which rate, and writes packets once there is enough for one.
    pub(super) fn handle_tick<'a>(
        &mut self,
        frames: impl Iterator<Item = (u64, u32, &'a [i16])>,
        batch: &mut Batch,
    ) {
        let rate_hz = self.encoder.rate_hz();
        self.sum.clear();
        self.sum.resize((rate_hz / 1000 * self.tick_ms) as usize, 0);
        let mut sounds = false;
        for (id, from_hz, frame) in frames {
            if self.only.binary_search(&id).is_ok() {
                sounds |= frame.iter().any(|sample| *sample != 0);
                self.add_frame(id, from_hz, frame);
            }
        }
        self.silent_ms = if sounds {
            0
        } else {
            self.silent_ms.saturating_add(self.tick_ms)
        };
        let mixed = self
            .sum
            .iter()
            .map(|sample| (*sample).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16);
        self.pcm.extend(mixed);
        self.encode(batch);
    }

    fn add_frame(&mut self, id: u64, from_hz: u32, frame: &[i16]) {
        let rate_hz = self.encoder.rate_hz();
        if from_hz == rate_hz {
            return add(&mut self.sum, frame);
        }
        let known = |(other, rate, _): &(u64, u32, Resampler)| *other == id && *rate == from_hz;
        let at = self.resamplers.iter().position(known);
        let at = at.or_else(|| {
            let made = Resampler::new(from_hz, rate_hz).ok()?;
            self.resamplers.retain(|(other, ..)| *other != id);
            self.resamplers.push((id, from_hz, made));
            Some(self.resamplers.len() - 1)
        });
        if let Some(at) = at {
            self.resampled.clear();
            self.resamplers[at].2.process(frame, &mut self.resampled);
            add(&mut self.sum, &self.resampled);
        }
    }

    fn encode(&mut self, batch: &mut Batch) {
        let samples = (self.encoder.rate_hz() / 1000 * self.ptime_ms) as usize;
        let step = self.codec.clock_hz() / 1000 * self.ptime_ms;
        while self.pcm.len() >= samples {
            self.payload.clear();
            let is_heard = self.silent_ms < SILENT_MS;
            if is_heard
                && self
                    .encoder
                    .encode(&self.pcm[..samples], &mut self.payload)
                    .is_err()
            {
                self.failed += 1;
                self.payload.clear();
            }
            for stream in &mut self.streams {
                stream.write(&self.payload, &self.pcm[..samples], step, batch);
            }
            self.pcm.drain(..samples);
        }
    }
}

fn add(sum: &mut [i32], frame: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(frame) {
        *sum += i32::from(*sample);
    }
}
