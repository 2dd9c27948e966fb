//! Units that become producers of routers: what encoders send, and what workers make of it, for viewers by WebRTC.
//!
//! An [`Outlet`] is one track on the side of whoever has its units, on any thread. It looks whether its units can be sent
//! by RTP at all, keeps the pictures since the last keyframe, and packs units for each [`Line`] that a shard ties to it;
//! a line ends in a producer of a transport on that shard, its feed. Tracks of one source are placed on a
//! common time by its [`SourceClock`], whose sender reports tell viewers what is to be heard with which picture.
//!
//! What cannot be sent can be made anew: a [`Maker`] has an outlet's units, and what its process makes of them goes to an
//! outlet of its own, on the same time. That one is promised: lines are tied to it before there is anything.

mod clock;
mod gop;
mod line;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use roomtone_frames::packetize::{Packet, Reordering, Unsendable, packetize};
use roomtone_frames::{AccessUnit, CarriedCodec, Format};
use rustc_hash::FxHashMap;

use crate::counters::IngestCounters;
use crate::failure::Failure;
use crate::live::Maker;
use crate::values::TrackBar;

pub(crate) use clock::SourceClock;
pub(crate) use line::Line;

use gop::Gop;

/// Bytes of a payload: with headers, extensions and what sealing adds it fits into what every IPv6 link carries.
const PAYLOAD_BYTES: usize = 1_140;
/// Units looked at before pictures are believed to come in order, where the format does not say so.
const LOOKED_AT: u32 = 12;
/// Lines of one outlet: one a room, and some while one takes the place of another.
const MAX_LINES: usize = 8;

/// All outlets, by their ids; shards find them here.
#[derive(Debug, Default)]
pub(crate) struct Outlets(Mutex<FxHashMap<u64, Weak<Outlet>>>);

impl Outlets {
    /// A new one; it is gone once its owner drops it.
    pub(crate) fn open(
        &self,
        id: u64,
        is_video: bool,
        clock: SourceClock,
        counters: Arc<IngestCounters>,
    ) -> Arc<Outlet> {
        self.put(Outlet {
            id,
            is_video,
            clock,
            promised: false,
            asked: AtomicBool::new(false),
            shift: Arc::default(),
            counters,
            state: Mutex::default(),
        })
    }

    /// A new one for what will be made of another's units.
    pub(crate) fn promise(&self, id: u64, of: &Outlet) -> Arc<Outlet> {
        self.put(Outlet {
            id,
            is_video: of.is_video,
            clock: of.clock.clone(),
            promised: true,
            asked: AtomicBool::new(false),
            shift: Arc::clone(&of.shift),
            counters: of.counters.clone(),
            state: Mutex::new(State {
                verdict: Verdict::Ready,
                ..State::default()
            }),
        })
    }

    fn put(&self, outlet: Outlet) -> Arc<Outlet> {
        let (id, outlet) = (outlet.id, Arc::new(outlet));
        let mut outlets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outlets.retain(|_, one| one.strong_count() > 0);
        outlets.insert(id, Arc::downgrade(&outlet));
        outlet
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Outlet>> {
        let outlets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outlets.get(&id)?.upgrade()
    }
}

/// What is found out about a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It can be fed to routers, coded so.
    Ready(Format),
    /// It cannot.
    Barred(Format, TrackBar),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its units are still looked at.
    #[default]
    Open,
    Ready,
    Barred(TrackBar),
}

#[derive(Debug, Default)]
struct State {
    format: Option<Format>,
    verdict: Verdict,
    order: Reordering,
    looked_at: u32,
    gop: Gop,
    lines: Vec<Line>,
    packets: Vec<Packet>,
    makers: Vec<Arc<Maker>>,
}

/// One track of units, for any number of routers.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) id: u64,
    pub(crate) is_video: bool,
    /// That of all tracks of its source, whoever has their units.
    pub(crate) clock: SourceClock,
    /// It is made of another's units, of a codec and in an order that is known beforehand.
    pub(crate) promised: bool,
    /// Somebody needs a keyframe, and whoever makes one has not been told.
    asked: AtomicBool,
    /// How much later it is to be heard than its source says, in nanoseconds; with what is made of it.
    shift: Arc<AtomicI64>,
    counters: Arc<IngestCounters>,
    state: Mutex<State>,
}

impl Outlet {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What follows is coded so. Of another codec than before it is another track to routers: all lines end.
    pub(crate) fn set_format(&self, format: &Format) {
        let mut state = self.state();
        let same = |old: &Format| match (old, format) {
            (Format::Carried(old), Format::Carried(new)) => old == new,
            _ => std::mem::discriminant(old) == std::mem::discriminant(format),
        };
        if !self.promised && !state.format.as_ref().is_some_and(same) {
            *state = State {
                makers: std::mem::take(&mut state.makers),
                ..State::default()
            };
        }
        state.format = Some(format.clone());
    }

