//! One timeline over encodings whose clocks begin at random.
//!
//! Sender reports tell how the clocks of two encodings relate, or, before the first ones, capture
//! times do. Where there is neither, time goes on by arrival; when reports come, what was off is
//! made good in steps too small to see.

use roomtone_rtp::MediaKind;
use slab::Slab;

use super::Consumer;
use crate::history::Entry;
use crate::producer::{PublisherReport, Stream};

/// The largest step of a correction, as a share of a second: 2 ms.
const STEPS_PER_SECOND: u32 = 500;

/// A stream whose timestamps were right, and what they were shifted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    serial: u32,
    offset: u32,
}

impl Consumer {
    /// What timestamps of the stream are to be shifted by, so that time goes on evenly.
    pub(super) fn timestamp_offset(
        &mut self,
        stream: &Stream,
        entry: &Entry,
        streams: &Slab<Stream>,
    ) -> u32 {
        let (Some(offset), Some(serial)) =
            (self.rewriting.timestamp_offset(), self.rewriting.serial())
        else {
            return 0;
        };
        if serial == stream.serial {
            return offset;
        }
        self.rewriting.slew = 0;
        let by_arrival = self.rewriting.offset_by_arrival(entry, stream.clock_rate);
        let Some(old) = of_serial(streams, serial).filter(|old| old.producer == stream.producer)
        else {
            self.reference = None;
            return by_arrival;
        };
        let exact = between(old, stream, offset)
            .filter(|exact| is_near(*exact, by_arrival, stream.clock_rate));
        // What was off stays off until it can be told from where it was right.
        let reference = Reference { serial, offset };
        if exact.is_none() && self.kind == MediaKind::Video {
            self.reference.get_or_insert(reference);
        }
        exact.unwrap_or(by_arrival)
    }

    /// A report has come: where time went on by arrival, it is corrected from now on.
    pub(crate) fn realign(&mut self, stream: &Stream, streams: &Slab<Stream>) {
        let (Some(reference), Some(offset)) = (self.reference, self.rewriting.timestamp_offset())
        else {
            return;
        };
        if self.rewriting.serial() != Some(stream.serial) {
            return;
        }
        let Some(old) = of_serial(streams, reference.serial) else {
            self.reference = None;
            return;
        };
        let Some(exact) = between(old, stream, reference.offset) else {
            return;
        };
        self.reference = None;
        if is_near(exact, offset, stream.clock_rate) {
            self.rewriting.slew = exact.wrapping_sub(offset).cast_signed();
        }
    }

    /// A picture begins: a step of the correction.
    #[cold]
    pub(super) fn correct(&mut self, stream: &Stream, entry: &Entry) {
        let most = (stream.clock_rate / STEPS_PER_SECOND).max(1).cast_signed();
        self.rewriting.correct(entry, most);
    }
}

fn of_serial(streams: &Slab<Stream>, serial: u32) -> Option<&Stream> {
    let mut streams = streams.iter().map(|(_, stream)| stream);
    streams.find(|stream| stream.serial == serial)
}

/// The shift for `new` that puts both streams on one timeline, where `old` is shifted by `offset`:
/// by their sender reports, else by their capture times.
fn between(old: &Stream, new: &Stream, offset: u32) -> Option<u32> {
    let (old, new, rate) = match (old.report, new.report, old.capture, new.capture) {
        (Some(old), Some(by), ..) | (_, _, Some(old), Some(by)) => (old, by, new.clock_rate),
        _ => return None,
    };
    Some(aligned(&old, &new, rate, offset))
}

/// What contradicts the arrival by over a second is not believed.
fn is_near(exact: u32, by_arrival: u32, clock_rate: u32) -> bool {
    let difference = exact.wrapping_sub(by_arrival).cast_signed();
    difference.unsigned_abs() <= clock_rate
}

fn aligned(old: &PublisherReport, new: &PublisherReport, clock_rate: u32, offset: u32) -> u32 {
    let between = new.ntp.0.wrapping_sub(old.ntp.0).cast_signed();
    let ticks = ((i128::from(between) * i128::from(clock_rate)) >> 32) as i64 as u32;
    old.timestamp
        .wrapping_add(ticks)
        .wrapping_add(offset)
        .wrapping_sub(new.timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomtone_rtp::NtpTime;

    #[test]
    fn reports_put_two_encodings_on_one_timeline() {
        let report = |ntp, timestamp| PublisherReport {
            ntp: NtpTime(ntp),
            timestamp,
            arrival_us: 0,
        };
        let old = report(10 << 32, 1_000);
        // Half a second later the new one shows 500,000; the old one would show 46,000.
        let new = report((10 << 32) + (1 << 31), 500_000);
        let offset = aligned(&old, &new, 90_000, 7);
        assert_eq!(500_000_u32.wrapping_add(offset), 46_000 + 7);
        let earlier = report((10 << 32) - (1 << 31), 500_000);
        let offset = aligned(&old, &earlier, 90_000, 0);
        assert_eq!(
            500_000_u32.wrapping_add(offset),
            1_000_u32.wrapping_sub(45_000)
        );
    }
}
