//! Invariant: any tags give at most a format and a unit each, the format first, and a unit of video is whole NAL units or OBUs.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roomtone_frames::nal::split_lengths;
use roomtone_rtmp::{Media, Output, Tracks};

fuzz_target!(|data: &[u8]| {
    let mut tracks = Tracks::default();
    let mut rest = data;
    let mut nals = false;
    // A byte for the kind of tag, one for its length.
    while let Some((&[kind, length], behind)) = rest.split_first_chunk::<2>() {
        let (body, behind) = behind.split_at(behind.len().min(usize::from(length)));
        rest = behind;
        let media = if kind & 1 == 0 {
            Media::Video
        } else {
            Media::Audio
        };
        let timestamp = u32::from(kind) << 24;
        let _ = tracks.handle_tag(media, timestamp, &Bytes::copy_from_slice(body));
        let outputs: Vec<Output> = std::iter::from_fn(|| tracks.poll_output()).collect();
        assert!(outputs.len() <= 2);
        for output in outputs {
            match output {
                Output::Format(Media::Video, format) => nals = format.nal_codec().is_some(),
                Output::Unit(Media::Video, unit) if nals => {
                    let whole: usize = split_lengths(&unit.data).map(|nal| nal.len() + 4).sum();
                    assert_eq!(whole, unit.data.len());
                }
                _ => {}
            }
        }
    }
});
