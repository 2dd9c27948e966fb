//! One mixer: packets become frames at each tick, frames become mixes, mixes become packets.
//!
//! Time is an argument. Who hears everybody, or everybody but itself, is served by the mixer of the audio crate; mixes
//! of some inputs alone have encoders of their own.

use std::sync::Arc;
use std::time::Duration;

use roomtone_audio::codec::{Codec, EncoderSetting};
use roomtone_audio::dtmf::Digit;
use roomtone_audio::mixer::{InputId, MixerError, OutputId, OutputSpec};
use roomtone_rtp::RtpPacket;
use rustc_hash::FxHashMap;

use super::input::Input;
use super::output::Group;
use super::source::Source;
use super::stream::Stream;
use super::{Board, Mix, NewInput, NewOutput};
use crate::shard::{Batch, BatchPool};
use crate::values::{Event, Report};

/// Empty batches kept.
const KEPT_BATCHES: usize = 8;
/// The rate of what is decoded while there are no outputs.
const LOWEST_HZ: u32 = 8_000;
/// How encoders begin: lines lose packets.
const SETTINGS: [EncoderSetting; 2] = [
    EncoderSetting::Fec(true),
    EncoderSetting::ExpectedLossPercent(5),
];

/// Something that sounds, and its frame of this tick.
struct Voice {
    id: u64,
    sound: Sound,
    frame: Vec<i16>,
    /// Zero before anything came.
    rate_hz: u32,
    /// Its place in the mix, and the rate that it was made for.
    place: Option<InputId>,
    placed_hz: u32,
}

enum Sound {
    Heard(Box<Input>),
    Played(Source),
}

/// An output that hears everybody, or everybody but one.
struct Listener {
    stream: Stream,
    without: Option<u64>,
    spec: OutputSpec,
}

/// A mixer, as its audio thread has it.
pub(super) struct Mixer {
    id: u64,
    tick_ms: u32,
    /// When it is to mix next; the time of its first tick until then.
    due: Option<Duration>,
    core: roomtone_audio::mixer::Mixer,
    voices: Vec<Voice>,
    by_ssrc: FxHashMap<u32, usize>,
    listeners: FxHashMap<OutputId, Listener>,
    groups: Vec<Group>,
    complexity: Option<u8>,
    failed: u64,
    batch: Batch,
    pool: BatchPool,
    events: Vec<Event>,
    board: Arc<Board>,
}

impl Mixer {
    pub(super) fn new(id: u64, tick_ms: u32, board: Arc<Board>) -> Result<Self, MixerError> {
        let pool = BatchPool::new(KEPT_BATCHES);
        Ok(Self {
            id,
            tick_ms,
            due: None,
            core: roomtone_audio::mixer::Mixer::new(tick_ms, &SETTINGS)?,
            voices: Vec::new(),
            by_ssrc: FxHashMap::default(),
            listeners: FxHashMap::default(),
            groups: Vec::new(),
            complexity: None,
            failed: 0,
            batch: pool.empty(id),
            pool,
            events: Vec::new(),
            board,
        })
    }

    pub(super) fn add_input(&mut self, input: NewInput) {
        let id = input.input;
        self.add_voice(id, Sound::Heard(Box::new(Input::new(input))));
    }

    pub(super) fn add_source(&mut self, id: u64, source: Source) {
        self.add_voice(id, Sound::Played(source));
    }

    fn add_voice(&mut self, id: u64, sound: Sound) {
        self.voices.push(Voice {
            id,
            sound,
            frame: Vec::new(),
            rate_hz: 0,
            place: None,
            placed_hz: 0,
        });
        self.index();
        self.retune();
    }

    pub(super) fn remove_input(&mut self, id: u64) {
        let Some(at) = self.voices.iter().position(|voice| voice.id == id) else {
            return;
        };
        let voice = self.voices.swap_remove(at);
        if let Some(place) = voice.place {
            // Who left it out hears everybody from now on.
            let _ = self.core.remove_input(place);
        }
        self.index();
        self.retune();
    }

    /// The rate that a mix is encoded at: what those in it can sound like. Of two who talk each hears the other alone;
    /// where there are more, all mixes have one rate, so that they share encoders.
    fn rate_for(&self, codec: Codec, without: Option<u64>) -> u32 {
        let talk = self.voices.len() <= 2;
        let heard = |voice: &&Voice| !talk || without != Some(voice.id);
        let rates = self.voices.iter().filter(heard).map(Voice::full_rate_hz);
        codec.rate_towards(rates.max().unwrap_or(LOWEST_HZ))
    }

