//! The loop of one audio thread: messages at once, packets and mixes at each tick.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use roomtone_audio::ComplexityControl;
use rustc_hash::FxHashMap;

use super::mixer::Mixer;
use super::{Message, TICKS_MS};
use crate::counters::AudioCounters;
use crate::ids;
use crate::shard::{Batch, Control, ShardHandle, Shared};
use crate::values::Event;

/// Ticks that may be made up for at once; after a longer halt the clock starts anew.
const MOST_LATE: Duration = Duration::from_millis(200);

/// What mixers give out waits so long at most for that of others: a shard is woken for all of it.
const WAKES_APART: Duration = Duration::from_millis(1);

/// Between two reports of what mixers do.
const REPORT_EVERY: Duration = Duration::from_secs(1);

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
    /// When mixers are to report next.
    report_at: Duration,
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
            report_at: Duration::ZERO,
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
                next = Instant::now() + self.step();
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
            let step = self.step();
            self.tick(now, next, step);
            next += step;
        }
    }

    /// The shortest tick of its mixers: they all mix at multiples of it.
    fn step(&self) -> Duration {
        let [shortest, longest] = TICKS_MS;
        let is_short = self.mixers.values().any(|one| one.tick_ms() == shortest);
        Duration::from_millis(if is_short { shortest } else { longest }.into())
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Open {
                mixer,
                tick_ms,
                board,
            } => match Mixer::new(mixer, tick_ms, board) {
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

    fn wake(&self, shards: &mut Vec<usize>) {
        for shard in shards.drain(..) {
            self.shards[shard].wake();
        }
    }

    /// One step, which was due at `due`: all mixers whose tick it is mix.
    fn tick(&mut self, at: Instant, due: Instant, step: Duration) {
        self.take_batches();
        let now = due.saturating_duration_since(self.begun);
        let ids: Vec<u64> = self.mixers.keys().copied().collect();
        let (mut told, mut to_wake) = (at, Vec::new());
        for id in ids {
            self.with(id, |mixer| {
                if mixer.is_due(now) {
                    mixer.handle_tick(now);
                }
            });
            let Some(mixer) = self.mixers.get_mut(&id) else {
                continue;
            };
            let shard = &self.shards[ids::shard_of(id)];
            if let Some(batch) = mixer.take_batch() {
                to_wake.push(ids::shard_of(id));
                let count = batch.packets.len() as u64;
                if let Err(batch) = shard.batch_quietly(batch) {
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
            if told.elapsed() > WAKES_APART {
                told = Instant::now();
                self.wake(&mut to_wake);
            }
        }
        self.wake(&mut to_wake);
        self.counters.audio_ticks.up();
        let spent = at.elapsed();
        self.counters.audio_busy_us.add(spent.as_micros() as u64);
        if spent > step / 2 {
            self.counters.audio_ticks_busy.up();
        }
        let complexity = self.effort.handle_tick(spent, step, now);
        let reports = self.report_at <= now;
        if reports {
            self.report_at = now + REPORT_EVERY;
        }
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
