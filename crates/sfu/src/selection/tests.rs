//! What becomes of frames that follow on what was left out.

use roomtone_rtp::Codec;
use roomtone_rtp::descriptors::dependency_descriptor::{
    Dependencies, Descriptor, Indication, Structure,
};

use super::{Fate, Selector};
use crate::producer::{Frames, Place, read_described, read_payload};

const SECOND: u64 = 1_000_000;

/// A VP8 stream of one packet a picture: by picture id, temporal layer and whether it refers to
/// the lowest layer only.
#[derive(Default)]
struct Stream {
    frames: Frames,
    numbers: Vec<u32>,
    tl0: u8,
}

impl Stream {
    fn picture(&mut self, id: u16, key: bool, temporal: u8, sync: bool) -> u32 {
        if temporal == 0 {
            self.tl0 += 1;
        }
        let layer = temporal << 6 | u8::from(sync) << 5;
        let id_bytes = (id | 0x8000).to_be_bytes();
        let payload = [
            0x90,
            0xe0,
            id_bytes[0],
            id_bytes[1],
            self.tl0,
            layer,
            u8::from(!key),
            0,
            0,
        ];
        let reading = read_payload(Codec::Vp8, &payload, true).unwrap();
        let place = Place {
            seq: u64::from(id),
            timestamp: u32::from(id) * 3_000,
            arrival_us: u64::from(id) * SECOND / 30,
            newest: true,
            gap: false,
            marker: true,
        };
        let (number, first) = self.frames.place(&reading, 1, &place);
        assert!(first);
        self.numbers.push(number);
        number
    }
}

/// A stream whose first picture is forwarded.
fn begun() -> (Stream, Selector) {
    let (mut stream, mut selector) = (Stream::default(), Selector::default());
    let first = stream.picture(1, true, 0, false);
    selector.begin(first);
    assert!(forwards(&mut selector, &stream, first));
    (stream, selector)
}

fn forwards(selector: &mut Selector, stream: &Stream, number: u32) -> bool {
    let arrival_us = u64::from(stream.frames.get(number).unwrap().timestamp) * SECOND / 90_000;
    selector.decide(&stream.frames, number, arrival_us);
    selector.verdict().forward
}

#[test]
fn after_a_base_frame_left_out_nothing_is_forwarded_until_a_keyframe_which_is_wished_for_once() {
    let (mut stream, mut selector) = begun();
    let old = stream.picture(2, false, 0, false);
    assert!(selector.leave_out(old) && !selector.leave_out(old));
    for id in 3..20 {
        let number = stream.picture(id, false, 0, false);
        assert!(!forwards(&mut selector, &stream, number), "{id}");
        assert_eq!(selector.take_wish(), id == 3);
    }
    let key = stream.picture(20, true, 0, false);
    assert!(forwards(&mut selector, &stream, key));
    assert_eq!(selector.fate(old), Fate::LeftOut);
    let next = stream.picture(21, false, 0, false);
    assert!(forwards(&mut selector, &stream, next));
}

#[test]
fn a_frame_that_nobody_refers_to_is_left_out_without_consequence() {
    let (mut stream, mut selector) = begun();
    let old = stream.picture(2, false, 2, true);
    assert!(selector.leave_out(old));
    for (id, temporal) in [(3, 1), (4, 2), (5, 0), (6, 2)] {
        let number = stream.picture(id, false, temporal, temporal > 0);
        assert!(forwards(&mut selector, &stream, number), "{id}");
    }
    assert!(!selector.take_wish());
}

#[test]
fn after_a_frame_that_was_cut_short_only_a_keyframe_is_forwarded() {
    let (mut stream, mut selector) = begun();
    let cut = stream.picture(2, false, 0, false);
    assert!(forwards(&mut selector, &stream, cut));
    selector.cut_short();
    assert_eq!(selector.fate(cut), Fate::LeftOut);
    let after = stream.picture(3, false, 0, false);
    assert!(!forwards(&mut selector, &stream, after), "it refers to 2");
    let key = stream.picture(4, true, 0, false);
    assert!(forwards(&mut selector, &stream, key));
}

#[test]
fn a_higher_temporal_layer_begins_where_it_refers_to_forwarded_frames_only() {
    let (mut stream, mut selector) = begun();
    selector.want(None, Some(0));
    let left = stream.picture(2, false, 1, true);
    assert!(!forwards(&mut selector, &stream, left));
    selector.want(None, None);
    let base = stream.picture(3, false, 0, false);
    assert!(forwards(&mut selector, &stream, base));
    let linked = stream.picture(4, false, 1, false);
    assert!(
        !forwards(&mut selector, &stream, linked),
        "it may refer to 2"
    );
    let synced = stream.picture(5, false, 1, true);
    assert!(forwards(&mut selector, &stream, synced));
    let linked = stream.picture(6, false, 1, false);
    assert!(forwards(&mut selector, &stream, linked));
    assert_eq!(selector.current().temporal, 1);
}

