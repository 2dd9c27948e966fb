//! One mixer: inputs and sources become frames at each tick, frames become mixes, mixes become packets.
//!
//! Time is an argument. Each distinct rate of the outputs has one sum of all that sounds; a mix without some inputs is
//! that sum less theirs. Who is silent is not mixed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use roomtone_audio::Resampler;
use roomtone_rtp::RtpPacket;
use rustc_hash::FxHashMap;

use super::input::Input;
use super::output::Group;
use super::source::Source;
use super::{Board, Mix, NewInput, NewOutput, TICK_MS};
use crate::shard::Batch;
use crate::values::{Event, MixerSource, Report};

/// Empty batches kept.
const KEPT_BATCHES: usize = 8;
/// Effort of encoders when there is time enough.
const FULL_EFFORT: u8 = 8;
/// Effort goes down at most once in this time, and up again after ten times as long without want.
const EFFORT_STEP: Duration = Duration::from_secs(1);
/// Packets come from no faster outputs before there are any.
const LOWEST_HZ: u32 = 8_000;

/// Something that sounds: its frame of this tick, at its own rate and at those of the outputs.
struct Voice {
    id: u64,
    sound: Sound,
    frame: Vec<i16>,
    rate_hz: u32,
    is_silent: bool,
    /// By the rate of outputs; only of what is not silent.
    resampled: Vec<(u32, Option<Resampler>, Vec<i16>)>,
}

enum Sound {
    Heard(Box<Input>),
    Played(Source),
}

/// A mixer, as its audio thread has it.
pub(super) struct Mixer {
    id: u64,
    voices: Vec<Voice>,
    by_ssrc: FxHashMap<u32, usize>,
    groups: Vec<Group>,
    batch: Batch,
    returned: Receiver<Batch>,
    home: SyncSender<Batch>,
    events: Vec<Event>,
    sum: Vec<i32>,
    mixed: Vec<i16>,
    effort: u8,
    effort_at: Duration,
    busy_at: Duration,
    board: Arc<Board>,
}

impl Mixer {
    pub(super) fn new(id: u64, board: Arc<Board>) -> Self {
        let (home, returned) = sync_channel(KEPT_BATCHES);
        Self {
            id,
            voices: Vec::new(),
            by_ssrc: FxHashMap::default(),
            groups: Vec::new(),
            batch: Batch::default(),
            returned,
            home,
            events: Vec::new(),
            sum: Vec::new(),
            mixed: Vec::new(),
            effort: FULL_EFFORT,
            effort_at: Duration::ZERO,
            busy_at: Duration::ZERO,
            board,
        }
    }

    pub(super) fn add_input(&mut self, input: NewInput) {
        let sound = Sound::Heard(Box::new(Input::new(input)));
        self.voices.push(Voice::new(sound));
        self.index();
    }

    pub(super) fn add_source(&mut self, id: u64, source: &MixerSource) {
        // The shard has checked it.
        if let Some(source) = Source::new(source) {
            let mut voice = Voice::new(Sound::Played(source));
            voice.id = id;
            self.voices.push(voice);
            self.index();
        }
    }

    pub(super) fn remove_input(&mut self, id: u64) {
        self.voices.retain(|voice| voice.id != id);
        self.index();
    }

    fn index(&mut self) {
        self.by_ssrc.clear();
        for (at, voice) in self.voices.iter().enumerate() {
            if let Sound::Heard(input) = &voice.sound {
                self.by_ssrc.insert(input.ssrc, at);
            }
        }
    }

