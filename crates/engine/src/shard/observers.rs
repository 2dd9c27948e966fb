//! Commands about observers of audio levels, and what routers tell them.

use std::time::Duration;

use roomtone_sfu::AudioLevelConfig;

use super::Shard;
use super::commands::{Answered, DONE};
use super::objects::{Object, ObserverEntry};
use crate::failure::Failure;
use crate::ids;
use crate::values::{Command, CommandResult, Event, SpeakerLevel};

/// Speakers in one event at most.
const MAX_SPEAKERS: usize = 64;
/// Windows from one audio packet to ten seconds, in milliseconds.
const INTERVALS: std::ops::RangeInclusive<u32> = 20..=10_000;
/// A speaker is held no longer than this, in milliseconds.
const MAX_HOLD: u32 = 60_000;

impl Shard {
    /// Opens an observer. A router looks at its audio in one way at a time: the first observer says how, another one
    /// has to say the same, but for the number of entries it is told.
    pub(super) fn observe(&mut self, command: &Command) -> Answered {
        let (router, levels) = settings(command)?;
        let slot = self.router(router)?;
        let entry = &mut self.routers[slot];
        // The router finds as many as anybody may be told; each observer takes its share.
        let shared = AudioLevelConfig {
            max_entries: MAX_SPEAKERS,
            ..levels.clone()
        };
        let other = entry.observers.first().and_then(|id| self.objects.get(id));
        if let Some(Object::Observer(_, other)) = other {
            let same = AudioLevelConfig {
                max_entries: MAX_SPEAKERS,
                ..other.levels.clone()
            };
            if same != shared {
                return Err(Failure::invalid(
                    "the router is observed with other settings: only max_entries may differ",
                ));
            }
        }
        entry.router.set_audio_levels(shared);
        let id = ids::allocate(self.index);
        entry.observers.push(id);
        let observer = ObserverEntry {
            levels,
            reports: 0,
            speakers: 0,
            dominant: None,
        };
        self.insert_object(id, Object::Observer(slot, Box::new(observer)));
        Ok(Some(CommandResult::ObserverOpened { observer: id }))
    }

    pub(super) fn close_observer(&mut self, id: u64) -> Answered {
        let Some(Object::Observer(slot, _)) = self.objects.get(&id) else {
            return Err(Failure::not_found("observer", id));
        };
        self.routers[*slot].observers.retain(|other| *other != id);
        self.remove_object(id);
        DONE
    }

    /// Hands on what a router found.
    pub(super) fn on_speakers(&mut self, slot: usize, speakers: &[roomtone_sfu::ActiveSpeaker]) {
        let entry = &self.routers[slot];
        for observer in &entry.observers {
            let Some(Object::Observer(_, told)) = self.objects.get_mut(observer) else {
                continue;
            };
            let named = speakers.iter().take(told.levels.max_entries);
            let dominant = speakers.first().map(|s| s.producer.0);
            told.reports += 1;
            (told.speakers, told.dominant) = (named.len(), dominant);
            self.events.push(Event::ActiveSpeakers {
                router: entry.id,
                observer: *observer,
                speakers: named
                    .map(|s| SpeakerLevel {
                        producer: s.producer.0,
                        level_dbov: -i32::from(s.level),
                    })
                    .collect(),
                dominant,
            });
        }
    }
}

/// Reads an observe command.
fn settings(command: &Command) -> Result<(u64, AudioLevelConfig), Failure> {
    let Command::ObserveAudioLevels {
        router,
        interval_ms,
        threshold_dbov,
        percentile,
        smoothing,
        hold_ms,
        max_entries,
    } = *command
    else {
        return Err(Failure::invalid("not an observe command"));
    };
    let checks = [
        (
            INTERVALS.contains(&interval_ms),
            "interval_ms is 20 to 10000",
        ),
        (
            (-127..=0).contains(&threshold_dbov),
            "threshold_dbov is -127 to 0",
        ),
        ((1..=100).contains(&percentile), "percentile is 1 to 100"),
        ((0.01..=1.0).contains(&smoothing), "smoothing is 0.01 to 1"),
        (hold_ms <= MAX_HOLD, "hold_ms is at most 60000"),
        (
            (1..=MAX_SPEAKERS).contains(&max_entries),
            "max_entries is 1 to 64",
        ),
    ];
    if let Some((_, rule)) = checks.iter().find(|(kept, _)| !kept) {
        return Err(Failure::invalid(*rule));
    }
    let levels = AudioLevelConfig {
        interval: Duration::from_millis(interval_ms.into()),
        threshold: threshold_dbov.unsigned_abs() as u8,
        min_percentile: percentile,
        smoothing: (smoothing * 100.0).round() as u8,
        hold: Duration::from_millis(hold_ms.into()),
        max_entries,
    };
    Ok((router, levels))
}
