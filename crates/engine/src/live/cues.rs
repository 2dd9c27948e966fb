//! Cues for splicing as spans of time in the lists (section 4.4.5.1.2 of RFC 8216bis).
//!
//! An encoder says a cue several times, ahead of its time, and says when what it began is over: what it repeats is told
//! once, and the end is told by the name of the beginning.

use std::collections::VecDeque;

use bytes::Bytes;
use roomtone_hls::{Cue, DateRange};
use roomtone_mpegts::{Segmentation, Splice, SpliceCommand};

/// Cues that wait for the program to begin; more and the oldest go, counted.
const MAX_HELD: usize = 64;
/// Cues that are remembered, to know which are repeated and which are over.
const MAX_KNOWN: usize = 128;
/// A cue whose time differs by less from that of another is the same, said again.
const SAME_US: i64 = 500_000;

/// What is remembered of a cue.
struct Known {
    /// What began; none of other cues.
    event: Option<Event>,
    /// It takes effect at once: repeated, it says no other time.
    immediate: bool,
    data: Bytes,
    id: String,
    start_us: i64,
    ended: bool,
}

/// Something that begins and ends: a splice, or a segment, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Splice(u32),
    Segment(u32),
}

impl Event {
    fn name(self) -> String {
        match self {
            Self::Splice(number) => format!("splice-{number}"),
            Self::Segment(number) => format!("segment-{number}"),
        }
    }
}

/// The cues of one program.
#[derive(Default)]
pub(super) struct Cues {
    /// Those that came before it was known where their times are in the program.
    held: VecDeque<Splice>,
    known: VecDeque<Known>,
    /// What was told of.
    pub(super) told: u64,
    /// What had been told of before.
    pub(super) repeated: u64,
    /// What came too early, or says no time that is known.
    pub(super) dropped: u64,
}

impl Cues {
    pub(super) fn push(&mut self, splice: Splice) {
        if self.held.len() == MAX_HELD {
            self.held.pop_front();
            self.dropped += 1;
        }
        self.held.push_back(splice);
    }

    /// What there is to tell; `offset_us` is the time of the program at the zero of the source's.
    pub(super) fn take(&mut self, offset_us: i64) -> Vec<DateRange> {
        let held = std::mem::take(&mut self.held);
        let found = held.into_iter().filter_map(|splice| {
            let at = splice.time.or(splice.came_at);
            let Some(at) = at else {
                self.dropped += 1;
                return None;
            };
            self.read(splice, offset_us + at * 100 / 9)
        });
        let found: Vec<DateRange> = found.collect();
        self.told += found.len() as u64;
        found
    }

    fn read(&mut self, splice: Splice, at_us: i64) -> Option<DateRange> {
        match splice.command {
            // It says nothing but that more may come.
            SpliceCommand::Null => None,
            SpliceCommand::Insert(insert) if insert.cancelled => {
                let id = format!("splice-{}-cancel", insert.event_id);
                self.moment(splice.data, id, at_us)
            }
            SpliceCommand::Insert(insert) => {
                let event = Event::Splice(insert.event_id);
                if insert.out_of_network {
                    let at = (at_us, insert.immediate);
                    self.begin(splice.data, event, at, insert.duration)
                } else {
                    self.end(splice.data, event, at_us)
                }
            }
            SpliceCommand::TimeSignal => self.signal(splice.data, splice.segmentation, at_us),
            SpliceCommand::Other(kind) => self.moment(splice.data, format!("cue-{kind}"), at_us),
        }
    }

    /// A moment that its descriptors say more about.
    fn signal(&mut self, data: Bytes, of: Option<Segmentation>, at_us: i64) -> Option<DateRange> {
        match of {
            Some(of) if of.is_out() => {
                let event = Event::Segment(of.event_id);
                self.begin(data, event, (at_us, false), of.duration)
            }
            Some(of) if of.is_in() => self.end(data, Event::Segment(of.event_id), at_us),
            _ => self.moment(data, "signal".to_owned(), at_us),
        }
    }

