//! Packets as they come into sound as it is played.

mod delay;
mod queue;
mod values;

use crate::codec::{Codec, CodecError, Decode, MAX_FRAME_SAMPLES};
use crate::stretch::{lengthen, needed, shorten, shortest};
use crate::{ComfortNoise, Concealer, NoiseDescription, level_dbov};
use delay::Delays;
use queue::{Inserted, Queue, Waiting};
use roomtone_rtp::{SequenceUnwrapper, TimestampUnwrapper};
use std::time::Duration;

pub use values::{JitterConfig, JitterCounters, Packet, PacketKind};

/// A packet further than this from where it should be begins a new timeline.
const JUMP_US: i64 = 3_000_000;

/// A sequence number further than this does too (RFC 3550 appendix A.1, MAX_DROPOUT).
const SEQUENCE_JUMP: u64 = 3_000;

/// Delay kept above what jitter asks for.
const MARGIN_US: i64 = 3_000;

/// The delay may be this much below, and above, what it should be, before it is changed.
const BELOW_US: i64 = 3_000;
const ABOVE_US: i64 = 5_000;

/// A frame could have been recovered, had its successor been there: for so long the buffer waits for
/// successors.
const RECOVERY_US: i64 = 10_000_000;

/// Sound is stretched at most once in so much output.
const STRETCH_EACH_US: i64 = 40_000;

/// Repetitions must be this alike to be faded into one another; quiet or urgent ones need not.
const ALIKE: f64 = 0.6;
const URGENT_US: i64 = 20_000;
const QUIET_DBOV: f64 = -50.0;

/// Takes packets as they come and plays them steadily.
///
/// Inputs: [`Self::handle_packet`] for each packet and [`Self::pull`] for each tick, both with the
/// time since any start. Outputs: exactly the samples asked for. Order: any; packets are sorted.
/// Limits: [`JitterConfig`]. The delay follows what jitter of the last three seconds asks for, by
/// taking whole periods out of the sound or repeating them; silence is changed at once.
pub struct JitterBuffer {
    codec: Codec,
    config: JitterConfig,
    rate_hz: u32,
    decoder: Box<dyn Decode>,
    queue: Queue,
    sequences: SequenceUnwrapper,
    timestamps: TimestampUnwrapper,
    delays: Delays,
    concealer: Concealer,
    noise: ComfortNoise,
    is_described: bool,
    /// Decoded and not yet played; it ends at `head`.
    pcm: Vec<i16>,
    /// Where on the timeline the next decoded sample lies; none before the first packet.
    head: Option<i64>,
    /// Extended sequence number of the last packet taken out.
    taken: Option<u64>,
    /// Which packets up to that one were there: the lowest bit is the last.
    taken_bits: u64,
    /// Whether what was last played was silence sent as such.
    is_quiet: bool,
    target_us: i64,
    /// Delay for recovery from successors, and until when.
    recovery_us: i64,
    recovery_until_us: i64,
    /// Output since sound was last stretched.
    since_stretch_us: i64,
    scratch: Vec<i16>,
    counters: JitterCounters,
}

