//! What the live thread does with how full queues are: it looks at them each turn, tells, and answers who asks.

use std::sync::atomic::Ordering;

use super::MAX_RUNS;
use super::pressing::{Fill, QueueId, Queued};
use super::thread::{LiveThread, Running};
use crate::failure::Failure;
use crate::ids;
use crate::values::{CommandResult, Event, StreamQueues};

impl LiveThread {
    /// Look at the queues of all streams.
    pub(super) fn press(&mut self) {
        let packagers: Vec<u64> = self.running.keys().copied().collect();
        let mut counts = [0; 4];
        for packager in packagers {
            if let Some(running) = self.running.get_mut(&packager) {
                let way_in = &running.board.way_in;
                way_in.tell(&running.program.queues());
                way_in.leave(std::mem::take(&mut running.taken));
            }
            let Some(running) = self.running.get(&packager) else {
                continue;
            };
            let queues = self.queues(packager, running);
            let Some(running) = self.running.get_mut(&packager) else {
                continue;
            };
            let pressing = &mut running.program.pressing;
            let told = pressing.note(&queues);
            counts[pressing.level() as usize] += 1;
            if let Some((level, queue)) = told {
                self.counters.pressure_changes.up();
                // Only messages of channels are ever refused.
                let _ = self.shared.outbox.event(Event::PackagerPressed {
                    packager,
                    level: level.into(),
                    queue: queue.name(),
                });
            }
        }
        let [_, elevated, high, critical] = counts;
        self.counters.packagers_elevated.set(elevated);
        self.counters.packagers_high.set(high);
        self.counters.packagers_critical.set(critical);
    }

    /// All queues of a stream.
    fn queues(&self, packager: u64, running: &Running) -> Vec<Queued> {
        let mut queues = Vec::new();
        let is_of_shard = self.shards.get(ids::shard_of(packager)).is_some();
        if !is_of_shard {
            let runs = self.waiting.load(Ordering::Relaxed) as u64;
            queues.push(running.board.way_in.queued(runs, MAX_RUNS as u64));
        }
        queues.extend(running.program.queues());
        if let Some(channel) = &running.program.channel {
            queues.push(memory(self.keeping.memory_of(channel)));
        }
        queues
    }

    /// A command: how full the queues of a stream are, and all memory for streams.
    pub(super) fn pressure_of(&self, wish: &StreamQueues) -> Result<CommandResult, Failure> {
        let packager = wish.packager;
        let running = self.running.get(&packager);
        let running = running.ok_or_else(|| Failure::not_found("packager", packager))?;
        let pressing = &running.program.pressing;
        let queues = self.queues(packager, running);
        let mut reports: Vec<_> = queues
            .iter()
            .map(|one| one.report(pressing.level_of(one.id)))
            .collect();
        let makings = self
            .makings
            .iter()
            .filter_map(|one| one.queued(&wish.tracks));
        reports.extend(makings.map(|one| one.report(one.fill.level())));
        let all = self.keeping.all_memory();
        let mut total = memory(all).report(all.level());
        total.insert("type".to_owned(), "live-memory".into());
        reports.push(total);
        Ok(CommandResult::Stats { reports })
    }
}

fn memory(fill: Fill) -> Queued {
    Queued {
        id: QueueId::Memory,
        fill,
        units_dropped: 0,
        groups_dropped: 0,
        slows: false,
    }
}
