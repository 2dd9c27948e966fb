//! What codes a track of an encoder anew for routers: units of its outlet go to a process, and what that makes of them to
//! another outlet, by the same times.
//!
//! Units are offered on the thread that has them; the live thread moves bytes. Without a process nothing is kept: one that
//! comes is given what follows the next keyframe.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use roomtone_frames::exchange::Said;
use roomtone_frames::{AccessUnit, Format};

use super::super::coding::INGEST_RATE;
use super::super::pressing::{QueueId, Queued};
use super::link::Served;
use super::queue::Queue;
use super::{Figures, Job, Link};
use crate::counters::LiveCounters;
use crate::feed::Outlet;

/// Times of a source that differ by more than so many seconds from those before have nothing to do with them.
const JUMP_SECONDS: i64 = 3;

struct State {
    job: Job,
    /// What of its figures has been counted.
    counted: Figures,
    /// Decode time of the last unit that was offered, and ticks a second of it.
    last: Option<(i64, u32)>,
    /// The output whose units go to routers, by its number, and how it is coded.
    output: Option<u8>,
    format: Option<Format>,
}

/// Makes of one outlet's units another's.
pub(crate) struct Maker {
    pub(crate) id: u64,
    pub(crate) made: Arc<Outlet>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Maker {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Maker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Maker {
    pub(in super::super) fn new(id: u64, made: Arc<Outlet>, now: Instant) -> Self {
        let state = State {
            job: Job::new(id, made.is_video, true, now),
            counted: Figures::default(),
            last: None,
            output: None,
            format: None,
        };
        Self {
            id,
            made,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take a unit of the source, its times in ticks of [`INGEST_RATE`].
    pub(crate) fn handle_unit(&self, unit: &AccessUnit, format: &Format) {
        let mut state = self.state();
        if !state.job.connected {
            return;
        }
        let rate = format.clock_rate().max(1);
        let unit = AccessUnit {
            dts: scaled(unit.dts, INGEST_RATE, rate),
            pts: scaled(unit.pts, INGEST_RATE, rate),
            ..unit.clone()
        };
        let last = state.last.replace((unit.dts, rate));
        let breaks = last.is_some_and(|(dts, of)| {
            of != rate || unit.dts.abs_diff(dts) > (JUMP_SECONDS * i64::from(rate)) as u64
        });
        state.job.offer(&unit, Some(format), breaks);
    }

    /// Take what the process said; how many units that was, or none where it is not what is to be made.
    fn handle_bytes(&self, bytes: &[u8], now: Instant) -> Option<u64> {
        let said = self.state().job.handle_bytes(bytes).ok()?;
        let mut units = 0;
        for one in said {
            match one {
                Said::Outputs(outputs) => {
                    let fit = outputs
                        .iter()
                        .find(|one| one.is_video == self.made.is_video);
                    self.state().output = Some(fit?.number);
                }
                Said::Format(number, format) => {
                    let mut state = self.state();
                    if state.output == Some(number) {
                        if !self.is_promised(&format) {
                            return None;
                        }
                        self.made.set_format(&format);
                        state.format = Some(format);
                    }
                }
                Said::Unit(number, unit) => {
                    let mut state = self.state();
                    state.job.figures.made += 1;
                    units += 1;
                    let rate = match &state.format {
                        Some(format) if state.output == Some(number) => format.clock_rate(),
                        _ => continue,
                    };
                    drop(state);
                    self.made.send(&placed(unit, rate), now);
                }
                Said::Break(_) => {}
            }
        }
        Some(units)
    }

    /// Whether it is what viewers were told that they get.
    fn is_promised(&self, format: &Format) -> bool {
        if self.made.is_video {
            matches!(format, Format::H264(_))
        } else {
            matches!(format, Format::Opus(_))
        }
    }
}

impl Served for &Maker {
    fn connected(&mut self) {
        let mut state = self.state();
        state.job.connect(false);
        (state.last, state.output, state.format) = (None, None, None);
    }

    fn lost(&mut self, _now: Instant) {
        let mut state = self.state();
        state.job.disconnect();
        state.job.queue.begin_anew();
    }

    fn handle_bytes(&mut self, bytes: &[u8], now: Instant) -> Option<u64> {
        Maker::handle_bytes(self, bytes, now)
    }

    fn feed(&mut self, counters: &LiveCounters, _now: Instant) {
        let mut state = self.state();
        if state.job.connected && self.made.take_asked() {
            state.job.ask_keyframe();
        }
        let now = state.job.figures;
        let before = std::mem::replace(&mut state.counted, now);
        counters.transcoder_units_sent.add(now.sent - before.sent);
        counters
            .transcoder_units_skipped
            .add(now.skipped - before.skipped);
        counters
            .transcoder_groups_dropped
            .add(now.groups - before.groups);
    }

    fn with_queue(&mut self, work: &mut dyn FnMut(&mut Queue) -> bool) -> bool {
        work(&mut self.state().job.queue)
    }
}

fn placed(unit: AccessUnit, rate: u32) -> AccessUnit {
    AccessUnit {
        dts: scaled(unit.dts, rate, INGEST_RATE),
        pts: scaled(unit.pts, rate, INGEST_RATE),
        ..unit
    }
}

/// Times of one rate by another; every rate in use divides that of ingests.
fn scaled(ticks: i64, from: u32, to: u32) -> i64 {
    let ticks = i128::from(ticks) * i128::from(to);
    ticks.div_euclid(i128::from(from.max(1))) as i64
}

/// A maker, its socket, and whose units it has.
pub(in super::super) struct Making {
    maker: Arc<Maker>,
    source: Weak<Outlet>,
    link: Link,
}

impl Making {
    pub(in super::super) fn begin(maker: Maker, source: &Arc<Outlet>, link: Link) -> Self {
        let maker = Arc::new(maker);
        source.tie(Arc::clone(&maker));
        Self {
            maker,
            source: Arc::downgrade(source),
            link,
        }
    }

    pub(in super::super) fn id(&self) -> u64 {
        self.maker.id
    }

    /// Its queue, where it makes of this track; others' is none of its.
    pub(in super::super) fn queued(&self, tracks: &[u64]) -> Option<Queued> {
        let source = self.source.upgrade()?;
        let is_of = tracks.contains(&source.id);
        is_of.then(|| {
            let id = QueueId::Making(self.id());
            self.maker.state().job.queued(id)
        })
    }

    pub(in super::super) fn serve(&mut self, counters: &LiveCounters, now: Instant) {
        self.link.serve(&mut &*self.maker, counters, now);
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(source) = self.source.upgrade() {
            source.untie(self.maker.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::{Bytes, BytesMut};
    use roomtone_frames::{AacFormat, exchange};
    use roomtone_sfu::WallClock;

    use super::*;
    use crate::feed::{Found, Outlets, SourceClock};
    use crate::values::TrackBar;

    const AAC_FRAME: i64 = 1024 * INGEST_RATE as i64 / 48_000;

    fn aac() -> Format {
        Format::Aac(AacFormat {
            config: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
        })
    }

    fn unit(dts: i64) -> AccessUnit {
        AccessUnit {
            dts,
            pts: dts,
            keyframe: true,
            data: Bytes::from_static(b"sound"),
        }
    }

    fn source(now: Instant) -> (Outlets, Arc<Outlet>) {
        let outlets = Outlets::default();
        let clock = SourceClock::new(WallClock { at: now, ntp: 0 });
        let source = outlets.open(1, false, clock, Arc::default());
        source.set_format(&aac());
        (outlets, source)
    }

    fn maker(outlets: &Outlets, source: &Arc<Outlet>, now: Instant) -> Arc<Maker> {
        let maker = Arc::new(Maker::new(3, outlets.promise(2, source), now));
        source.tie(Arc::clone(&maker));
        maker
    }

    /// Kinds of the messages that wait for the process.
    fn kinds(maker: &Maker) -> Vec<u8> {
        let mut bytes = Vec::new();
        (&mut &*maker).with_queue(&mut |queue| {
            while let Some(front) = queue.front() {
                bytes.extend_from_slice(front);
                let length = front.len();
                queue.advance(length);
            }
            true
        });
        let (mut kinds, mut rest) = (Vec::new(), &bytes[..]);
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            kinds.push(behind[0]);
            rest = &behind[u32::from_be_bytes(*length) as usize..];
        }
        kinds
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = (body.len() as u32 + 1).to_be_bytes().to_vec();
        out.push(kind);
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn units_of_what_is_barred_go_to_a_process_that_is_there() {
        let now = Instant::now();
        let (outlets, source) = source(now);
        let maker = maker(&outlets, &source, now);
        let barred = Some(Found::Barred(aac(), TrackBar::Codec));
        assert_eq!(
            source.send(&unit(0), now),
            barred,
            "that is told all the same"
        );
        assert!(kinds(&maker).is_empty(), "nobody would take it");
        (&mut &*maker).connected();
        source.send(&unit(AAC_FRAME), now);
        source.send(&unit(2 * AAC_FRAME), now);
        assert_eq!(kinds(&maker), [1, 2, 2]);
        source.send(&unit(10 * i64::from(INGEST_RATE)), now);
        assert_eq!(kinds(&maker), [3, 2], "it has jumped");
        (&mut &*maker).lost(now);
        source.send(&unit(11 * i64::from(INGEST_RATE)), now);
        assert!(kinds(&maker).is_empty());
        source.untie(3);
        (&mut &*maker).connected();
        source.send(&unit(12 * i64::from(INGEST_RATE)), now);
        assert!(kinds(&maker).is_empty());
    }

    #[test]
    fn what_the_process_makes_feeds_producers_by_the_times_of_the_source() {
        let now = Instant::now();
        let (outlets, source) = source(now);
        let maker = maker(&outlets, &source, now);
        let (handle, inbox) = crate::shard::inbox(4).unwrap();
        let line = crate::feed::Line::new(9, 300, 11, 111, handle);
        outlets.find(2).unwrap().attach(line, now).unwrap();
        (&mut &*maker).connected();
        source.send(&unit(0), now);
        let mut bytes = message(16, b"\x00\x00\x04opus");
        bytes.extend(message(17, &[0, 5, 0, 0, 0xbb, 0x80, 2, 0, 0]));
        for at in [0_i64, 960] {
            let mut body = vec![0, 1];
            body.extend_from_slice(&at.to_be_bytes());
            body.extend_from_slice(&at.to_be_bytes());
            body.extend_from_slice(&[0xfc, 1]);
            bytes.extend(message(18, &body));
        }
        let later = now + Duration::from_millis(40);
        assert_eq!(maker.handle_bytes(&bytes, later), Some(2));
        let sent: Vec<u32> = inbox
            .batches
            .try_iter()
            .flat_map(|batch| {
                let mut rest = &batch.bytes[..];
                let mut stamps = Vec::new();
                for (length, is_rtcp) in &batch.packets {
                    let (packet, behind) = rest.split_at(*length as usize);
                    rest = behind;
                    if !is_rtcp {
                        let packet = roomtone_rtp::RtpPacket::parse(packet).unwrap();
                        stamps.push(packet.timestamp());
                    }
                }
                stamps
            })
            .collect();
        assert_eq!(sent, [0, 960]);
    }

    #[test]
    fn a_process_that_makes_something_else_is_not_believed() {
        let now = Instant::now();
        let (outlets, source) = source(now);
        let maker = maker(&outlets, &source, now);
        (&mut &*maker).connected();
        let outputs = message(16, b"\x00\x00\x03aac");
        assert_eq!(maker.handle_bytes(&outputs, now), Some(0));
        let mut format = BytesMut::new();
        exchange::write_format(&aac(), &mut format);
        let mut body = vec![0];
        body.extend_from_slice(&format[5..]);
        assert_eq!(maker.handle_bytes(&message(17, &body), now), None);
        let pictures = message(16, b"\x00\x01\x04v720");
        assert_eq!(maker.handle_bytes(&pictures, now), None);
    }
}
