//! Groups of packets sent together, and how their spacing changed on the way.
//!
//! Follows libwebrtc's `inter_arrival_delta.cc` (revision 0467d2b9; groups of 5 ms) and section 5.2 of
//! draft-ietf-rmcat-gcc-02 (the pre-filter that merges what arrives in bursts).

/// Packets sent within this time are one group.
const GROUP_US: i64 = 5_000;
/// Packets that arrive this close after each other may have been held and let go together.
const BURST_GAP_US: i64 = 5_000;
/// Such a burst ends by then, as sent and as it arrives.
const MAX_BURST_US: i64 = 100_000;
/// A jump of the peer's clock against ours by more than this begins anew.
const CLOCK_JUMP_US: i64 = 3_000_000;
/// So many groups out of order begin anew.
const MAX_REORDERED: u8 = 3;

/// How the spacing of two groups changed on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct GroupDelta {
    pub(super) sent_us: i64,
    pub(super) arrival_us: i64,
    pub(super) bytes: i64,
    /// By how much longer their first packets were on the way: what bursts pile up is not in it.
    pub(super) first_us: i64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent_us: i64,
    last_sent_us: i64,
    first_arrival_us: i64,
    last_arrival_us: i64,
    bytes: i64,
    heard_us: i64,
}

/// The current group and the one before it.
#[derive(Debug, Default)]
pub(super) struct InterArrival {
    current: Option<Group>,
    previous: Option<Group>,
    reordered: u8,
}

/// What one more packet did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// It belongs to the current group, or is too late.
    Same,
    /// It begins a new group: the two before it are complete.
    Next(GroupDelta),
    /// It begins a new group after the first one.
    First,
    /// Times make no sense: all was forgotten.
    Reset,
}

impl InterArrival {
    /// Takes a packet in order of arrival.
    pub(super) fn push(&mut self, sent_us: i64, arrival_us: i64, bytes: u16, now_us: i64) -> Step {
        let fresh = Group {
            first_sent_us: sent_us,
            last_sent_us: sent_us,
            first_arrival_us: arrival_us,
            last_arrival_us: arrival_us,
            bytes: i64::from(bytes),
            heard_us: now_us,
        };
        let Some(current) = self.current.as_mut() else {
            self.current = Some(fresh);
            return Step::First;
        };
        if sent_us < current.first_sent_us {
            return Step::Same;
        }
        if current.takes(sent_us, arrival_us) {
            current.last_sent_us = current.last_sent_us.max(sent_us);
            current.last_arrival_us = current.last_arrival_us.max(arrival_us);
            current.bytes += i64::from(bytes);
            current.heard_us = now_us;
            return Step::Same;
        }
        let done = *current;
        let before = self.previous.replace(done);
        *current = fresh;
        let Some(before) = before else {
            return Step::First;
        };
        let delta = GroupDelta {
            sent_us: done.last_sent_us - before.last_sent_us,
            arrival_us: done.last_arrival_us - before.last_arrival_us,
            bytes: done.bytes - before.bytes,
            first_us: (done.first_arrival_us - done.first_sent_us)
                - (before.first_arrival_us - before.first_sent_us),
        };
        let heard = done.heard_us - before.heard_us;
        if (delta.arrival_us - heard).abs() > CLOCK_JUMP_US {
            self.reset();
            return Step::Reset;
        }
        if delta.arrival_us < 0 {
            self.reordered += 1;
            if self.reordered >= MAX_REORDERED {
                self.reset();
                return Step::Reset;
            }
            return Step::Same;
        }
        self.reordered = 0;
        Step::Next(delta)
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Group {
    fn takes(&self, sent_us: i64, arrival_us: i64) -> bool {
        if sent_us - self.first_sent_us <= GROUP_US {
            return true;
        }
        let sent = sent_us - self.last_sent_us;
        let arrived = arrival_us - self.last_arrival_us;
        // Sent at the same time; or caught up with what was sent before it.
        sent == 0
            || (arrived - sent < 0
                && (0..=BURST_GAP_US).contains(&arrived)
                && arrival_us - self.first_arrival_us < MAX_BURST_US
                && sent_us - self.first_sent_us < MAX_BURST_US)
    }
}
