//! Commands about mixers: transports whose far end is an audio thread.
//!
//! An input is a consumer of that transport, an output a producer of it, so both have all that consumers and producers
//! have: statistics, pauses, pipes to other shards.

use std::sync::Arc;

use roomtone_audio::dtmf::Digit;
use roomtone_rtp::{Codec, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId, ProducerParams,
    TransportId, TransportParams,
};

use super::Shard;
use super::commands::{Answered, DONE};
use super::egress::Writer;
use super::inbox::BatchPool;
use super::mail::Mail;
use super::objects::{Carrier, Object};
use crate::audio::{self, Board, MAX_INPUTS, Message, Mix, NewInput, NewOutput, Payload};
use crate::counters::Counters;
use crate::failure::Failure;
use crate::ids;
use crate::values::{CloseReason, CodecParameters, Command, CommandResult, ErrorCode, MixerSource};

/// Empty batches kept for a mixer's inputs.
const KEPT_BATCHES: usize = 64;
/// How long a key may be pressed, in milliseconds.
const PRESS_MS: std::ops::RangeInclusive<u32> = 40..=10_000;
/// The clock of codecs beside which comfort noise can be sent.
const NOISE_CLOCK_HZ: u32 = 8_000;
/// Times in one packet that every codec here can do, in milliseconds.
const PTIMES_MS: [u32; 4] = [10, 20, 40, 60];

/// The shard's end of a mixer.
pub(crate) struct MixerEnd {
    /// Audio thread.
    pub(crate) thread: usize,
    /// Sources; they are no objects of the shard.
    pub(crate) sources: Vec<u64>,
    tick_ms: u32,
    pub(super) board: Arc<Board>,
    pool: BatchPool,
}

impl MixerEnd {
    fn new(thread: usize, tick_ms: u32) -> Self {
        Self {
            thread,
            sources: Vec::new(),
            tick_ms,
            board: Arc::default(),
            pool: BatchPool::new(KEPT_BATCHES),
        }
    }
}

impl Shard {
    pub(super) fn open_mixer(&mut self, router: u64, tick_ms: u32) -> Answered {
        if !audio::TICKS_MS.contains(&tick_ms) {
            return Err(Failure::invalid("tick_ms is none of 10, 20"));
        }
        let router = self.router(router)?;
        let threads = self.audio.iter().enumerate();
        let Some((thread, _)) = threads.min_by_key(|(_, handle)| handle.load()) else {
            return Err(Failure::new(
                ErrorCode::Unsupported,
                "no audio thread is configured",
            ));
        };
        self.admit_transport()?;
        let id = ids::allocate(self.index);
        let end = MixerEnd::new(thread, tick_ms);
        let board = end.board.clone();
        let carrier = Carrier::Mixer(Box::new(end));
        let params = TransportParams {
            unlimited: true,
            ..TransportParams::default()
        };
        self.insert_transport(id, router, carrier, params)
            .inspect_err(|_| self.retract_transport())?;
        self.audio[thread].tell(Message::Open {
            mixer: id,
            tick_ms,
            board,
        });
        Ok(Some(CommandResult::MixerOpened { mixer: id }))
    }

    pub(super) fn add_mixer_input(
        &mut self,
        mixer: u64,
        producer: u64,
        inband_dtmf: bool,
    ) -> Answered {
        let slot = self.mixer(mixer)?;
        self.check_source(Some(producer), slot, MediaKind::Audio)?;
        self.check_inputs(slot)?;
        let params = &self.producer(producer)?.params;
        let payloads = decodable(&params.codecs);
        if !payloads
            .iter()
            .any(|(_, payload)| matches!(payload, Payload::Audio(_)))
        {
            return Err(Failure::new(
                ErrorCode::Unsupported,
                "a mixer decodes none of the codecs of this producer",
            ));
        }
        let consumer = ConsumerParams {
            producer: Some(ProducerId(producer)),
            kind: MediaKind::Audio,
            mid: None,
            payload_types: payloads.iter().map(|(pt, _)| (*pt, *pt)).collect(),
            rtx_payload_types: Vec::new(),
            extensions: Vec::new(),
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
            feedback: FeedbackKinds::default(),
            redundancy: None,
            verbatim: false,
        };
        let (id, description) = self.add_consumer(slot, consumer)?;
        let input = NewInput {
            mixer,
            input: id,
            ssrc: description.ssrc,
            payloads,
            inband_dtmf,
        };
        self.tell_mixer(slot, |_| Message::AddInput(Box::new(input)));
        Ok(Some(CommandResult::MixerInputAdded { input: id }))
    }

