//! Invariant: whatever arrives in whatever order, the feedback written about it never overruns its buffer and
//! reads as exactly the arrivals it says it took.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::rtcp::{
    FeedbackTarget, PacketStatus, RtcpPacket, parse_compound, write_transport_feedback,
};

fuzz_target!(|input: (u16, u16, Vec<(u16, i32)>)| {
    let (base_sequence, space, steps) = input;
    let mut at = 1_u64 << 40;
    let mut sequence = base_sequence;
    let mut arrivals = Vec::new();
    for (gap, delta_us) in steps {
        sequence = sequence.wrapping_add(gap);
        at = at.saturating_add_signed(i64::from(delta_us));
        arrivals.push((sequence, at));
        sequence = sequence.wrapping_add(1);
    }
    let target = FeedbackTarget {
        sender_ssrc: 1,
        media_ssrc: 2,
        feedback_count: 3,
        base_sequence,
    };
    let mut out = vec![0xa5; usize::from(space)];
    let Ok(written) = write_transport_feedback(&mut out, &target, &arrivals) else {
        return;
    };
    assert!(written.len <= out.len() && written.taken > 0 && written.taken <= arrivals.len());
    let Some(Ok(RtcpPacket::TransportFeedback(read))) = parse_compound(&out[..written.len]).next()
    else {
        panic!("written feedback is read as feedback")
    };
    assert_eq!(read.feedback_count(), 3);
    let ticks = |arrival_us: u64| (arrival_us / 250) as i64;
    let mut taken = arrivals[..written.taken].iter();
    let mut shift = None;
    for (sequence, status) in read.statuses() {
        let PacketStatus::Received { arrival_us } = status else {
            continue;
        };
        let (expected, arrival) = taken.next().expect("no more than were taken");
        assert_eq!(sequence, *expected);
        // Only the reference time's wrap is lost: the same for all of a packet.
        let offset = ticks(*arrival) - arrival_us / 250;
        assert_eq!(*shift.get_or_insert(offset), offset);
    }
    assert_eq!(taken.next(), None);
});