#[test]
fn a_frame_that_stays_missing_is_made_up_for_by_a_keyframe_after_a_while() {
    let (mut stream, mut selector) = begun();
    // Picture 2 is lost: what refers to it goes out all the same, for it may be repaired.
    stream.tl0 += 1;
    let mut wished = None;
    for id in 3..40 {
        let number = stream.picture(id, false, 0, false);
        assert!(forwards(&mut selector, &stream, number), "{id}");
        if selector.take_wish() {
            wished.get_or_insert(id);
        }
    }
    let after_ms = u64::from(wished.expect("a wish") - 3) * 1_000 / 30;
    assert!((500..600).contains(&after_ms), "{after_ms}");
}

#[test]
fn a_publisher_that_counts_anew_is_followed_from_its_keyframe_on() {
    let (mut stream, mut selector) = begun();
    let number = stream.picture(9_000, false, 0, false);
    forwards(&mut selector, &stream, number);
    let wraps = stream.picture(0x7fff, true, 0, false);
    assert!(forwards(&mut selector, &stream, wraps));
    let reading = [0x90, 0xe0, 0x80, 5, 77, 0, 0, 0, 0];
    let reading = read_payload(Codec::Vp8, &reading, true).unwrap();
    let place = Place {
        seq: 40_000,
        timestamp: 0x7fff * 3_000 + 3_000,
        arrival_us: 0,
        newest: true,
        gap: false,
        marker: true,
    };
    let (number, _) = stream.frames.place(&reading, 1, &place);
    assert!(number.wrapping_sub(wraps).cast_signed() > 0, "numbers rise");
    assert!(forwards(&mut selector, &stream, number));
}

/// A described stream of one layer and one chain: by frame number, how far back it refers, and how
/// far back the chain's last frame lies; 0: to none.
struct Described {
    frames: Frames,
    structure: Structure,
}

impl Described {
    fn new() -> Self {
        let structure = Structure::new(0, 1, 1, vec![0], vec![frame(0, 0), frame(1, 1)], vec![]);
        Self {
            frames: Frames::default(),
            structure: structure.unwrap(),
        }
    }

    fn picture(&mut self, number: u16, reference: u16, chain: u8) -> u32 {
        let key = reference == 0;
        let descriptor = Descriptor {
            start_of_frame: true,
            end_of_frame: true,
            template_id: 0,
            frame_number: number,
            attaches_structure: key,
            active_decode_targets: None,
            dependencies: frame(reference, chain),
        };
        let mut out = [0; 100];
        let len = descriptor.write(&self.structure, &mut out).unwrap();
        let read = self.frames.describe(&out[..len]).unwrap();
        let structure = self.frames.structure().unwrap();
        let reading = read_described(&read, structure, Codec::Av1, &[0xa5], true);
        let place = Place {
            seq: u64::from(number),
            timestamp: u32::from(number) * 3_000,
            arrival_us: u64::from(number) * SECOND / 30,
            newest: true,
            gap: false,
            marker: true,
        };
        self.frames.place(&reading, 8, &place).0
    }

    /// Decides about the next picture; says whether it is forwarded, and whether a keyframe is wished for.
    fn decide(&mut self, selector: &mut Selector, number: u16, back: (u16, u8)) -> (bool, bool) {
        let frame = self.picture(number, back.0, back.1);
        let now_us = u64::from(number) * SECOND / 30;
        selector.decide(&self.frames, frame, now_us);
        (selector.verdict().forward, selector.take_wish())
    }
}

/// A frame that refers so far back, in a chain that goes so far back.
fn frame(reference: u16, chain: u8) -> Dependencies {
    let mut frame = Dependencies::default();
    frame.indications.set(0, Indication::Switch);
    if reference > 0 {
        frame.references.push(reference).unwrap();
    }
    frame.chains.push(chain).unwrap();
    frame
}

fn begun_described() -> (Described, Selector) {
    let (mut stream, mut selector) = (Described::new(), Selector::default());
    let first = stream.picture(1, 0, 0);
    selector.begin(first);
    assert_eq!(stream.decide(&mut selector, 1, (0, 0)), (true, false));
    (stream, selector)
}

#[test]
fn a_chain_tells_of_a_lost_frame_that_the_next_ones_do_not_refer_to() {
    let (mut stream, mut selector) = begun_described();
    // Frame 2 is lost. All that comes refers to frame 1, but the first of it is in a chain with 2.
    let mut wished = None;
    for number in 3..40 {
        let (forwards, wishes) = stream.decide(&mut selector, number, (number - 1, 1));
        assert!(forwards, "{number}: it can be decoded");
        if wishes {
            wished.get_or_insert(number);
        }
    }
    let after_ms = u64::from(wished.expect("a wish") - 3) * 1_000 / 30;
    assert!((500..600).contains(&after_ms), "{after_ms}");
}

#[test]
fn a_chain_with_a_frame_that_was_left_out_is_made_whole_by_a_keyframe() {
    let (mut stream, mut selector) = begun_described();
    let late = stream.picture(2, 1, 1);
    assert!(selector.leave_out(late));
    assert_eq!(stream.decide(&mut selector, 3, (2, 1)), (true, true));
    // While the chain holds nothing is wished for.
    let (mut stream, mut selector) = begun_described();
    for number in 2..60 {
        assert_eq!(stream.decide(&mut selector, number, (1, 1)), (true, false));
    }
}
