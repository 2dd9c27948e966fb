use super::*;
use crate::history::{Facts, History, PictureAt};

const START: u64 = 0x1_0000 + 1_000;

struct Source(History);

impl Source {
    fn new() -> Self {
        Self(History::new(64))
    }

    fn packet(&mut self, seq: u64, timestamp: u32, arrival_ms: u64) -> &Entry {
        self.picture(seq, timestamp, arrival_ms, None)
    }

    fn picture(
        &mut self,
        seq: u64,
        timestamp: u32,
        arrival_ms: u64,
        picture: Option<(u16, u8)>,
    ) -> &Entry {
        let position = self.0.append(seq, |entry| {
            entry.set_data(&[0x80; 12], b"x");
            entry.timestamp = timestamp;
            entry.arrival_us = arrival_ms * 1_000;
            entry.facts = Facts {
                start_of_frame: true,
                ..Facts::default()
            };
            if let Some((picture_id, tl0)) = picture {
                entry.facts.picture = PictureAt {
                    picture_id_at: 2,
                    long: true,
                    tl0_at: 4,
                    picture_id,
                    tl0,
                    closes: true,
                    described: false,
                };
            }
        });
        self.0.get(position).unwrap()
    }
}

fn rewriting() -> Rewriting {
    Rewriting::new(1_000, 32)
}

fn seq(rewriting: &mut Rewriting, entry: &Entry) -> Option<u64> {
    rewriting.map(entry).map(|numbers| numbers.seq - START)
}

#[test]
fn one_segment_shifts_by_a_fixed_amount_and_keeps_holes() {
    let (mut source, mut rewriting) = (Source::new(), rewriting());
    let first = source.packet(500, 10, 0);
    rewriting.begin(0, 1, first, 0);
    assert_eq!(seq(&mut rewriting, first), Some(0));
    assert_eq!(seq(&mut rewriting, source.packet(501, 20, 1)), Some(1));
    assert_eq!(seq(&mut rewriting, source.packet(503, 40, 3)), Some(3));
    assert_eq!(
        seq(&mut rewriting, source.packet(502, 30, 4)),
        Some(2),
        "late into its hole"
    );
    assert_eq!(
        seq(&mut rewriting, source.packet(499, 0, 5)),
        None,
        "before the start"
    );
    assert_eq!(rewriting.last_sequence(), Some(1_003));
}

#[test]
fn a_pause_closes_up_and_late_packets_of_both_sides_find_their_place() {
    let (mut source, mut rewriting) = (Source::new(), rewriting());
    let first = source.packet(500, 0, 0);
    rewriting.begin(0, 1, first, 0);
    rewriting.map(first);
    assert_eq!(seq(&mut rewriting, source.packet(503, 0, 1)), Some(3));
    let resumed = source.packet(600, 9_000, 100);
    rewriting.begin(0, 1, resumed, 0);
    assert_eq!(seq(&mut rewriting, resumed), Some(4));
    assert_eq!(
        seq(&mut rewriting, source.packet(502, 0, 101)),
        Some(2),
        "from before the pause"
    );
    assert_eq!(
        seq(&mut rewriting, source.packet(504, 0, 102)),
        None,
        "its number was given away"
    );
    assert_eq!(
        seq(&mut rewriting, source.packet(599, 0, 103)),
        None,
        "from the pause"
    );
    assert_eq!(seq(&mut rewriting, source.packet(602, 0, 104)), Some(6));
}

#[test]
fn left_out_packets_close_up_and_merge_into_one_segment() {
    let (mut source, mut rewriting) = (Source::new(), rewriting());
    let first = source.packet(10, 0, 0);
    rewriting.begin(0, 1, first, 0);
    rewriting.map(first);
    for number in [11, 12] {
        rewriting.leave_out(source.packet(number, 0, 1));
    }
    assert_eq!(rewriting.segments(), 2);
    assert_eq!(seq(&mut rewriting, source.packet(13, 0, 2)), Some(1));
    rewriting.leave_out(source.packet(15, 0, 3));
    assert_eq!(
        seq(&mut rewriting, source.packet(16, 0, 4)),
        Some(3),
        "14 keeps its hole"
    );
    assert_eq!(seq(&mut rewriting, source.packet(14, 0, 5)), Some(2));
    assert_eq!(seq(&mut rewriting, source.packet(11, 0, 6)), None);
}

#[test]
fn what_comes_late_behind_left_out_packets_moves_no_number() {
    let (mut source, mut rewriting) = (Source::new(), rewriting());
    let first = source.packet(10, 0, 0);
    rewriting.begin(0, 1, first, 0);
    rewriting.map(first);
    rewriting.leave_out(source.packet(11, 0, 1));
    assert_eq!(seq(&mut rewriting, source.packet(13, 0, 2)), Some(2));
    // Of the same frame as the one left out: its hole stays its own.
    let late = source.packet(12, 0, 3);
    assert!(rewriting.is_late(late));
    rewriting.leave_out(late);
    assert_eq!(seq(&mut rewriting, late), Some(1));
    assert_eq!(seq(&mut rewriting, source.packet(14, 0, 4)), Some(3));
}