impl std::fmt::Debug for JitterBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JitterBuffer")
            .field("codec", &self.codec)
            .field("rate_hz", &self.rate_hz)
            .field("waiting", &self.queue.len())
            .field("target_us", &self.target_us)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl JitterBuffer {
    /// A buffer for `codec` decoded at `rate_hz`.
    pub fn new(codec: Codec, rate_hz: u32, config: JitterConfig) -> Result<Self, CodecError> {
        Ok(Self {
            codec,
            config,
            rate_hz,
            decoder: codec.decoder(rate_hz)?,
            queue: Queue::new(config.most_packets.max(1)),
            sequences: SequenceUnwrapper::new(),
            timestamps: TimestampUnwrapper::new(),
            delays: Delays::default(),
            concealer: Concealer::new(rate_hz),
            noise: ComfortNoise::new(rate_hz),
            is_described: false,
            pcm: Vec::new(),
            head: None,
            taken: None,
            taken_bits: 0,
            is_quiet: true,
            target_us: i64::from(config.start_ms) * 1000,
            recovery_us: 0,
            recovery_until_us: 0,
            since_stretch_us: 0,
            scratch: vec![0; MAX_FRAME_SAMPLES],
            counters: JitterCounters::default(),
        })
    }

    /// Sampling rate of the output, in hertz.
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// What it has done.
    pub const fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// Packets that wait to be due.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The delay that it aims at, in microseconds beyond the fastest packet.
    pub const fn target_us(&self) -> i64 {
        self.target_us
    }

    /// Jitter of the last seconds: how much later than the fastest packet the slowest was.
    pub const fn spread_us(&self) -> i64 {
        self.delays.spread_us()
    }

    /// The delay of what is played at `now`, in microseconds beyond the fastest packet; none
    /// before the first.
    pub fn delay_us(&self, now: Duration) -> Option<i64> {
        let played = self.head? - self.pcm.len() as i64;
        Some(now.as_micros() as i64 - self.delays.fastest_us() - self.us(played))
    }

    fn us(&self, samples: i64) -> i64 {
        samples * 1_000_000 / i64::from(self.rate_hz)
    }

    fn samples(&self, us: i64) -> i64 {
        us * i64::from(self.rate_hz) / 1_000_000
    }

    /// A packet has come.
    pub fn handle_packet(&mut self, packet: Packet<'_>, now: Duration) {
        self.counters.received += 1;
        let now_us = now.as_micros() as i64;
        let mut sequence = self.sequences.peek(packet.sequence);
        if (self.sequences.last()).is_some_and(|last| sequence.abs_diff(last) > SEQUENCE_JUMP) {
            self.restart();
            sequence = self.sequences.peek(packet.sequence);
        }
        let mut position = self.position(packet.timestamp);
        // An event keeps the timestamp of its start, so only sound tells the time.
        if packet.kind != PacketKind::Event {
            let transit_us = now_us - self.us(position);
            let is_jump = (transit_us - self.delays.fastest_us()).abs() > JUMP_US;
            if self.head.is_some() && is_jump {
                self.restart();
                sequence = self.sequences.peek(packet.sequence);
                position = self.position(packet.timestamp);
            }
            self.timestamps.unwrap(packet.timestamp);
            self.delays.note(now_us, now_us - self.us(position));
            if self.head.is_none() {
                let start = self.samples(i64::from(self.config.start_ms) * 1000);
                self.head = Some(position - start);
            }
        }
        // Only what moves forward moves the reference.
        if self.sequences.last().is_none_or(|last| sequence > last) {
            self.sequences.unwrap(packet.sequence);
        }
        if let Some(ago) = self.taken.and_then(|taken| taken.checked_sub(sequence)) {
            if ago < 64 && self.taken_bits >> ago & 1 == 1 {
                self.counters.duplicate += 1;
            } else if packet.kind == PacketKind::Sound {
                self.counters.late += 1;
            }
            return;
        }
        let waiting = Waiting {
            sequence,
            position,
            kind: packet.kind,
            payload: packet.payload.to_vec(),
        };
        match self.queue.insert(waiting) {
            Inserted::Kept => {}
            Inserted::Duplicate => self.counters.duplicate += 1,
            Inserted::Overflow => self.counters.overflow += 1,
        }
    }

    /// Where a timestamp lies on the timeline, in samples of the output.
    fn position(&self, timestamp: u32) -> i64 {
        let ticks = self.timestamps.peek(timestamp) as i64;
        ticks * i64::from(self.rate_hz) / i64::from(self.codec.clock_hz())
    }

    /// The sender begins anew: so does the timeline. What is decoded is played to its end.
    fn restart(&mut self) {
        self.counters.restarts += 1;
        self.queue.clear();
        self.sequences = SequenceUnwrapper::new();
        self.timestamps = TimestampUnwrapper::new();
        self.delays.clear();
        self.head = None;
        self.taken = None;
        self.is_quiet = true;
    }

    /// Fills `out` with the next samples, of at most 60 ms.
    pub fn pull(&mut self, out: &mut [i16], now: Duration) {
        let length_us = self.us(out.len() as i64);
        if now.as_micros() as i64 > self.recovery_until_us {
            self.recovery_us = 0;
        }
        let wanted = self.delays.spread_us() + length_us + MARGIN_US + self.recovery_us;
        self.target_us = wanted.min(i64::from(self.config.most_ms) * 1000);
        while self.pcm.len() < out.len() {
            self.add(out.len() - self.pcm.len(), now);
        }
        self.since_stretch_us += length_us;
        self.stretch(now);
        // Shortening may have left too little.
        while self.pcm.len() < out.len() {
            self.add(out.len() - self.pcm.len(), now);
        }
        out.copy_from_slice(&self.pcm[..out.len()]);
        self.pcm.drain(..out.len());
    }

    /// Appends some samples: the next packet's, or what stands for it.
    fn add(&mut self, missing: usize, now: Duration) {
        let Some(head) = self.head else {
            self.add_quiet(missing);
            return;
        };
        let Some(next) = self.queue.front() else {
            self.add_without_packet(missing, head, now);
            return;
        };
        let follows = self.taken.is_none_or(|taken| next.sequence == taken + 1);
        match next.kind {
            PacketKind::Event => {
                self.take();
                self.is_quiet = true;
            }
            PacketKind::ComfortNoise if next.position <= head => {
                if let Some(description) = self
                    .take()
                    .and_then(|packet| NoiseDescription::parse(&packet.payload))
                {
                    self.noise.describe(&description);
                    self.is_described = true;
                }
                self.is_quiet = true;
            }
            PacketKind::Sound if next.position <= head => self.add_packet(head, now),
            PacketKind::Sound | PacketKind::ComfortNoise => {
                let gap = (next.position - head) as usize;
                if follows || self.is_quiet {
                    self.add_gap(missing, gap, head, now);
                } else {
                    self.add_lost(missing, gap, head);
                }
            }
        }
    }

    fn take(&mut self) -> Option<Waiting> {
        let packet = self.queue.pop()?;
        let step = self.taken.map_or(64, |taken| packet.sequence - taken);
        let before = u32::try_from(step)
            .ok()
            .and_then(|step| self.taken_bits.checked_shl(step));
        self.taken_bits = before.unwrap_or(0) | 1;
        self.taken = Some(packet.sequence);
        Some(packet)
    }

    /// The next packet is due, or past due.
    fn add_packet(&mut self, head: i64, now: Duration) {
        let before = self.taken;
        let Some(packet) = self.take() else {
            return;
        };
        let was_lost = before.is_some_and(|before| packet.sequence > before + 1);
        if was_lost && self.decoder.carries_previous(&packet.payload) {
            let frame = self.decoder.samples_in(&packet.payload).unwrap_or(0);
            self.recovery_us = self.us(frame as i64);
            self.recovery_until_us = now.as_micros() as i64 + RECOVERY_US;
        }
        let decoded = self.decoder.decode(&packet.payload, &mut self.scratch);
        let Ok(len) = decoded else {
            self.counters.undecodable += 1;
            return;
        };
        self.counters.decoded += 1;
        let gone = (head - packet.position) as usize;
        if gone > 0 {
            // Rounding of timestamps is no lateness.
            if gone > shortest(self.rate_hz) / 2 {
                self.counters.late += 1;
            }
            if gone >= len {
                return;
            }
        }
        let sound = &mut self.scratch[gone..len];
        self.concealer.heard(sound);
        self.pcm.extend_from_slice(sound);
        self.head = Some(head + (len - gone) as i64);
        self.is_quiet = false;
    }

    /// Silence until the next packet, which is there: the delay may become what it should be.
    fn add_gap(&mut self, missing: usize, gap: usize, head: i64, now: Duration) {
        let over_us = self.delay_us(now).unwrap_or(0) - self.target_us;
        let over = self.samples(over_us);
        if over > 0 && self.is_quiet {
            self.head = Some(head + over.min(gap as i64));
            if over >= gap as i64 {
                return;
            }
        }
        let left = gap - usize::try_from(over.max(0)).unwrap_or(0).min(gap);
        let len = missing.min(left.max(1));
        self.add_quiet(len);
        // Too little delay: silence is added, and the sound behind it waits.
        if over >= 0 {
            self.head = self.head.map(|head| head + len as i64);
        }
    }

    /// Packets are missing before the one that is there.
    fn add_lost(&mut self, missing: usize, gap: usize, head: i64) {
        let Some(next) = self.queue.front() else {
            return;
        };
        let frame = self.decoder.samples_in(&next.payload).unwrap_or(0);
        if next.kind == PacketKind::Sound && gap == frame {
            let out = &mut self.scratch[..frame];
            if let Some(Ok(len)) = self.decoder.recover(&next.payload, out) {
                let sound = &mut self.scratch[..len];
                self.concealer.heard(sound);
                self.pcm.extend_from_slice(sound);
                self.head = Some(head + len as i64);
                self.counters.recovered += 1;
                return;
            }
        }
        // As far as the frame that the next packet may bring back.
        let before = if gap > frame { gap - frame } else { gap };
        let made = self.add_concealed(missing, before);
        self.head = Some(head + made as i64);
    }

    /// Nothing is there. Either more delay is needed, and time stands still, or packets are lost.
    fn add_without_packet(&mut self, missing: usize, head: i64, now: Duration) {
        let under = self
            .delay_us(now)
            .is_some_and(|delay| delay < self.target_us);
        let made = if self.is_quiet {
            self.add_quiet(missing);
            missing
        } else {
            self.add_concealed(missing, usize::MAX)
        };
        if !under {
            self.head = Some(head + made as i64);
        }
    }

    /// Makes up sound, at most `most`; gives how much.
    fn add_concealed(&mut self, missing: usize, most: usize) -> usize {
        // Opus makes up multiples of 2.5 ms, and what is asked for may end inside one.
        let step = self.rate_hz as usize / 400;
        let len = missing.div_ceil(step) * step;
        let len = len.min(most).min(self.scratch.len());
        let out = &mut self.scratch[..len];
        self.concealer.bridge(self.decoder.as_mut(), out);
        self.pcm.extend_from_slice(&self.scratch[..len]);
        self.counters.concealed += len as u64;
        len
    }

    fn add_quiet(&mut self, len: usize) {
        let len = len.min(self.scratch.len());
        let out = &mut self.scratch[..len];
        // A decoder that conceals knows the noise behind the voice too; descriptions come first.
        let knows = self.counters.decoded > 0 && !self.is_described;
        let made = if knows && len.is_multiple_of(self.rate_hz as usize / 400) {
            self.decoder.conceal(out)
        } else {
            None
        };
        if !matches!(made, Some(Ok(_))) {
            self.noise.fill(out);
        }
        self.concealer.reset();
        self.pcm.extend_from_slice(&self.scratch[..len]);
        self.counters.quiet += len as u64;
        self.is_quiet = true;
    }

    /// Changes the delay towards what it should be, by a period of the sound.
    fn stretch(&mut self, now: Duration) {
        if self.is_quiet || self.since_stretch_us < STRETCH_EACH_US {
            return;
        }
        let Some(delay_us) = self.delay_us(now) else {
            return;
        };
        let over_us = delay_us - self.target_us;
        if (-BELOW_US..=ABOVE_US).contains(&over_us) {
            return;
        }
        // More sound to look at, if its packets are there and due.
        while self.pcm.len() < needed(self.rate_hz) {
            let (Some(head), Some(next)) = (self.head, self.queue.front()) else {
                break;
            };
            if next.kind != PacketKind::Sound || next.position > head {
                break;
            }
            self.add_packet(head, now);
        }
        let forced = over_us.abs() > URGENT_US || level_dbov(&self.pcm) < QUIET_DBOV;
        let least = if forced { -1.0 } else { ALIKE };
        if over_us > 0 {
            let most = self.samples(over_us + BELOW_US) as usize;
            let taken = shorten(&mut self.pcm, self.rate_hz, most, least);
            self.counters.shortened += taken as u64;
            self.since_stretch_us = if taken > 0 { 0 } else { self.since_stretch_us };
        } else {
            // No more than is taken out again at once, if a period is that short.
            let few = self.samples(ABOVE_US - over_us) as usize;
            let mut added = lengthen(&mut self.pcm, self.rate_hz, few, ALIKE);
            if added == 0 {
                added = lengthen(&mut self.pcm, self.rate_hz, usize::MAX, least);
            }
            self.counters.lengthened += added as u64;
            self.since_stretch_us = if added > 0 { 0 } else { self.since_stretch_us };
        }
    }
}
