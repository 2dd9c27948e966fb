//! Invariant: whatever a worker sends, however cut, is read or refused, and what is read is the same as when it comes at
//! once; nothing of an output comes that was not said to be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_frames::exchange::{Reader, Said};

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Said> {
    let mut reader = Reader::default();
    let mut all = Vec::new();
    for piece in pieces {
        reader.handle_bytes(piece);
        loop {
            match reader.poll() {
                Ok(Some(said)) => all.push(said),
                Ok(None) => break,
                Err(_) => return all,
            }
        }
    }
    all
}

fuzz_target!(|input: &[u8]| {
    let Some((&size, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(std::iter::once(bytes));
    assert_eq!(whole, read(bytes.chunks(usize::from(size).max(1))));
    let mut numbers = Vec::new();
    for said in &whole {
        match said {
            Said::Outputs(outputs) => numbers = outputs.iter().map(|one| one.number).collect(),
            Said::Format(number, _) | Said::Unit(number, _) | Said::Break(number) => {
                assert!(numbers.contains(number));
            }
        }
    }
});