    /// Something begins at a time, or at once when it came, and lasts for so many ticks.
    fn begin(
        &mut self,
        data: Bytes,
        event: Event,
        (at_us, immediate): (i64, bool),
        duration: Option<i64>,
    ) -> Option<DateRange> {
        let again = self.known.iter().any(|one| {
            let near = one.immediate && !one.ended || (one.start_us - at_us).abs() < SAME_US;
            one.event == Some(event) && near
        });
        if again {
            self.repeated += 1;
            return None;
        }
        let id = self.free_id(event.name());
        let planned = duration.map(|ticks| (ticks * 100 / 9) as u64);
        let range = DateRange {
            id: id.clone(),
            start_us: at_us,
            end_us: None,
            planned_us: planned,
            cue: Cue::Out,
            data: data.clone(),
        };
        self.remember(Known {
            event: Some(event),
            immediate,
            data,
            id,
            start_us: at_us,
            ended: false,
        });
        Some(range)
    }

    fn end(&mut self, data: Bytes, event: Event, at_us: i64) -> Option<DateRange> {
        let is_of = |one: &&mut Known| one.event == Some(event) && one.start_us <= at_us;
        match self.known.iter_mut().rev().find(is_of) {
            Some(begun) if begun.ended => {
                self.repeated += 1;
                None
            }
            Some(begun) => {
                begun.ended = true;
                Some(DateRange {
                    id: begun.id.clone(),
                    start_us: begun.start_us,
                    end_us: Some(at_us),
                    planned_us: None,
                    cue: Cue::In,
                    data,
                })
            }
            // The beginning was before the program's: all that is known is a moment.
            None => {
                let range = self.moment(data, event.name(), at_us)?;
                Some(DateRange {
                    end_us: Some(at_us),
                    cue: Cue::In,
                    ..range
                })
            }
        }
    }

    /// Something at one time; none where it was told of before.
    fn moment(&mut self, data: Bytes, id: String, at_us: i64) -> Option<DateRange> {
        let near = |one: &Known| (one.start_us - at_us).abs() < SAME_US;
        if self.known.iter().any(|one| one.data == data && near(one)) {
            self.repeated += 1;
            return None;
        }
        let id = self.free_id(id);
        self.remember(Known {
            event: None,
            immediate: false,
            data: data.clone(),
            id: id.clone(),
            start_us: at_us,
            ended: true,
        });
        Some(DateRange {
            id,
            start_us: at_us,
            end_us: None,
            planned_us: None,
            cue: Cue::Command,
            data,
        })
    }

    /// A name that nothing else in the lists has: numbers of splices are used again.
    fn free_id(&self, wished: String) -> String {
        let is_taken = |id: &str| self.known.iter().any(|one| one.id == id);
        if !is_taken(&wished) {
            return wished;
        }
        // More than there are known ones.
        let mut others = (2..=MAX_KNOWN + 2).map(|number| format!("{wished}-{number}"));
        others.find(|id| !is_taken(id)).unwrap_or(wished)
    }

    fn remember(&mut self, known: Known) {
        if self.known.len() == MAX_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(known);
    }
}

#[cfg(test)]
mod tests {
    use roomtone_mpegts::SpliceInsert;

    use super::*;

    const SECOND: i64 = 90_000;

    fn splice(
        command: SpliceCommand,
        time: Option<i64>,
        came_s: i64,
        data: &'static [u8],
    ) -> Splice {
        Splice {
            data: Bytes::from_static(data),
            came_at: Some(came_s * SECOND),
            time,
            command,
            segmentation: None,
        }
    }

    fn insert(event_id: u32, out_of_network: bool, duration_s: Option<i64>) -> SpliceCommand {
        SpliceCommand::Insert(SpliceInsert {
            event_id,
            cancelled: false,
            out_of_network,
            immediate: false,
            duration: duration_s.map(|seconds| seconds * SECOND),
            auto_return: false,
        })
    }

