//! A keyframe in place of what a line did not carry: what is unread before it is passed over, and what
//! was lost before it is not sent again.
//!
//! Where a line collapses, much of what left last is lost, and what leaves next waits behind it.
//! Repairs of that take longer than a keyframe of the lower layers, and nothing can be shown before
//! they are through: receivers show a picture when its last layer has come.

use slab::Slab;

use super::reading::limit;
use super::{Consumer, Resend};
use crate::producer::Stream;

/// So long nothing is sent after a collapse: a queue of 200 ms, which is full then, has room again for what comes.
const SILENCE_US: u64 = 100_000;

/// A place in a stream that a consumer began anew at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Renewed {
    serial: u32,
    position: u64,
}

impl Consumer {
    /// It is to go on with the next keyframe of the stream it forwards.
    pub(crate) fn long_for_keyframe(&mut self) {
        let tap = self.current.filter(|_| !self.waiting && !self.verbatim);
        if let Some(tap) = tap {
            self.longing.get_or_insert(tap.cursor);
        }
    }

    /// The same after a collapse: nothing is sent for a moment. The queue of the line is full, and some of
    /// the keyframe would be lost in it.
    pub(crate) fn hush_for_keyframe(&mut self, now_us: u64) {
        self.long_for_keyframe();
        self.hushed_until_us = now_us + SILENCE_US;
    }

    /// Whether nothing is sent at the moment.
    pub(super) fn is_hushed(&self, streams: &Slab<Stream>) -> bool {
        let stream = self
            .current
            .and_then(|tap| streams.get(tap.stream as usize));
        // The newest packet is what it is asked for.
        stream.is_some_and(|stream| stream.last_arrival_us < self.hushed_until_us)
    }

    /// Goes on with the keyframe it longs for, if that has come; says whether it has. Not even
    /// a frame under way is finished.
    pub(super) fn renew(&mut self, streams: &Slab<Stream>) -> bool {
        let (Some(looked), Some(tap)) = (self.longing, self.current) else {
            return false;
        };
        let Some(stream) = streams.get(tap.stream as usize) else {
            return false;
        };
        let history = &stream.history;
        let (from, limit) = (
            tap.cursor.max(history.tail()),
            limit(self.kind, self.pinned, stream),
        );
        let mut unlooked = from.max(looked)..limit;
        let enters = |at: &u64| {
            history
                .get(*at)
                .is_some_and(|entry| entry.facts.entry_point)
        };
        let Some(found) = unlooked.find(enters) else {
            self.longing = Some(looked.max(limit));
            return false;
        };
        self.longing = None;
        let under_way = self.selector.frame();
        let entered = history.get(found).map(|entry| entry.facts.frame);
        for entry in (from..found).filter_map(|at| history.get(at)) {
            let frame = entry.facts.frame;
            if frame == under_way && entered != Some(frame) {
                self.selector.cut_short();
            } else if entered != Some(frame) && self.selector.leave_out(frame) {
                self.counters.frames_dropped_late += 1;
            }
        }
        self.renewed = Some(Renewed {
            serial: stream.serial,
            position: found,
        });
        if let Some(resends) = &mut self.resends {
            resends.retain(|resend| resend.serial != stream.serial || resend.position >= found);
        }
        true
    }

    /// Whether a keyframe that it longed for has followed a packet: nobody needs it any more.
    pub(crate) fn is_renewed_since(&self, resend: &Resend) -> bool {
        self.renewed.is_some_and(|renewed| {
            renewed.serial == resend.serial && resend.position < renewed.position
        })
    }
}
