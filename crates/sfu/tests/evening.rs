//! Packets of a frame brought to one length, so that they leave as one segmented send.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_sfu::*;
use support::*;

fn rig(even_out: u8) -> Rig {
    let mut rig = Rig::with(RouterConfig {
        even_out,
        bandwidth: unestimated(),
        ..RouterConfig::default()
    });
    rig.produce_video(VIDEO, &[Some(1_000)]);
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
    rig
}

/// A frame as Chromium cuts it, its parameter sets before it: length, padding and payload of what leaves.
fn sent(rig: &mut Rig, lengths: &[usize]) -> Vec<(usize, usize, usize)> {
    for (n, length) in lengths.iter().enumerate() {
        let last = n + 1 == lengths.len();
        let packet = vp8(n as u16, 0, n == 0, true, last, *length);
        rig.rtp(&packet.bytes()).unwrap();
    }
    rig.drain();
    let media = rig.media();
    let described = media.iter().map(|out| {
        let packet = out.rtp();
        (
            out.bytes.len(),
            packet.padding_len(),
            packet.payload().len(),
        )
    });
    described.collect()
}

#[test]
fn packets_that_are_nearly_as_long_as_the_longest_are_padded_to_it() {
    let lengths = [30, 1_000, 1_000, 1_003, 1_002, 990];
    let off = sent(&mut rig(0), &lengths);
    assert!(off.iter().all(|(_, padding, _)| *padding == 0));
    let even = sent(&mut rig(4), &lengths);
    let payloads = |all: &[(usize, usize, usize)]| all.iter().map(|one| one.2).collect::<Vec<_>>();
    assert_eq!(payloads(&even), payloads(&off), "nothing is changed");
    let padding: Vec<_> = even.iter().map(|one| one.1).collect();
    assert_eq!(
        padding,
        [0, 3, 3, 0, 1, 0],
        "what is far shorter stays short"
    );
    let longest = off[3].0;
    assert!(even[1..5].iter().all(|one| one.0 == longest), "{even:?}");
}

#[test]
fn each_frame_has_its_own_length_and_padding_is_told_with_the_headers() {
    let mut rig = rig(4);
    let bytes_of = |rig: &Rig| {
        let stats = rig.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
        (stats.bytes_sent, stats.header_bytes_sent)
    };
    let first = sent(&mut rig, &[500, 501]);
    assert_eq!(first[0].0, first[1].0);
    let (payload, header) = bytes_of(&rig);
    let lengths: usize = first.iter().map(|one| one.0).sum();
    assert_eq!(payload + header, lengths as u64);
    for (sequence, marker) in [(2, false), (3, true)] {
        let packet = vp8(
            sequence,
            3_000,
            !marker,
            false,
            marker,
            700 + usize::from(sequence),
        );
        rig.rtp(&packet.bytes()).unwrap();
    }
    rig.drain();
    let second: Vec<_> = rig.media().iter().map(|out| out.bytes.len()).collect();
    assert!(
        second.ends_with(&[second[second.len() - 1]; 2]),
        "{second:?}"
    );
}