    pub(super) fn add_mixer_source(&mut self, mixer: u64, source: &MixerSource) -> Answered {
        let slot = self.mixer(mixer)?;
        let source = audio::Source::new(source).map_err(Failure::invalid)?;
        self.check_inputs(slot)?;
        let id = ids::allocate(self.index);
        if let Carrier::Mixer(end) = &mut self.transports[slot].carrier {
            end.sources.push(id);
        }
        self.tell_mixer(slot, |mixer| Message::AddSource {
            mixer,
            input: id,
            source: Box::new(source),
        });
        Ok(Some(CommandResult::MixerInputAdded { input: id }))
    }

    pub(super) fn remove_mixer_input(&mut self, mixer: u64, input: u64) -> Answered {
        let slot = self.mixer(mixer)?;
        if self.transports[slot].consumers.contains(&input) {
            // The mixer learns it there.
            return self.close_consumer(input).and(DONE);
        }
        let Carrier::Mixer(end) = &mut self.transports[slot].carrier else {
            return Err(Failure::not_found("mixer", mixer));
        };
        let Some(at) = end.sources.iter().position(|source| *source == input) else {
            return Err(Failure::not_found("input", input));
        };
        end.sources.swap_remove(at);
        self.tell_mixer(slot, |mixer| Message::RemoveInput { mixer, input });
        DONE
    }

    pub(super) fn add_mixer_output(&mut self, command: Command) -> Answered {
        let Command::AddMixerOutput {
            mixer,
            codec,
            ptime_ms,
            events_payload_type,
            noise_payload_type,
            without,
            only,
        } = command
        else {
            return Err(Failure::invalid("not an add mixer output command"));
        };
        let slot = self.mixer(mixer)?;
        let Some(Payload::Audio(encoded)) =
            audio::payload(&codec.name, codec.clock_rate, codec.channels)
        else {
            return Err(Failure::new(
                ErrorCode::Unsupported,
                format!("a mixer does not encode {}", codec.name),
            ));
        };
        let (events, noise) = (events_payload_type, noise_payload_type);
        let numbers: Vec<u8> = (std::iter::once(codec.payload_type)
            .chain(events)
            .chain(noise))
        .collect();
        let is_twice = |at: usize| numbers[..at].contains(&numbers[at]);
        if numbers.iter().any(|number| *number > 127) || (1..numbers.len()).any(is_twice) {
            return Err(Failure::invalid(
                "a payload type is above 127, or given twice",
            ));
        }
        if noise.is_some() && codec.clock_rate != NOISE_CLOCK_HZ {
            return Err(Failure::invalid(
                "comfort noise stands beside codecs of 8 kHz only",
            ));
        }
        if !PTIMES_MS.contains(&ptime_ms) {
            return Err(Failure::invalid("ptime_ms is none of 10, 20, 40, 60"));
        }
        if let Carrier::Mixer(end) = &self.transports[slot].carrier
            && ptime_ms < end.tick_ms
        {
            return Err(Failure::invalid(
                "ptime_ms is shorter than the mixer's tick_ms",
            ));
        }
        let ssrc = self.draw_ssrc();
        let id = self.add_producer(slot, mixed(&codec, events, noise, ssrc))?;
        let output = NewOutput {
            mixer,
            output: id,
            ssrc,
            codec: encoded,
            payload_type: codec.payload_type,
            events,
            noise,
            ptime_ms,
            mix: Mix::new(without, only),
        };
        self.tell_mixer(slot, |_| Message::AddOutput(Box::new(output)));
        Ok(Some(CommandResult::Produced { producer: id }))
    }

    /// An SSRC for what comes from within; its consumers draw their own.
    pub(super) fn draw_ssrc(&mut self) -> u32 {
        self.seed = self
            .seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(1);
        (self.seed >> 32) as u32
    }

    pub(super) fn send_mixer_dtmf(
        &mut self,
        output: u64,
        digit: &str,
        duration_ms: u32,
    ) -> Answered {
        let entry = self.producer(output)?;
        let sends = |codec: &CodecParams| codec.codec == Codec::TelephoneEvent;
        let (slot, may) = (entry.transport, entry.params.codecs.iter().any(sends));
        if !matches!(self.transports[slot].carrier, Carrier::Mixer(_)) {
            return Err(Failure::not_found("output", output));
        }
        if !may {
            return Err(Failure::new(
                ErrorCode::WrongState,
                "the output has no payload type for telephone events",
            ));
        }
        let mut characters = digit.chars();
        let (Some(digit), None) = (
            characters.next().and_then(Digit::from_char),
            characters.next(),
        ) else {
            return Err(Failure::invalid("a digit is one of 0-9, *, #, A-D"));
        };
        if !PRESS_MS.contains(&duration_ms) {
            return Err(Failure::invalid("duration_ms is 40 to 10000"));
        }
        self.tell_mixer(slot, |mixer| Message::Press {
            mixer,
            output,
            digit,
            duration_ms,
        });
        DONE
    }

