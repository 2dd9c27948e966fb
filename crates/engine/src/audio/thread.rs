//! The loop of one audio thread: messages at once, packets and mixes at each tick.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use roomtone_audio::ComplexityControl;
use rustc_hash::FxHashMap;

use super::mixer::Mixer;
use super::{Message, TICK, TICK_MS};
use crate::counters::AudioCounters;
use crate::ids;
use crate::shard::{Batch, Control, ShardHandle, Shared};
use crate::values::Event;

/// Ticks that may be made up for at once; after a longer halt the clock starts anew.
const MOST_LATE: Duration = Duration::from_millis(200);

/// Between two reports of what mixers do: a second.
const TICKS_A_REPORT: u64 = 1_000 / TICK_MS as u64;

/// One audio thread's state.
pub(super) struct AudioThread {
    messages: Receiver<Message>,
    batches: Receiver<Batch>,
    shared: Arc<Shared>,
    shards: Vec<ShardHandle>,
    counters: Arc<AudioCounters>,
    mixers: FxHashMap<u64, Mixer>,
    /// Zero of the time that mixers are told.
    begun: Instant,
    effort: ComplexityControl,
    ticks: u64,
    running: bool,
}

impl AudioThread {
    pub(super) fn new(
        messages: Receiver<Message>,
        batches: Receiver<Batch>,
        shared: Arc<Shared>,
        shards: Vec<ShardHandle>,
        counters: Arc<AudioCounters>,
    ) -> Self {
        Self {
            messages,
            batches,
            shared,
            shards,
            counters,
            mixers: FxHashMap::default(),
            begun: Instant::now(),
            effort: ComplexityControl::new(),
            ticks: 0,
            running: true,
        }
    }

    pub(super) fn run(&mut self) {
        let mut next = Instant::now();
        while self.running {
            if self.mixers.is_empty() {
                // Nothing ticks; batches that are left are for nobody, and the next tick drops them.
                let Ok(message) = self.messages.recv() else {
                    return;
                };
                self.on_message(message);
                next = Instant::now() + TICK;
                continue;
            }
            let wait = next.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(wait) {
                Ok(message) => self.on_message(message),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if now < next {
                continue;
            }
            if now - next > MOST_LATE {
                self.counters.audio_halts.up();
                next = now;
            }
            self.tick(now, next);
            next += TICK;
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Open { mixer, board } => match Mixer::new(mixer, board) {
                Ok(made) => drop(self.mixers.insert(mixer, made)),
                Err(_) => self.broken(mixer),
            },
            Message::Close { mixer } => {
                self.mixers.remove(&mixer);
            }
            Message::AddInput(input) => self.with(input.mixer, |mixer| mixer.add_input(*input)),
            Message::AddSource {
                mixer,
                input,
                source,
            } => self.with(mixer, |mixer| mixer.add_source(input, *source)),
            Message::RemoveInput { mixer, input } => {
                self.with(mixer, |mixer| mixer.remove_input(input));
            }
            Message::AddOutput(output) => {
                self.with(output.mixer, |mixer| mixer.add_output(&output));
            }
            Message::RemoveOutput { mixer, output } => {
                self.with(mixer, |mixer| mixer.remove_output(output));
            }
            Message::Press {
                mixer,
                output,
                digit,
                duration_ms,
            } => self.with(mixer, |mixer| mixer.press(output, digit, duration_ms)),
            Message::Shutdown => self.running = false,
        }
    }

    /// Does something with a mixer, if it is still there; a panic costs this mixer only.
    fn with(&mut self, id: u64, act: impl FnOnce(&mut Mixer)) {
        let Some(mixer) = self.mixers.get_mut(&id) else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| act(mixer))).is_err() {
            self.broken(id);
        }
    }

    fn broken(&mut self, id: u64) {
        self.mixers.remove(&id);
        self.counters.mixers_panicked.up();
        self.shards[ids::shard_of(id)].control(Control::MixerBroken { mixer: id });
    }

    fn take_batches(&mut self) {
        let now = self.begun.elapsed();
        let batches: Vec<Batch> = self.batches.try_iter().collect();
        // A shard tells of an input before it sends what that brings, but by another channel.
        while let Ok(message) = self.messages.try_recv() {
            self.on_message(message);
        }
        for batch in batches {
            self.with(batch.to, |mixer| mixer.handle_batch(&batch, now));
            batch.send_home();
        }
    }

    /// One step of all mixers, which was due at `due`.
    fn tick(&mut self, at: Instant, due: Instant) {
        self.take_batches();
        let now = due.saturating_duration_since(self.begun);
        let ids: Vec<u64> = self.mixers.keys().copied().collect();
        for id in ids {
            self.with(id, |mixer| mixer.handle_tick(now));
            let Some(mixer) = self.mixers.get_mut(&id) else {
                continue;
            };
            let shard = &self.shards[ids::shard_of(id)];
            if let Some(batch) = mixer.take_batch() {
                let count = batch.packets.len() as u64;
                if let Err(batch) = shard.batch(batch) {
                    self.counters.mixed_dropped_full.add(count);
                    batch.send_home();
                } else {
                    self.counters.mixed_packets.add(count);
                }
            }
            for event in mixer.drain_events() {
                if let Event::MixerSourceEnded { mixer, input } = event {
                    let source = input;
                    shard.control(Control::SourceEnded { mixer, source });
                }
                if self.shared.outbox.event(event).is_err() {
                    self.counters.digits_refused.up();
                }
            }
        }
        self.counters.audio_ticks.up();
        let spent = at.elapsed();
        self.counters.audio_busy_us.add(spent.as_micros() as u64);
        if spent > TICK / 2 {
            self.counters.audio_ticks_busy.up();
        }
        let complexity = self.effort.handle_tick(spent, TICK, now);
        let reports = self.ticks.is_multiple_of(TICKS_A_REPORT);
        self.ticks += 1;
        for mixer in self.mixers.values_mut() {
            if let Some(complexity) = complexity {
                mixer.set_complexity(complexity);
            }
            if reports {
                mixer.report(now);
            }
        }
    }
}
