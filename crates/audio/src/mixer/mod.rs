//! Many inputs into mixes in which each hears all but itself.

mod group;
mod input;
mod values;

use crate::codec::{Codec, CodecError, EncoderSetting, RATES_HZ};
use group::Group;
use input::Input;
use std::collections::BTreeMap;

pub use values::{
    InputId, MAX_INPUTS, MAX_OUTPUTS, MixerCounters, MixerError, Outgoing, OutputId, OutputSpec,
};

fn rate_index(rate_hz: u32) -> Result<usize, CodecError> {
    let found = RATES_HZ.iter().position(|&known| known == rate_hz);
    found.ok_or(CodecError::UnsupportedRate { rate_hz })
}

/// Refuses a setting that no encoder would take, whether or not there is one yet.
fn check(setting: EncoderSetting) -> Result<(), CodecError> {
    Codec::Opus.encoder(RATES_HZ[0])?.set(setting)
}

/// What makes outputs the same: their codec, rate and packet length, and whom they leave out. All
/// that leave out nobody come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    without: Option<InputId>,
    codec: Codec,
    rate: usize,
    ptime_ms: u32,
}

/// Mixes.
///
/// Inputs: a frame for each input by [`Self::write`], then [`Self::tick`]; an input without a frame
/// is silent for the tick. Outputs: payloads for the outputs they are for, each mix encoded once
/// for all who hear it. Silent inputs are not mixed, so their outputs hear what everybody hears.
/// Limits: [`MAX_INPUTS`], [`MAX_OUTPUTS`].
///
/// When an input begins to speak its output moves to an encoder of its own, and back afterwards.
/// For G.711 and L16 nobody can tell. Decoders of G.722 and Opus adapt within a frame or two; the
/// encoder moved to begins anew, which makes that as short as it can be.
pub struct Mixer {
    tick_ms: u32,
    settings: Vec<EncoderSetting>,
    inputs: BTreeMap<InputId, Input>,
    outputs: BTreeMap<OutputId, Key>,
    groups: BTreeMap<Key, Group>,
    next_id: u32,
    ticks: u64,
    /// The sum of all active inputs, at each rate that some output is mixed at.
    totals: [Vec<i32>; RATES_HZ.len()],
    payload: Vec<u8>,
    listeners: Vec<OutputId>,
    counters: MixerCounters,
}