    /// Changes the rate of mixes whose voices have changed; their streams go on where they are.
    fn retune(&mut self) {
        self.take_all_of_two();
        let stale = |(_, listener): &(&OutputId, &Listener)| {
            listener.spec.rate_hz != self.rate_for(listener.spec.codec, listener.without)
        };
        let stale: Vec<OutputId> = self
            .listeners
            .iter()
            .filter(stale)
            .map(|(&output, _)| output)
            .collect();
        for output in stale {
            let _ = self.core.remove_output(output);
            if let Some(mut listener) = self.listeners.remove(&output) {
                listener.spec.rate_hz = self.rate_for(listener.spec.codec, listener.without);
                self.listen(listener);
            }
        }
    }

    /// Of two who talk each hears all of the other, the noise behind its voice too; among more, noises would add up.
    fn take_all_of_two(&mut self) {
        let talk = self.voices.len() <= 2;
        for voice in &self.voices {
            if let (Sound::Heard(_), Some(place)) = (&voice.sound, voice.place) {
                let _ = self.core.set_takes_all(place, talk);
            }
        }
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
        match &output.mix {
            Mix::AllBut(without) => {
                let listener = Listener {
                    stream: Stream::new(output),
                    without: *without,
                    spec: OutputSpec {
                        codec: output.codec,
                        rate_hz: self.rate_for(output.codec, *without),
                        ptime_ms: output.ptime_ms,
                        without: without.and_then(|id| self.place_of(id)),
                    },
                };
                self.listen(listener);
            }
            Mix::Only(only) => self.add_to_group(only, output),
        }
    }

    fn listen(&mut self, listener: Listener) {
        // The shard has checked codec, packet time and count.
        match self.core.add_output(listener.spec) {
            Ok(id) => {
                self.listeners.insert(id, listener);
            }
            Err(_) => self.failed += 1,
        }
    }

    fn add_to_group(&mut self, only: &[u64], output: &NewOutput) {
        let mut groups = self.groups.iter_mut();
        if let Some(group) = groups.find(|group| group.takes(only, output)) {
            return group.add(output);
        }
        match Group::new(only, output, self.tick_ms, &SETTINGS) {
            Ok(mut group) => {
                if let Some(complexity) = self.complexity {
                    group.set(EncoderSetting::Complexity(complexity));
                }
                group.add(output);
                self.groups.push(group);
            }
            Err(_) => self.failed += 1,
        }
    }

    pub(super) fn remove_output(&mut self, output: u64) {
        let mut listeners = self.listeners.iter();
        if let Some((&id, _)) = listeners.find(|(_, listener)| listener.stream.id == output) {
            self.listeners.remove(&id);
            let _ = self.core.remove_output(id);
        }
        self.groups.retain_mut(|group| group.remove(output));
    }

    /// Sends a key on an output; one too many is dropped and counted.
    pub(super) fn press(&mut self, output: u64, digit: Digit, duration_ms: u32) {
        let listeners = self
            .listeners
            .values_mut()
            .map(|listener| &mut listener.stream);
        let groups = self.groups.iter_mut().flat_map(Group::streams);
        for stream in listeners.chain(groups).filter(|stream| stream.id == output) {
            if !stream.press(digit, duration_ms) {
                self.failed += 1;
            }
        }
    }

    fn place_of(&self, id: u64) -> Option<InputId> {
        self.voices.iter().find(|voice| voice.id == id)?.place
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

    /// What no output has more of need not be decoded.
    fn highest_hz(&self) -> u32 {
        let listeners = self
            .listeners
            .values()
            .map(|listener| listener.spec.rate_hz);
        let groups = self.groups.iter().map(Group::rate_hz);
        listeners.chain(groups).max().unwrap_or(LOWEST_HZ)
    }

    pub(super) fn tick_ms(&self) -> u32 {
        self.tick_ms
    }

    /// Whether a step of the thread at `now` is one for this mixer; a mixer that has fallen far behind begins anew.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = self.due.unwrap_or(now);
        if now < due {
            return false;
        }
        let tick = Duration::from_millis(self.tick_ms.into());
        let next = due + tick;
        self.due = Some(if next <= now { now + tick } else { next });
        true
    }

    pub(super) fn handle_tick(&mut self, now: Duration) {
        self.hear(now);
        let (listeners, batch) = (&mut self.listeners, &mut self.batch);
        let mixed = self.core.tick(|outgoing| {
            for id in outgoing.outputs {
                if let Some(listener) = listeners.get_mut(id) {
                    listener.stream.write(
                        outgoing.payload,
                        outgoing.pcm,
                        outgoing.timestamp_step,
                        batch,
                    );
                }
            }
        });
        if mixed.is_err() {
            self.failed += 1;
        }
        for group in &mut self.groups {
            let frames = self.voices.iter().filter(|voice| voice.rate_hz > 0);
            group.handle_tick(
                frames.map(|voice| (voice.id, voice.rate_hz, &voice.frame[..])),
                batch,
            );
        }
    }

