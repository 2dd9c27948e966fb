//! Invariant: any bytes taken as parameter sets of H.264, HEVC or AV1 are refused and counted, or give a format with a
//! size and a name, and a set taken twice changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_frames::{Format, annexb, av1, h264, hevc};

fn check(format: Format) {
    let (width, height) = format.size().expect("pictures have a size");
    assert!(width > 0 && height > 0);
    assert!(!format.codec_string().is_empty());
    if let Some(rate) = format.frame_rate() {
        assert!((0.0..=1001.0).contains(&rate.per_second()));
    }
    let _ = format.max_reorder();
}

fuzz_target!(|input: &[u8]| {
    let (mut avc, mut hevc) = (
        h264::ParameterSets::default(),
        hevc::ParameterSets::default(),
    );
    for nal in annexb::split(input) {
        if avc.take(nal) {
            assert!(!avc.take(nal));
        }
        if hevc.take(nal) {
            assert!(!hevc.take(nal));
        }
    }
    if let Some(format) = avc.format() {
        check(Format::H264(format));
    }
    if let Some(format) = hevc.format() {
        check(Format::Hevc(format));
    }
    if let Some(unit) = av1::read(input) {
        let again = av1::read(&unit.data).expect("what was written can be read");
        assert_eq!((&again.data, again.keyframe), (&unit.data, unit.keyframe));
        if let Some(format) = unit.format {
            check(Format::Av1(format));
        }
    }
});
