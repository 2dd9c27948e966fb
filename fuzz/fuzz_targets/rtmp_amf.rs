//! Invariant: any values read are written to bytes that read as the same values.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use roomtone_rtmp::read_values;

fuzz_target!(|data: &[u8]| {
    let Ok(values) = read_values(data) else {
        return;
    };
    let mut out = BytesMut::new();
    for value in &values {
        value.write(&mut out);
    }
    let again = read_values(&out).expect("what was written reads");
    // Numbers that are none are not equal to themselves.
    assert_eq!(format!("{again:?}"), format!("{values:?}"));
});