    pub(super) fn add_output(&mut self, output: &NewOutput) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.takes(output)) {
            return group.add(output);
        }
        // The shard has checked the codec.
        if let Ok(mut group) = Group::new(output) {
            group.set_complexity(self.effort);
            group.add(output);
            self.groups.push(group);
        }
    }

    pub(super) fn remove_output(&mut self, output: u64) {
        self.groups.retain_mut(|group| group.remove(output));
    }

    pub(super) fn handle_batch(&mut self, batch: &Batch, now: Duration) {
        let highest_hz = self.highest_hz();
        let mut rest = &batch.bytes[..];
        for (len, _) in &batch.packets {
            let (bytes, behind) = rest.split_at(*len as usize);
            rest = behind;
            let Ok(packet) = RtpPacket::parse(bytes) else {
                continue;
            };
            let Some(at) = self.by_ssrc.get(&packet.ssrc()) else {
                continue;
            };
            if let Sound::Heard(input) = &mut self.voices[*at].sound {
                input.handle_packet(&packet, highest_hz, now);
            }
        }
    }

    fn highest_hz(&self) -> u32 {
        let rates = self.groups.iter().map(Group::rate_hz);
        rates.max().unwrap_or(LOWEST_HZ)
    }

    pub(super) fn handle_tick(&mut self, now: Duration) {
        self.hear(now);
        let mut rates: Vec<u32> = self.groups.iter().map(Group::rate_hz).collect();
        rates.sort_unstable();
        rates.dedup();
        for rate_hz in rates {
            for voice in self.voices.iter_mut().filter(|voice| !voice.is_silent) {
                voice.resample(rate_hz);
            }
            self.mix_at(rate_hz);
        }
    }

    /// Takes the frame of this tick from all that sounds.
    fn hear(&mut self, now: Duration) {
        let mut ended = Vec::new();
        for voice in &mut self.voices {
            if !voice.fill(now) {
                ended.push(voice.id);
            }
            let Sound::Heard(input) = &mut voice.sound else {
                continue;
            };
            let (mixer, id) = (self.id, input.id);
            self.events
                .extend(input.drain_pressed(now).map(|key| Event::DtmfReceived {
                    mixer,
                    input: id,
                    digit: key.digit.to_string(),
                    duration_ms: key.duration_ms,
                    inband: key.inband,
                }));
        }
        for input in ended {
            self.remove_input(input);
            let mixer = self.id;
            self.events.push(Event::MixerSourceEnded { mixer, input });
        }
    }

    /// Mixes and encodes all outputs of one rate.
    fn mix_at(&mut self, rate_hz: u32) {
        let samples = (rate_hz / 1000 * TICK_MS) as usize;
        self.sum.clear();
        self.sum.resize(samples, 0);
        for frame in self.voices.iter().filter_map(|voice| voice.at(rate_hz)) {
            add(&mut self.sum, frame, 1);
        }
        for group in &mut self.groups {
            if group.rate_hz() != rate_hz {
                continue;
            }
            self.mixed.clear();
            let voices = self
                .voices
                .iter()
                .filter(|voice| voice.at(rate_hz).is_some());
            match &group.mix {
                Mix::AllBut(_) => {
                    let mut sum = self.sum.clone();
                    for voice in voices.filter(|voice| !group.mix.has(voice.id)) {
                        add(&mut sum, voice.at(rate_hz).unwrap_or_default(), -1);
                    }
                    clamp(&sum, &mut self.mixed);
                }
                Mix::Only(_) => {
                    let mut sum = vec![0; samples];
                    for voice in voices.filter(|voice| group.mix.has(voice.id)) {
                        add(&mut sum, voice.at(rate_hz).unwrap_or_default(), 1);
                    }
                    clamp(&sum, &mut self.mixed);
                }
            }
            group.handle_sound(&self.mixed, &mut self.batch);
        }
    }

    /// What is to be forwarded, if anything is.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        if self.batch.packets.is_empty() {
            return None;
        }
        let fresh = self.returned.try_recv().unwrap_or_default();
        let mut full = std::mem::replace(&mut self.batch, fresh);
        full.to = self.id;
        full.home = Some(self.home.clone());
        Some(full)
    }

    /// Writes on the board how inputs and outputs are.
    pub(super) fn report(&self, now: Duration) {
        let inputs = self.voices.iter().map(|voice| match &voice.sound {
            Sound::Heard(input) => input.report(voice.is_silent, now),
            Sound::Played(source) => Report::from([
                ("id".to_owned(), voice.id.to_string().into()),
                ("type".to_owned(), "mixer-source".into()),
                ("silent".to_owned(), voice.is_silent.into()),
                ("rateHz".to_owned(), source.rate_hz().into()),
            ]),
        });
        let effort = u64::from(self.effort);
        let groups = self.groups.iter().map(|group| group.report(effort));
        self.board.write(inputs.chain(groups).collect());
    }

    pub(super) fn drain_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Lowers the effort of encoders one step a second while ticks take too long; raises it after ten quiet ones.
    pub(super) fn on_effort(&mut self, busy: bool, now: Duration) {
        let since = now.saturating_sub(self.effort_at);
        if busy {
            self.busy_at = now;
        }
        let effort = if busy && since >= EFFORT_STEP {
            self.effort.saturating_sub(1)
        } else if !busy && now.saturating_sub(self.busy_at.max(self.effort_at)) >= 10 * EFFORT_STEP
        {
            (self.effort + 1).min(FULL_EFFORT)
        } else {
            self.effort
        };
        if effort == self.effort {
            return;
        }
        (self.effort, self.effort_at) = (effort, now);
        for group in &mut self.groups {
            group.set_complexity(effort);
        }
        self.events.push(Event::MixerEffortChanged {
            mixer: self.id,
            complexity: effort,
        });
    }
}