impl std::fmt::Debug for Mixer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mixer")
            .field("tick_ms", &self.tick_ms)
            .field("inputs", &self.inputs.len())
            .field("outputs", &self.outputs.len())
            .field("groups", &self.groups.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Mixer {
    /// A mixer with ticks of `tick_ms` (10 or 20), whose encoders get `settings` where they have
    /// them.
    pub fn new(tick_ms: u32, settings: &[EncoderSetting]) -> Result<Self, MixerError> {
        if !matches!(tick_ms, 10 | 20) {
            return Err(MixerError::Ptime { ptime_ms: tick_ms });
        }
        settings.iter().try_for_each(|&setting| check(setting))?;
        Ok(Self {
            tick_ms,
            settings: settings.to_vec(),
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            groups: BTreeMap::new(),
            next_id: 0,
            ticks: 0,
            totals: [const { Vec::new() }; RATES_HZ.len()],
            payload: Vec::new(),
            listeners: Vec::new(),
            counters: MixerCounters::default(),
        })
    }

    /// What it has done.
    pub const fn counters(&self) -> MixerCounters {
        self.counters
    }

    fn next_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// A new input of samples at `rate_hz`: somebody who speaks, and is silent in between.
    pub fn add_input(&mut self, rate_hz: u32) -> Result<InputId, MixerError> {
        self.add(rate_hz, false)
    }

    /// A new input of samples at `rate_hz` that are all to be heard: tones, music, announcements.
    pub fn add_source(&mut self, rate_hz: u32) -> Result<InputId, MixerError> {
        self.add(rate_hz, true)
    }

    fn add(&mut self, rate_hz: u32, takes_all: bool) -> Result<InputId, MixerError> {
        if self.inputs.len() >= MAX_INPUTS {
            return Err(MixerError::TooManyInputs);
        }
        let input = Input::new(rate_hz, takes_all)?;
        let id = InputId(self.next_id());
        self.inputs.insert(id, input);
        Ok(id)
    }

    /// Takes an input away. Outputs that left it out hear everybody from then on.
    pub fn remove_input(&mut self, id: InputId) -> Result<(), MixerError> {
        self.inputs.remove(&id).ok_or(MixerError::NoSuchInput)?;
        Ok(())
    }

    /// Leaves an input out of all mixes, or takes it in again.
    pub fn set_muted(&mut self, id: InputId, is_muted: bool) -> Result<(), MixerError> {
        let input = self.inputs.get_mut(&id).ok_or(MixerError::NoSuchInput)?;
        input.set_muted(is_muted);
        Ok(())
    }

    /// Has all of an input that is not silence count, and not only voices; or voices alone.
    pub fn set_takes_all(&mut self, id: InputId, takes_all: bool) -> Result<(), MixerError> {
        let input = self.inputs.get_mut(&id).ok_or(MixerError::NoSuchInput)?;
        input.set_takes_all(takes_all);
        Ok(())
    }

    /// Changes a setting of all encoders that have it, those to come included.
    pub fn set(&mut self, setting: EncoderSetting) -> Result<(), MixerError> {
        check(setting)?;
        for group in self.groups.values_mut() {
            group.set(setting)?;
        }
        let same_kind = |other: &EncoderSetting| {
            std::mem::discriminant(other) == std::mem::discriminant(&setting)
        };
        self.settings.retain(|other| !same_kind(other));
        self.settings.push(setting);
        Ok(())
    }

    /// The level of an input's last frame: 0 is the loudest, 127 silence (RFC 6464).
    pub fn level(&self, id: InputId) -> Result<u8, MixerError> {
        let input = self.inputs.get(&id).ok_or(MixerError::NoSuchInput)?;
        Ok(input.level())
    }

    /// Whether an input was in the mix in the last tick.
    pub fn is_mixed(&self, id: InputId) -> Result<bool, MixerError> {
        let input = self.inputs.get(&id).ok_or(MixerError::NoSuchInput)?;
        Ok(input.is_active())
    }

    /// A new output.
    pub fn add_output(&mut self, spec: OutputSpec) -> Result<OutputId, MixerError> {
        if self.outputs.len() >= MAX_OUTPUTS {
            return Err(MixerError::TooManyOutputs);
        }
        if spec
            .without
            .is_some_and(|id| !self.inputs.contains_key(&id))
        {
            return Err(MixerError::NoSuchInput);
        }
        let ptime_ms = spec.ptime_ms;
        let fits = ptime_ms > 0
            && (ptime_ms.is_multiple_of(self.tick_ms) || self.tick_ms.is_multiple_of(ptime_ms));
        let key = Key {
            without: spec.without,
            codec: spec.codec,
            rate: rate_index(spec.rate_hz)?,
            ptime_ms,
        };
        let everybody = Key {
            without: None,
            ..key
        };
        let group = Group::new(spec.codec, spec.rate_hz, &self.settings)?;
        if !fits
            || !group
                .encoder
                .accepts((spec.rate_hz / 1000 * ptime_ms) as usize)
        {
            return Err(MixerError::Ptime { ptime_ms });
        }
        let id = OutputId(self.next_id());
        self.groups.entry(key).or_insert(group).outputs.push(id);
        // The encoder that it hears by while its input is silent.
        if spec.without.is_some() && !self.groups.contains_key(&everybody) {
            let group = Group::new(spec.codec, spec.rate_hz, &self.settings)?;
            self.groups.insert(everybody, group);
        }
        self.outputs.insert(id, key);
        Ok(id)
    }

    /// Takes an output away, and with the last of its kind the encoders.
    pub fn remove_output(&mut self, id: OutputId) -> Result<(), MixerError> {
        let key = self.outputs.remove(&id).ok_or(MixerError::NoSuchOutput)?;
        if let Some(group) = self.groups.get_mut(&key) {
            group.outputs.retain(|&other| other != id);
        }
        let used = |key: Key| {
            let everybody = |other: &Key| Key {
                without: None,
                ..*other
            };
            self.outputs
                .values()
                .any(|other| *other == key || everybody(other) == key)
        };
        let unused: Vec<Key> = self
            .groups
            .keys()
            .copied()
            .filter(|&key| !used(key))
            .collect();
        for key in unused {
            self.groups.remove(&key);
        }
        Ok(())
    }

    /// The frame of an input for the coming tick, exactly a tick long.
    pub fn write(&mut self, id: InputId, pcm: &[i16]) -> Result<(), MixerError> {
        let input = self.inputs.get_mut(&id).ok_or(MixerError::NoSuchInput)?;
        let samples = pcm.len();
        if samples != (input.rate_hz() / 1000 * self.tick_ms) as usize {
            return Err(MixerError::FrameLength { samples });
        }
        input.write(pcm);
        Ok(())
    }

    /// Mixes what was written, and gives the packets that are complete.
    pub fn tick(&mut self, mut give: impl FnMut(Outgoing<'_>)) -> Result<(), MixerError> {
        self.counters.ticks += 1;
        self.ticks += 1;
        for input in self.inputs.values_mut() {
            input.prepare();
            let counter = if input.is_active() {
                &mut self.counters.mixed
            } else {
                &mut self.counters.silent
            };
            *counter += 1;
        }
        self.sum()?;
        self.fill_groups();
        self.encode(&mut give);
        Ok(())
    }

    /// The sums at all rates in use.
    fn sum(&mut self) -> Result<(), MixerError> {
        for (rate, total) in self.totals.iter_mut().enumerate() {
            total.clear();
            if !self.groups.keys().any(|key| key.rate == rate) {
                continue;
            }
            total.resize((RATES_HZ[rate] / 1000 * self.tick_ms) as usize, 0);
            for input in self.inputs.values_mut().filter(|input| input.is_active()) {
                for (total, &sample) in total.iter_mut().zip(input.samples_at(rate)?) {
                    *total += i32::from(sample);
                }
            }
        }
        Ok(())
    }

    /// Gives each group its mix of this tick, where it can be needed.
    fn fill_groups(&mut self) {
        for (key, group) in &mut self.groups {
            let input = key.without.and_then(|id| self.inputs.get(&id));
            let own = input.filter(|input| input.is_active());
            group.differs |= own.is_some();
            // Packets of several ticks need the ticks before the input began too.
            let is_needed = key.without.is_none() || own.is_some() || key.ptime_ms > self.tick_ms;
            if is_needed {
                group.add(
                    &self.totals[key.rate],
                    own.map(|input| input.made_at(key.rate)),
                );
            }
        }
    }

    /// Encodes the packets that are complete.
    fn encode(&mut self, give: &mut impl FnMut(Outgoing<'_>)) {
        let differing: Vec<Key> = self
            .groups
            .iter()
            .filter(|(key, group)| key.without.is_some() && group.differs)
            .map(|(key, _)| *key)
            .collect();
        for (key, group) in &mut self.groups {
            let ticks = u64::from((key.ptime_ms / self.tick_ms).max(1));
            if !self.ticks.is_multiple_of(ticks) {
                continue;
            }
            self.listeners.clear();
            if key.without.is_some() {
                if group.differs {
                    self.listeners.extend_from_slice(&group.outputs);
                }
            } else {
                self.listeners.extend(
                    self.outputs
                        .iter()
                        .filter(|(_, other)| {
                            Key {
                                without: None,
                                ..**other
                            } == *key
                                && !differing.contains(other)
                        })
                        .map(|(id, _)| *id),
                );
            }
            group.differs = false;
            let samples = (RATES_HZ[key.rate] / 1000 * key.ptime_ms) as usize;
            // A group made amid a packet begins with the next one.
            let whole = samples * (self.tick_ms / key.ptime_ms).max(1) as usize;
            if self.listeners.is_empty() || group.pending.len() < whole {
                group.pending.clear();
                group.goes_on = false;
                continue;
            }
            if !std::mem::replace(&mut group.goes_on, true) {
                group.encoder.reset();
            }
            for pcm in group.pending.chunks_exact(samples) {
                self.payload.clear();
                if group.encoder.encode(pcm, &mut self.payload).is_err() {
                    self.counters.failed += 1;
                    continue;
                }
                self.counters.encoded += 1;
                self.counters.delivered += self.listeners.len() as u64;
                give(Outgoing {
                    outputs: &self.listeners,
                    payload: &self.payload,
                    pcm,
                    timestamp_step: key.codec.clock_hz() / 1000 * key.ptime_ms,
                });
            }
            group.pending.clear();
        }
    }
}
