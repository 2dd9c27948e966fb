//! Invariant: the blocks of a redundant payload that is read lie inside it one behind the other,
//! and written again they give the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::red::{MAX_REDUNDANT, RedBlock, RedPayload, red_len, set_block_types, write_red};

fuzz_target!(|bytes: &[u8]| {
    let Ok(payload) = RedPayload::parse(bytes) else {
        return;
    };
    let redundant: Vec<RedBlock<'_>> = payload.redundant().collect();
    assert!(redundant.len() <= MAX_REDUNDANT);
    let primary = payload.primary();
    assert_eq!(&bytes[payload.primary_at()..], primary.data);
    assert_eq!(red_len(&redundant, primary.data), bytes.len());
    let mut out = vec![0; bytes.len()];
    let len = write_red(&mut out, &redundant, primary.payload_type, primary.data);
    assert_eq!(len, Ok(bytes.len()));
    assert_eq!(out, bytes);
    set_block_types(&mut out, 111);
    let changed = RedPayload::parse(&out).expect("still a redundant payload");
    assert!(changed.is_uniform());
    assert_eq!(changed.primary().data, primary.data);
});