    pub(super) fn close_mixer(&mut self, mixer: u64) -> Answered {
        let slot = self.mixer(mixer)?;
        self.close_transport(slot, CloseReason::Requested, String::new());
        DONE
    }

    /// An audio thread met a defect in a mixer: it is gone there already.
    pub(super) fn on_mixer_broken(&mut self, mixer: u64) {
        if let Ok(slot) = self.mixer(mixer) {
            self.transport_panicked(slot);
        }
    }

    /// A source has played to its end.
    pub(super) fn on_source_ended(&mut self, mixer: u64, source: u64) {
        if let Ok(slot) = self.mixer(mixer)
            && let Carrier::Mixer(end) = &mut self.transports[slot].carrier
        {
            end.sources.retain(|other| *other != source);
        }
    }

    fn mixer(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Transport(slot))
                if matches!(self.transports[*slot].carrier, Carrier::Mixer(_)) =>
            {
                Ok(*slot)
            }
            _ => Err(Failure::not_found("mixer", id)),
        }
    }

    fn check_inputs(&self, slot: usize) -> Result<(), Failure> {
        let entry = &self.transports[slot];
        let sources = match &entry.carrier {
            Carrier::Mixer(end) => end.sources.len(),
            _ => 0,
        };
        if entry.consumers.len() + sources < MAX_INPUTS {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::Limit,
            format!("{MAX_INPUTS} inputs are on this mixer"),
        ))
    }

    /// Tells the audio thread of the mixer in `slot`, if one is there.
    pub(super) fn tell_mixer(&self, slot: usize, message: impl FnOnce(u64) -> Message) {
        let entry = &self.transports[slot];
        if let Carrier::Mixer(end) = &entry.carrier {
            self.audio[end.thread].tell(message(entry.id));
        }
    }

    pub(super) fn burst_to_mixer(&mut self, router: usize, slot: usize, mail: &mut Mail) {
        let entry = &mut self.transports[slot];
        let id = entry.id;
        let Carrier::Mixer(end) = &mut entry.carrier else {
            return;
        };
        let handle = &self.audio[end.thread];
        let counters: &Counters = &self.counters;
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id: TransportId(id),
            now: self.now,
            counters,
        };
        // What a mixer hears needs no reports: its inputs are on one clock, its own.
        let (buffer, with_rtcp) = (mail.emptied(counters), false);
        writer.write_batches(buffer, &end.pool, id, with_rtcp, |batch| {
            let count = batch.packets.len() as u64;
            match handle.batch(batch) {
                Ok(()) => counters.mixer_packets.add(count),
                Err(batch) => {
                    counters.mixer_dropped_full.add(count);
                    batch.send_home();
                }
            }
        });
    }
}

/// What a mixer can do with each payload type of a producer; those it can do nothing with are left out.
fn decodable(codecs: &[CodecParams]) -> Vec<(u8, Payload)> {
    codecs
        .iter()
        .filter_map(|codec| {
            let payload = audio::payload(codec.codec.name(), codec.clock_rate, codec.channels)?;
            Some((codec.payload_type, payload))
        })
        .collect()
}

/// The producer a mix becomes.
fn mixed(
    codec: &CodecParameters,
    events: Option<u8>,
    noise: Option<u8>,
    ssrc: u32,
) -> ProducerParams {
    let sound = CodecParams {
        payload_type: codec.payload_type,
        codec: Codec::from_name(&codec.name),
        clock_rate: codec.clock_rate,
        channels: codec.channels,
        rtx_payload_type: None,
        feedback: FeedbackKinds::default(),
    };
    let beside = |payload_type: u8, codec: Codec| CodecParams {
        payload_type,
        codec,
        channels: 1,
        ..sound.clone()
    };
    let events = events.map(|number| beside(number, Codec::TelephoneEvent));
    let noise = noise.map(|number| beside(number, Codec::ComfortNoise));
    ProducerParams {
        kind: MediaKind::Audio,
        mid: None,
        codecs: std::iter::once(sound.clone())
            .chain(events)
            .chain(noise)
            .collect(),
        encodings: vec![EncodingParams {
            ssrc: Some(ssrc),
            rid: None,
            rtx_ssrc: None,
        }],
        extensions: Vec::new(),
        paused: false,
    }
}