impl Voice {
    fn new(sound: Sound) -> Self {
        let id = match &sound {
            Sound::Heard(input) => input.id,
            Sound::Played(_) => 0,
        };
        Self {
            id,
            sound,
            frame: Vec::new(),
            rate_hz: LOWEST_HZ,
            is_silent: true,
            resampled: Vec::new(),
        }
    }

    /// Takes the frame of this tick; whether more will come.
    fn fill(&mut self, now: Duration) -> bool {
        let rate_hz = match &self.sound {
            Sound::Heard(input) => input.rate_hz(),
            Sound::Played(source) => Some(source.rate_hz()),
        };
        let Some(rate_hz) = rate_hz else {
            self.is_silent = true;
            return true;
        };
        if rate_hz != self.rate_hz {
            self.rate_hz = rate_hz;
            self.resampled.clear();
        }
        self.frame.clear();
        self.frame.resize((rate_hz / 1000 * TICK_MS) as usize, 0);
        let more = match &mut self.sound {
            Sound::Heard(input) => {
                input.pull(&mut self.frame, now);
                true
            }
            Sound::Played(source) => source.fill(&mut self.frame),
        };
        self.is_silent = self.frame.iter().all(|sample| *sample == 0);
        more
    }

    fn resample(&mut self, rate_hz: u32) {
        let at = self
            .resampled
            .iter()
            .position(|(rate, ..)| *rate == rate_hz);
        let at = at.unwrap_or_else(|| {
            let resampler = (rate_hz != self.rate_hz)
                .then(|| Resampler::new(self.rate_hz, rate_hz).ok())
                .flatten();
            self.resampled.push((rate_hz, resampler, Vec::new()));
            self.resampled.len() - 1
        });
        let (_, resampler, out) = &mut self.resampled[at];
        out.clear();
        match resampler {
            Some(resampler) => resampler.process(&self.frame, out),
            None => out.extend_from_slice(&self.frame),
        }
    }

    /// Its frame at a rate of the outputs; none when it is silent.
    fn at(&self, rate_hz: u32) -> Option<&[i16]> {
        if self.is_silent {
            return None;
        }
        let mut found = self.resampled.iter().filter(|(rate, ..)| *rate == rate_hz);
        found.next().map(|(_, _, frame)| &frame[..])
    }
}

fn add(sum: &mut [i32], frame: &[i16], sign: i32) {
    for (sum, sample) in sum.iter_mut().zip(frame) {
        *sum += sign * i32::from(*sample);
    }
}

fn clamp(sum: &[i32], out: &mut Vec<i16>) {
    out.extend(
        sum.iter()
            .map(|sample| (*sample).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16),
    );
}
