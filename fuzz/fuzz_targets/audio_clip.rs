//! Invariant: whatever file is given, it is refused or has sound of no more samples than bytes, at a
//! rate that can be played.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_audio::{Clip, ClipPlayer};

fuzz_target!(|input: &[u8]| {
    let Ok(clip) = Clip::from_wav(input) else {
        return;
    };
    assert!((1..=input.len()).contains(&clip.samples().len()));
    let clip = clip.at_rate(8_000).expect("a rate of ours");
    let mut out = [0; 160];
    let mut player = ClipPlayer::new(clip, false);
    while !player.is_done() {
        assert!(player.fill(&mut out) > 0);
    }
});
