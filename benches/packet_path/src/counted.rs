//! What is counted: callgrind collects inside these functions only (`--toggle-collect`), so that
//! making up the traffic costs nothing. None of them calls another.

use std::hint::black_box;
use std::time::Instant;

use roomtone_sfu::{Router, TransportId};
use roomtone_srtp::Sealer;

use crate::Failure;

/// Room for what sealing adds.
const SEAL_ROOM: usize = 64;

/// A packet arrives.
#[inline(never)]
pub(crate) fn rtp(
    router: &mut Router,
    from: TransportId,
    packet: &[u8],
    now: Instant,
) -> Result<(), Failure> {
    if let Err(drop) = router.handle_rtp(from, packet, now) {
        return Err(format!("a packet was dropped: {drop:?}").into());
    }
    Ok(())
}

/// A report or feedback arrives.
#[inline(never)]
pub(crate) fn rtcp(
    router: &mut Router,
    from: TransportId,
    packet: &[u8],
    now: Instant,
) -> Result<(), Failure> {
    if let Err(drop) = router.handle_rtcp(from, packet, now) {
        return Err(format!("RTCP was dropped: {drop:?}").into());
    }
    Ok(())
}

/// What is due happens; says which transport has something to send.
#[inline(never)]
pub(crate) fn next_burst(router: &mut Router, now: Instant) -> Option<TransportId> {
    router.poll_burst(now)
}

/// Timers.
#[inline(never)]
pub(crate) fn timeout(router: &mut Router, now: Instant) {
    router.handle_timeout(now);
    while router.poll_event().is_some() {}
}

/// The next packet for a transport, sealed; its length before, and whether it is RTCP.
#[inline(never)]
pub(crate) fn next_packet(
    router: &mut Router,
    sealer: &mut Sealer,
    to: TransportId,
    now: Instant,
    plain: &mut [u8],
    out: &mut [u8],
) -> Result<Option<(usize, bool)>, Failure> {
    let room = out.len() - SEAL_ROOM;
    let Some(packet) = router.write_packet(to, now, &mut out[..room]) else {
        return Ok(None);
    };
    // The header, for whoever looks at it afterwards.
    let shown = packet.len.min(plain.len());
    plain[..shown].copy_from_slice(&out[..shown]);
    let len = if packet.rtcp {
        sealer.seal_rtcp(out, packet.len)?
    } else {
        sealer.seal_rtp(out, packet.len)?
    };
    black_box(&out[..len]);
    Ok(Some((packet.len, packet.rtcp)))
}
