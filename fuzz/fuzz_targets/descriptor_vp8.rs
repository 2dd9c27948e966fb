//! Invariant: a VP8 descriptor that is read lies inside its payload, and rewriting its picture ID
//! and TL0PICIDX in place changes these two numbers and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::descriptors::vp8::Descriptor;

fuzz_target!(|payload: &[u8]| {
    let Ok(before) = Descriptor::parse(payload) else {
        return;
    };
    assert!(before.len <= payload.len());
    let _ = before.info(payload, true);
    let mut copy = payload.to_vec();
    if let Some(id) = before.picture_id {
        assert!(id.overwrite(&mut copy, !id.value));
    }
    if let Some(tl0) = before.tl0_pic_idx {
        assert!(tl0.overwrite(&mut copy, !tl0.value));
    }
    let mut after = Descriptor::parse(&copy).expect("still a descriptor");
    if let (Some(new), Some(old)) = (&mut after.picture_id, before.picture_id) {
        assert_eq!(u32::from(new.value), u32::from(!old.value) % old.modulus());
        new.value = old.value;
    }
    if let (Some(new), Some(old)) = (&mut after.tl0_pic_idx, before.tl0_pic_idx) {
        assert_eq!(new.value, !old.value);
        new.value = old.value;
    }
    assert_eq!(after, before);
});
