//! Invariant: any H.264 payload is described or refused, and only the first piece of a fragmented
//! unit can begin a picture.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::descriptors::h264::{Contents, Packetization};

fuzz_target!(|payload: &[u8]| {
    let Ok(contents) = Contents::parse(payload) else {
        return;
    };
    let info = contents.info(true);
    assert!(info.spatial < 8 && info.temporal < 8 && info.end_of_frame);
    if let Packetization::Fragment { start: false, .. } = contents.packetization {
        assert!(!info.start_of_frame);
    }
});
