//! Making feedback from what arrived.

use super::chunks::{ChunkPacker, Symbol};
use super::{FIXED, TICK_US, TICKS_PER_REFERENCE, TransportFeedback};
use crate::rtcp::RtcpError;
use crate::rtcp::frame::{FEEDBACK_LEN, TRANSPORT_SPECIFIC, begin_feedback};
use crate::wire::{put16, put24};

/// The largest packet: what the length field of the common header can say.
const MAX_PACKET: usize = 4 * 0x1_0000;

/// Whom a feedback packet is for, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackTarget {
    /// Who reports.
    pub sender_ssrc: u32,
    /// A source of the transport.
    pub media_ssrc: u32,
    /// The number of this feedback packet, one more for each.
    pub feedback_count: u8,
    /// The first sequence number reported on; those from it to the first arrival are lost.
    pub base_sequence: u16,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenFeedback {
    /// Bytes written.
    pub len: usize,
    /// How many of the arrivals are in it. The others go into a next packet: the buffer was full,
    /// or two arrivals lie further apart than a delta can say (8.2 s).
    pub taken: usize,
    /// The sequence number after the last one reported on: the base of a next packet.
    pub next_sequence: u16,
}

/// One arrival as it goes on the wire: lost packets before it, and its delta.
struct Step {
    gap: u16,
    delta: i16,
}

impl Step {
    fn symbol(&self) -> Symbol {
        if (0..=0xff).contains(&self.delta) {
            Symbol::Small
        } else {
            Symbol::Large
        }
    }
}

/// The steps of a list of arrivals, up to one that this packet cannot carry.
fn steps(base_sequence: u16, arrivals: &[(u16, u64)]) -> impl Iterator<Item = Step> + '_ {
    let mut expected = base_sequence;
    let mut ticks = reference_ticks(arrivals);
    let mut reported = 0_u32;
    arrivals.iter().map_while(move |(sequence, arrival_us)| {
        let gap = sequence.wrapping_sub(expected);
        let arrival = arrival_ticks(*arrival_us);
        let delta = i16::try_from(arrival - ticks).ok()?;
        reported += u32::from(gap) + 1;
        // A gap of half the space is a step backwards: the list is not in order.
        if gap >= 0x8000 || reported > u32::from(u16::MAX) {
            return None;
        }
        expected = sequence.wrapping_add(1);
        ticks = arrival;
        Some(Step { gap, delta })
    })
}

fn arrival_ticks(arrival_us: u64) -> i64 {
    (arrival_us / TICK_US as u64) as i64
}

/// The reference time, in ticks: the first arrival rounded down to the reference time's units.
fn reference_ticks(arrivals: &[(u16, u64)]) -> i64 {
    let first = arrivals
        .first()
        .map_or(0, |(_, arrival_us)| arrival_ticks(*arrival_us));
    first - first.rem_euclid(TICKS_PER_REFERENCE)
}

/// Feeds the symbols of one step to a packer; gives the chunks that became full to `emit`.
fn pack(packer: &mut ChunkPacker, step: &Step, mut emit: impl FnMut(u16)) {
    for _ in 0..step.gap {
        packer
            .push(Symbol::NotReceived)
            .into_iter()
            .for_each(&mut emit);
    }
    packer.push(step.symbol()).into_iter().for_each(emit);
}

/// What a packet of the first arrivals takes.
#[derive(Clone, Copy)]
struct Plan {
    taken: usize,
    status_count: u16,
    chunk_bytes: usize,
    delta_bytes: usize,
}

/// Finds how many arrivals fit into `space` bytes of chunks and deltas.
fn plan(base_sequence: u16, arrivals: &[(u16, u64)], space: usize) -> Plan {
    let mut best = Plan {
        taken: 0,
        status_count: 0,
        chunk_bytes: 0,
        delta_bytes: 0,
    };
    let mut packer = ChunkPacker::new();
    let (mut full, mut status_count, mut delta_bytes) = (0, 0, 0);
    for (index, step) in steps(base_sequence, arrivals).enumerate() {
        pack(&mut packer, &step, |_| full += 2);
        status_count += step.gap + 1;
        delta_bytes += step.symbol().delta_len();
        // The symbol just pushed is pending: one more chunk.
        let chunk_bytes = full + 2;
        if chunk_bytes + delta_bytes > space {
            break;
        }
        best = Plan {
            taken: index + 1,
            status_count,
            chunk_bytes,
            delta_bytes,
        };
    }
    best
}

/// Writes a feedback packet about the first of `arrivals` to the start of `out`.
///
/// Arrivals are transport-wide sequence numbers in (wrapping) order from the base, each once,
/// with arrival times in microseconds of any clock that stays the same. Times are cut to 250 us
/// each by itself, so that errors do not add up. An empty or unordered list is
/// [`RtcpError::Value`].
pub fn write_transport_feedback(
    out: &mut [u8],
    target: &FeedbackTarget,
    arrivals: &[(u16, u64)],
) -> Result<WrittenFeedback, RtcpError> {
    if steps(target.base_sequence, arrivals).next().is_none() {
        return Err(RtcpError::Value);
    }
    // Only whole words count as space, since the packet is padded to one.
    let words = out.len().min(MAX_PACKET) / 4 * 4;
    let space = words
        .checked_sub(FEEDBACK_LEN + FIXED)
        .ok_or(RtcpError::NoSpace)?;
    let plan = plan(target.base_sequence, arrivals, space);
    if plan.taken == 0 {
        return Err(RtcpError::NoSpace);
    }
    let body_len = (FIXED + plan.chunk_bytes + plan.delta_bytes).next_multiple_of(4);
    let ssrcs = (target.sender_ssrc, target.media_ssrc);
    let len = FEEDBACK_LEN + body_len;
    let control = begin_feedback(
        out,
        TRANSPORT_SPECIFIC,
        TransportFeedback::FORMAT,
        ssrcs,
        len,
    )?;
    put16(control, 0, target.base_sequence);
    put16(control, 2, plan.status_count);
    let reference = reference_ticks(arrivals) / TICKS_PER_REFERENCE;
    put24(control, 4, reference as u32 & 0x00ff_ffff);
    control[7] = target.feedback_count;
    write_body(
        &mut control[FIXED..],
        target.base_sequence,
        &arrivals[..plan.taken],
        &plan,
    );
    let next_sequence = target.base_sequence.wrapping_add(plan.status_count);
    Ok(WrittenFeedback {
        len,
        taken: plan.taken,
        next_sequence,
    })
}

fn write_body(out: &mut [u8], base_sequence: u16, arrivals: &[(u16, u64)], plan: &Plan) {
    let (chunks, deltas) = out.split_at_mut(plan.chunk_bytes);
    let mut packer = ChunkPacker::new();
    let (mut chunk_at, mut delta_at) = (0, 0);
    let mut put_chunk = |chunk| {
        put16(chunks, chunk_at, chunk);
        chunk_at += 2;
    };
    for step in steps(base_sequence, arrivals) {
        pack(&mut packer, &step, &mut put_chunk);
        let bytes = step.delta.to_be_bytes();
        let shown = &bytes[2 - step.symbol().delta_len()..];
        deltas[delta_at..delta_at + shown.len()].copy_from_slice(shown);
        delta_at += shown.len();
    }
    packer.finish().into_iter().for_each(put_chunk);
}