    /// Take a unit, its times in ticks of [`INGEST_RATE`](crate::live::INGEST_RATE). What it tells of the track is given once.
    pub(crate) fn send(&self, unit: &AccessUnit, now: Instant) -> Option<Found> {
        let shift = self.shift.load(Ordering::Relaxed);
        let placed = self.clock.place(unit.pts, now).shifted(shift);
        let state = &mut *self.state();
        let format = state.format.as_ref()?;
        for maker in &state.makers {
            maker.handle_unit(unit, format);
        }
        let before = state.verdict;
        let (is_out_of_order, known) = (state.order.handle_unit(unit), format.max_reorder());
        state.looked_at += 1;
        state.verdict = match before {
            Verdict::Barred(_) => before,
            _ if self.promised => before,
            _ if !is_sendable(format) => Verdict::Barred(TrackBar::Codec),
            _ if self.is_video && is_out_of_order => Verdict::Barred(TrackBar::Reordered),
            Verdict::Open if known == Some(0) || state.looked_at >= LOOKED_AT => Verdict::Ready,
            Verdict::Open | Verdict::Ready => before,
        };
        if let Verdict::Barred(bar) = state.verdict {
            state.lines.clear();
            state.gop = Gop::default();
            return (before != state.verdict).then(|| Found::Barred(format.clone(), bar));
        }
        if self.is_video && !state.gop.handle_unit(unit, placed, format) {
            self.counters.gops_too_large.up();
        }
        if !state.lines.is_empty() {
            state.packets.clear();
            match packetize(format, unit, PAYLOAD_BYTES, &mut state.packets) {
                Ok(()) => {
                    for line in &mut state.lines {
                        line.write(unit.keyframe, format, &state.packets, placed, now);
                        line.flush(&self.counters);
                    }
                }
                Err(Unsendable::Codec(_) | Unsendable::TooLarge | Unsendable::Empty) => {
                    self.counters.units_unsendable.up();
                }
            }
        }
        (before != state.verdict).then(|| Found::Ready(format.clone()))
    }

    /// Tie a line to it, which begins with the pictures since the last keyframe.
    pub(crate) fn attach(&self, mut line: Line, now: Instant) -> Result<(), Failure> {
        let state = &mut *self.state();
        if state.lines.len() >= MAX_LINES {
            let message = format!("{MAX_LINES} producers are fed by this track");
            return Err(Failure::new(crate::values::ErrorCode::Limit, message));
        }
        let format = match (&state.format, state.verdict) {
            (Some(format), Verdict::Ready) => format,
            (None, _) if self.promised => {
                state.lines.push(line);
                return Ok(());
            }
            (Some(format), Verdict::Barred(bar)) => {
                let message = format!("{}: {}", format.name(), sentence(bar));
                return Err(Failure::unsupported(message));
            }
            _ => {
                return Err(Failure::wrong_state(
                    "how the track is coded is not known yet",
                ));
            }
        };
        for (unit, placed, coded) in state.gop.units() {
            state.packets.clear();
            if packetize(coded, unit, PAYLOAD_BYTES, &mut state.packets).is_ok() {
                line.write(unit.keyframe, format, &state.packets, *placed, now);
            }
        }
        line.report_anew();
        line.flush(&self.counters);
        state.lines.push(line);
        Ok(())
    }

    /// This producer is fed no more.
    pub(crate) fn detach(&self, producer: u64) {
        self.state().lines.retain(|line| line.producer != producer);
    }

    /// Have its reports say that it is to be heard so much later, or earlier; so is what is made of it.
    pub(crate) fn shift(&self, offset_ns: i64) {
        self.shift.store(offset_ns, Ordering::Relaxed);
    }

    /// Somebody who watches needs a keyframe.
    pub(crate) fn ask_keyframe(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether a keyframe was asked for since this was asked last.
    pub(crate) fn take_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// Have its units made anew from now on.
    pub(crate) fn tie(&self, maker: Arc<Maker>) {
        self.state().makers.push(maker);
    }

    /// This one makes no more of them.
    pub(crate) fn untie(&self, maker: u64) {
        self.state().makers.retain(|one| one.id != maker);
    }

    /// Whether some producer is fed.
    #[cfg(test)]
    pub(crate) fn is_attached(&self) -> bool {
        !self.state().lines.is_empty()
    }
}

/// Whether there are viewers by WebRTC that could take it.
fn is_sendable(format: &Format) -> bool {
    match format {
        Format::H264(_) | Format::Hevc(_) | Format::Av1(_) | Format::Opus(_) => true,
        // Nobody is offered more than one channel of it.
        Format::Carried(carried) => {
            matches!(carried.codec, CarriedCodec::Pcmu | CarriedCodec::Pcma)
                && carried.channels <= 1
        }
        Format::Aac(_) => false,
    }
}

fn sentence(bar: TrackBar) -> &'static str {
    match bar {
        TrackBar::Codec => "WebRTC does not carry the codec",
        TrackBar::Reordered => "its pictures are not sent in the order in which they are shown",
    }
}
