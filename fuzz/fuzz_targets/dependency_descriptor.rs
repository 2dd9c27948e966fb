//! Invariant: whatever sequence of descriptors a stream sends, each one that is read can be
//! written again and then reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::descriptors::dependency_descriptor::{Descriptor, Reader};

fuzz_target!(|input: &[u8]| {
    let mut reader = Reader::new();
    let mut rest = input;
    // Each descriptor behind one byte with its length, as in a header extension.
    while let Some((&len, behind)) = rest.split_first() {
        let (bytes, next) = behind.split_at(usize::from(len).min(behind.len()));
        rest = next;
        let Ok(descriptor) = reader.read(bytes) else {
            continue;
        };
        let structure = reader
            .structure()
            .expect("nothing is read without a structure");
        let _ = descriptor.info(structure, true);
        let mut out = [0; 8192];
        let len = descriptor
            .write(structure, &mut out)
            .expect("what was read can be written");
        let (again, attached) =
            Descriptor::parse(&out[..len], Some(structure)).expect("what was written can be read");
        assert_eq!(again, descriptor);
        assert!(attached.is_none_or(|attached| *attached == *structure));
    }
});
