//! What one input brings to the mix.

use super::{MixerError, rate_index};
use crate::codec::{CodecError, RATES_HZ};
use crate::{Gain, Resampler, VoiceDetector};

/// Being taken into the mix, and out of it, is faded over this.
const FADE_US: usize = 5_000;

const SILENCE_DB: f32 = -120.0;

/// One input: its frame of this tick, and the same at each rate that is mixed at.
#[derive(Debug)]
pub(super) struct Input {
    rate_hz: u32,
    voice: VoiceDetector,
    gain: Gain,
    is_muted: bool,
    /// Whether all that is not silence counts, and not only voices.
    takes_all: bool,
    /// Whether it is in the mix this tick; the tick in which it fades out counts.
    is_active: bool,
    was_speech: bool,
    frame: Vec<i16>,
    is_written: bool,
    /// By the place of the rate in [`RATES_HZ`].
    resamplers: [Option<Resampler>; RATES_HZ.len()],
    at_rate: [Vec<i16>; RATES_HZ.len()],
}

impl Input {
    pub(super) fn new(rate_hz: u32, takes_all: bool) -> Result<Self, CodecError> {
        rate_index(rate_hz)?;
        Ok(Self {
            rate_hz,
            voice: VoiceDetector::new(rate_hz),
            gain: Gain::new(SILENCE_DB),
            is_muted: false,
            takes_all,
            is_active: false,
            was_speech: false,
            frame: Vec::new(),
            is_written: false,
            resamplers: [const { None }; RATES_HZ.len()],
            at_rate: [const { Vec::new() }; RATES_HZ.len()],
        })
    }

    pub(super) const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub(super) const fn set_muted(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    pub(super) const fn set_takes_all(&mut self, takes_all: bool) {
        self.takes_all = takes_all;
    }

    pub(super) const fn is_active(&self) -> bool {
        self.is_active
    }

    /// Level of the last frame: 0 is the loudest, 127 silence.
    pub(super) fn level(&self) -> u8 {
        if self.is_muted {
            127
        } else {
            self.voice.level()
        }
    }

    /// The frame of this tick.
    pub(super) fn write(&mut self, pcm: &[i16]) {
        self.frame.clear();
        self.frame.extend_from_slice(pcm);
        self.is_written = true;
    }

    /// Decides whether this tick's frame is mixed, and readies it.
    pub(super) fn prepare(&mut self) {
        let is_written = std::mem::take(&mut self.is_written);
        let is_voice = is_written && self.voice.handle(&self.frame);
        let is_sound = is_written && self.takes_all && self.frame.iter().any(|&sample| sample != 0);
        let is_speech = (is_voice || is_sound) && !self.is_muted;
        let was_speech = std::mem::replace(&mut self.was_speech, is_speech);
        // The tick after the last of speech is its fading out.
        self.is_active = is_written && (is_speech || was_speech);
        if !self.is_active {
            self.gain = Gain::new(SILENCE_DB);
            return;
        }
        if !was_speech {
            // What was heard before belongs to no sound that goes on.
            for resampler in self.resamplers.iter_mut().flatten() {
                resampler.reset();
            }
        }
        self.gain.set(if is_speech { 0.0 } else { SILENCE_DB });
        let fade = (self.rate_hz as usize * FADE_US / 1_000_000).min(self.frame.len());
        let (start, rest) = self.frame.split_at_mut(fade);
        self.gain.apply(start);
        self.gain.apply(rest);
        for samples in &mut self.at_rate {
            samples.clear();
        }
    }

    /// The frame at one rate; each is made once a tick.
    pub(super) fn samples_at(&mut self, rate: usize) -> Result<&[i16], MixerError> {
        if self.at_rate[rate].is_empty() {
            let rate_hz = RATES_HZ[rate];
            let resampler = match &mut self.resamplers[rate] {
                Some(known) => known,
                none => none.insert(Resampler::new(self.rate_hz, rate_hz)?),
            };
            resampler.process(&self.frame, &mut self.at_rate[rate]);
        }
        Ok(&self.at_rate[rate])
    }

    /// The frame at one rate, if it was asked for this tick.
    pub(super) fn made_at(&self, rate: usize) -> &[i16] {
        &self.at_rate[rate]
    }
}