    /// Takes the frame of this tick from all that sounds.
    fn hear(&mut self, now: Duration) {
        let mut ended = Vec::new();
        for at in 0..self.voices.len() {
            let more = self.voices[at].fill(self.tick_ms, now);
            self.keep_place(at);
            let voice = &mut self.voices[at];
            if let Some(place) = voice.place
                && self.core.write(place, &voice.frame).is_err()
            {
                self.failed += 1;
            }
            if !more {
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
            let mixer = self.id;
            self.events.push(Event::MixerSourceEnded { mixer, input });
            self.remove_input(input);
        }
    }

    /// Gives a voice a place in the mix, and another one when its rate has changed.
    fn keep_place(&mut self, at: usize) {
        let voice = &mut self.voices[at];
        if voice.placed_hz == voice.rate_hz {
            return;
        }
        if let Some(old) = voice.place.take() {
            let _ = self.core.remove_input(old);
        }
        let placed = match &voice.sound {
            Sound::Heard(_) => self.core.add_input(voice.rate_hz),
            Sound::Played(_) => self.core.add_source(voice.rate_hz),
        };
        let Ok(place) = placed else {
            self.failed += 1;
            return;
        };
        (voice.place, voice.placed_hz) = (Some(place), voice.rate_hz);
        let id = voice.id;
        self.take_all_of_two();
        // Its own listeners leave out the new place. Their streams go on where they are.
        let own = |(_, listener): &(&OutputId, &Listener)| listener.without == Some(id);
        let own: Vec<OutputId> = self
            .listeners
            .iter()
            .filter(own)
            .map(|(&output, _)| output)
            .collect();
        for output in own {
            let _ = self.core.remove_output(output);
            if let Some(mut listener) = self.listeners.remove(&output) {
                listener.spec.without = Some(place);
                self.listen(listener);
            }
        }
    }

    /// What is to be forwarded, if anything is.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        if self.batch.packets.is_empty() {
            return None;
        }
        Some(std::mem::replace(&mut self.batch, self.pool.empty(self.id)))
    }

    pub(super) fn drain_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Changes the effort of all encoders.
    pub(super) fn set_complexity(&mut self, complexity: u8) {
        self.complexity = Some(complexity);
        let setting = EncoderSetting::Complexity(complexity);
        if self.core.set(setting).is_err() {
            self.failed += 1;
        }
        for group in &mut self.groups {
            group.set(setting);
        }
        let mixer = self.id;
        self.events
            .push(Event::MixerEffortChanged { mixer, complexity });
    }

    /// Writes on the board how inputs and outputs are.
    pub(super) fn report(&mut self, now: Duration) {
        self.retune(); // a voice may have changed its codec
        let did = self.core.counters();
        let own = Report::from([
            ("type".to_owned(), "mixer-core".into()),
            ("listeners".to_owned(), self.listeners.len().into()),
            ("framesEncoded".to_owned(), did.encoded.into()),
            ("payloadsDelivered".to_owned(), did.delivered.into()),
            ("inputsMixed".to_owned(), did.mixed.into()),
            ("inputsSilent".to_owned(), did.silent.into()),
            ("failed".to_owned(), (did.failed + self.failed).into()),
        ]);
        let voices = self.voices.iter().map(|voice| {
            let level = voice.place.and_then(|place| self.core.level(place).ok());
            let silent = voice
                .place
                .is_none_or(|place| !self.core.is_mixed(place).unwrap_or(false));
            let mut report = match &voice.sound {
                Sound::Heard(input) => input.report(now),
                Sound::Played(source) => Report::from([
                    ("id".to_owned(), voice.id.to_string().into()),
                    ("type".to_owned(), "mixer-source".into()),
                    ("rateHz".to_owned(), source.rate_hz().into()),
                ]),
            };
            report.insert("silent".to_owned(), silent.into());
            report.insert(
                "levelDbov".to_owned(),
                level.map(|level| -i64::from(level)).into(),
            );
            report
        });
        let groups = self.groups.iter().map(Group::report);
        self.board
            .write(std::iter::once(own).chain(voices).chain(groups).collect());
    }
}

impl Voice {
    /// The highest rate that it can have; what is decoded of it may be less.
    fn full_rate_hz(&self) -> u32 {
        match &self.sound {
            Sound::Heard(input) => input.full_rate_hz(),
            Sound::Played(source) => source.rate_hz(),
        }
    }

    /// Takes the frame of this tick; whether more will come.
    fn fill(&mut self, tick_ms: u32, now: Duration) -> bool {
        let rate_hz = match &self.sound {
            Sound::Heard(input) => input.rate_hz(),
            Sound::Played(source) => Some(source.rate_hz()),
        };
        let Some(rate_hz) = rate_hz else {
            return true;
        };
        self.rate_hz = rate_hz;
        self.frame.clear();
        self.frame.resize((rate_hz / 1000 * tick_ms) as usize, 0);
        match &mut self.sound {
            Sound::Heard(input) => {
                input.pull(&mut self.frame, now);
                true
            }
            Sound::Played(source) => source.fill(&mut self.frame),
        }
    }
}
