//! Invariant: any AV1 payload is described or refused, and a packet that begins with the rest of
//! an earlier element never begins a coded video sequence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::descriptors::av1::Aggregation;

fuzz_target!(|payload: &[u8]| {
    let Ok(aggregation) = Aggregation::parse(payload) else {
        return;
    };
    assert!(!(aggregation.continues && aggregation.new_sequence));
    let info = aggregation.info(false);
    assert!(info.spatial < 4 && info.temporal < 8);
    assert!(!info.end_of_frame);
});