    #[test]
    fn a_break_is_told_once_and_its_end_by_its_name() {
        let mut cues = Cues::default();
        for came_s in [92, 94, 96] {
            cues.push(splice(
                insert(7, true, Some(30)),
                Some(100 * SECOND),
                came_s,
                b"out",
            ));
        }
        // The source began 60 s before the program.
        let told = cues.take(-60_000_000);
        assert_eq!(told.len(), 1);
        let out = &told[0];
        assert_eq!(
            (out.start_us, out.planned_us),
            (40_000_000, Some(30_000_000))
        );
        assert_eq!((out.id.as_str(), out.cue), ("splice-7", Cue::Out));
        for came_s in [125, 127] {
            cues.push(splice(
                insert(7, false, None),
                Some(130 * SECOND),
                came_s,
                b"in",
            ));
        }
        let told = cues.take(-60_000_000);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].start_us, told[0].end_us),
            (40_000_000, Some(70_000_000))
        );
        assert_eq!((told[0].id.as_str(), told[0].cue), ("splice-7", Cue::In));
        assert_eq!((cues.told, cues.repeated, cues.dropped), (2, 3, 0));
        // The next break may have the same number.
        cues.push(splice(
            insert(7, true, None),
            Some(400 * SECOND),
            392,
            b"out2",
        ));
        assert_eq!(cues.take(0)[0].id, "splice-7-2");
    }

    #[test]
    fn segments_that_are_signalled_begin_and_end_as_splices_do() {
        let mut cues = Cues::default();
        for (kind, at_s) in [(0x34, 20), (0x34, 20), (0x35, 50), (0x10, 60)] {
            let mut signal = splice(
                SpliceCommand::TimeSignal,
                Some(at_s * SECOND),
                at_s - 3,
                b"s",
            );
            signal.segmentation = Some(Segmentation {
                event_id: 9,
                cancelled: false,
                duration: Some(30 * SECOND),
                kind,
            });
            cues.push(signal);
        }
        let told = cues.take(0);
        let cue = |one: &DateRange| (one.id.clone(), one.cue, one.start_us, one.end_us);
        assert_eq!(
            told.iter().map(cue).collect::<Vec<_>>(),
            [
                ("segment-9".to_owned(), Cue::Out, 20_000_000, None),
                (
                    "segment-9".to_owned(),
                    Cue::In,
                    20_000_000,
                    Some(50_000_000)
                ),
                ("signal".to_owned(), Cue::Command, 60_000_000, None),
            ]
        );
        assert_eq!(told[0].planned_us, Some(30_000_000));
    }

    #[test]
    fn what_takes_effect_at_once_does_so_when_it_came() {
        let mut cues = Cues::default();
        let at_once = SpliceCommand::Insert(SpliceInsert {
            event_id: 1,
            cancelled: false,
            out_of_network: true,
            immediate: true,
            duration: None,
            auto_return: false,
        });
        cues.push(splice(at_once, None, 12, b"now"));
        cues.push(splice(at_once, None, 14, b"now"));
        let told = cues.take(0);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].start_us, 12_000_000);
    }

    #[test]
    fn other_commands_are_moments_and_a_heartbeat_is_none() {
        let mut cues = Cues::default();
        cues.push(splice(SpliceCommand::Null, None, 1, b"null"));
        cues.push(splice(
            SpliceCommand::TimeSignal,
            Some(9 * SECOND),
            5,
            b"signal",
        ));
        cues.push(splice(
            SpliceCommand::TimeSignal,
            Some(9 * SECOND),
            6,
            b"signal",
        ));
        cues.push(splice(insert(3, false, None), Some(8 * SECOND), 6, b"in"));
        let mut untimed = splice(SpliceCommand::Other(0xff), None, 0, b"private");
        untimed.came_at = None;
        cues.push(untimed);
        let told = cues.take(0);
        let cue = |one: &DateRange| (one.cue, one.start_us, one.end_us);
        assert_eq!(
            told.iter().map(cue).collect::<Vec<_>>(),
            [
                (Cue::Command, 9_000_000, None),
                (Cue::In, 8_000_000, Some(8_000_000))
            ]
        );
        assert_eq!(cues.dropped, 1);
    }

    #[test]
    fn no_more_wait_for_a_program_than_there_is_place_for() {
        let mut cues = Cues::default();
        for _ in 0..=MAX_HELD {
            cues.push(splice(SpliceCommand::Null, None, 1, b"null"));
        }
        assert_eq!((cues.held.len(), cues.dropped), (MAX_HELD, 1));
    }
}