#[test]
fn a_number_kept_for_what_is_missing_is_given_to_no_other_source() {
    let (mut source, mut other, mut rewriting) = (Source::new(), Source::new(), rewriting());
    let first = source.packet(10, 0, 0);
    rewriting.begin(0, 1, first, 0);
    rewriting.map(first);
    rewriting.leave_out(source.packet(12, 0, 1));
    assert_eq!(seq(&mut rewriting, source.packet(11, 0, 2)), Some(1));
    let next = other.packet(500, 0, 3);
    rewriting.begin(1, 2, next, 0);
    assert_eq!(seq(&mut rewriting, next), Some(2));
}

#[test]
fn another_source_continues_numbers_and_time() {
    let (mut old, mut new, mut rewriting) = (Source::new(), Source::new(), rewriting());
    let first = old.packet(10, 3_000, 0);
    rewriting.begin(0, 1, first, 0);
    assert_eq!(rewriting.map(first).unwrap().timestamp, 3_000);
    let other = new.packet(60_000, 77, 40);
    let offset = rewriting.offset_by_arrival(other, 90_000);
    rewriting.begin(1, 2, other, offset);
    let numbers = rewriting.map(other).unwrap();
    assert_eq!((numbers.seq - START, numbers.timestamp), (1, 3_000 + 3_600));
    let origin = rewriting.origin(1_001).unwrap();
    assert_eq!(
        (origin.stream, origin.serial, origin.source),
        (1, 2, 60_000)
    );
    let origin = rewriting.origin(1_000).unwrap();
    assert_eq!((origin.stream, origin.serial, origin.source), (0, 1, 10));
    assert_eq!(rewriting.origin(999), None, "never sent");
}

#[test]
fn a_timestamp_never_steps_back() {
    let (mut source, mut rewriting) = (Source::new(), rewriting());
    let first = source.packet(1, 9_000, 0);
    rewriting.begin(0, 1, first, 0);
    rewriting.map(first);
    let mut other = Source::new();
    let entry = other.packet(1, 100, 0);
    // An alignment that would lead to 8,000.
    let offset = rewriting.forward(entry, 7_900);
    assert_eq!(entry.timestamp.wrapping_add(offset), 9_001);
    assert_eq!(rewriting.forward(entry, 9_900), 9_900);
}

#[test]
fn picture_numbers_continue_over_a_switch_and_over_left_out_frames() {
    let (mut old, mut new, mut rewriting) = (Source::new(), Source::new(), rewriting());
    let first = old.picture(1, 0, 0, Some((0x7ffe, 255)));
    rewriting.begin(0, 1, first, 0);
    assert_eq!(
        rewriting.map(first).unwrap().pictures,
        PictureShift::default()
    );
    let second = old.picture(2, 10, 0, Some((0x7fff, 0)));
    rewriting.map(second);
    let other = new.picture(900, 0, 1, Some((300, 40)));
    rewriting.begin(1, 2, other, 0);
    let shift = rewriting.map(other).unwrap().pictures;
    assert_eq!(300_u16.wrapping_add(shift.picture_id) & 0x7fff, 0);
    assert_eq!(40_u8.wrapping_add(shift.tl0), 1);
    rewriting.leave_out(new.picture(901, 0, 2, Some((301, 40))));
    let third = new.picture(902, 0, 3, Some((302, 41)));
    let shift = rewriting.map(third).unwrap().pictures;
    assert_eq!(302_u16.wrapping_add(shift.picture_id) & 0x7fff, 1);
    assert_eq!(41_u8.wrapping_add(shift.tl0), 2);
}

#[test]
fn the_memory_of_segments_is_bounded() {
    let mut source = Source::new();
    let mut rewriting = Rewriting::new(0, 4);
    for number in 0..20_u64 {
        let entry = source.packet(number * 10, 0, number);
        rewriting.begin(0, 1, entry, 0);
        rewriting.map(entry);
    }
    assert_eq!(rewriting.segments(), 4);
    assert_eq!(rewriting.origin(19).map(|origin| origin.source), Some(190));
    assert_eq!(rewriting.origin(15), None);
}

#[test]
fn numbers_wrap_on_the_wire_only() {
    let mut source = Source::new();
    let mut rewriting = Rewriting::new(65_535, 4);
    let first = source.packet(1, 0, 0);
    rewriting.begin(0, 1, first, 0);
    assert_eq!(rewriting.map(first).unwrap().seq as u16, 65_535);
    assert_eq!(rewriting.map(source.packet(2, 0, 0)).unwrap().seq as u16, 0);
    assert_eq!(
        rewriting.origin(65_535).map(|origin| origin.source),
        Some(1)
    );
    assert_eq!(rewriting.origin(0).map(|origin| origin.source), Some(2));
}
