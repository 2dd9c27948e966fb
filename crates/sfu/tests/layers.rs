//! Viewers change layers at random, for minutes or an hour of virtual time, over each codec: a
//! decoder that knows the truth finds nothing it could not decode, and no break in any number.

#![allow(clippy::unwrap_used)] // What fails here fails the test.
#![allow(unreachable_pub)]

mod decoder;

use std::time::Duration;

use decoder::structure::Mode;
use decoder::wire::Format;
use decoder::{Source, World};
use roomtone_rtp::Codec;

const MINUTES: u64 = 2;
const HOUR: u64 = 60;

fn simulcast(codec: Codec, format: Format, temporal: u8) -> Source {
    encodings(3, codec, format, temporal)
}

fn encodings(encodings: usize, codec: Codec, format: Format, temporal: u8) -> Source {
    Source {
        codec,
        format,
        mode: Mode::temporal(temporal),
        encodings,
        reports: true,
    }
}

fn layered(codec: Codec, format: Format, mode: Mode) -> Source {
    Source {
        codec,
        format,
        mode,
        encodings: 1,
        reports: true,
    }
}

/// A random wish: a layer, or the best.
fn wish(world: &mut World, layers: u8) -> Option<u8> {
    let drawn = (world.random.next_u64() % (u64::from(layers) + 1)) as u8;
    (drawn < layers).then_some(drawn)
}

fn choose(world: &mut World, source: Source) {
    let spatials = source.mode.spatial.max(source.encodings as u8);
    for viewer in 0..world.viewers.len() {
        if world.random.chance(0.6) {
            let spatial = wish(world, spatials);
            let temporal = wish(world, source.mode.temporal);
            world.choose(viewer, spatial, temporal);
        }
    }
}

/// Random wishes without loss: everything in order, nothing broken, no freeze.
fn runs(source: Source, minutes: u64, seed: u64) {
    let mut world = World::new(source, seed);
    world.join();
    for turn in 0..minutes * 40 {
        if turn == 7 {
            // Late, in the middle of the stream.
            world.join();
        }
        choose(&mut world, source);
        let ms = 300 + world.random.next_u64() % 2_400;
        world.run(Duration::from_millis(ms));
        if source.encodings > 1 && world.random.chance(0.1) && !world.is_silent() {
            let encoding = world.random.next_u64() as usize % source.encodings;
            world.silence(encoding, Duration::from_secs(5));
            // Till the router knows: nobody can show what is not sent.
            let until = world.now + Duration::from_secs(4);
            world
                .viewers
                .iter_mut()
                .for_each(|viewer| viewer.excuse(until));
        }
    }
    for viewer in &world.viewers {
        println!(
            "{source:?}: {} pictures, longest freeze {:?}, {:?}",
            viewer.pictures, viewer.longest_freeze, viewer.by_layer
        );
        assert!(viewer.pictures > minutes * 300, "{}", viewer.pictures);
        assert_eq!(
            viewer.frozen, 0,
            "freezes, the longest of {:?}",
            viewer.longest_freeze
        );
        assert!(viewer.drift_ms <= 5, "{} ms off", viewer.drift_ms);
        let layers = usize::from(source.mode.spatial) * source.encodings;
        let shown: std::collections::BTreeSet<_> =
            viewer.by_layer.keys().map(|(e, s, _)| (*e, *s)).collect();
        assert_eq!(shown.len(), layers, "every layer was shown");
    }
}

/// The same with loss on both lines, repaired by retransmission.
fn survives(source: Source, turns: u64, seed: u64) {
    let mut world = World::new(source, seed);
    world.join();
    world.viewers[0].lossy = true;
    world.loss = 0.02;
    for _ in 0..turns {
        choose(&mut world, source);
        let ms = 300 + world.random.next_u64() % 2_400;
        world.run(Duration::from_millis(ms));
        let broken = world.viewers[0].broken();
        assert!(broken.is_empty(), "sent, and cannot be decoded: {broken:?}");
    }
    let viewer = &world.viewers[0];
    println!(
        "{source:?} with loss: {} pictures, {} PLIs, longest freeze {:?}",
        viewer.pictures, viewer.plis, viewer.longest_freeze
    );
    assert!(viewer.pictures > turns * 6, "{}", viewer.pictures);
}

macro_rules! rows {
    ($($name:ident: $source:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn random_layers_break_nothing() {
                runs($source, MINUTES, 1);
            }

            #[test]
            fn random_layers_and_loss_leave_nothing_broken() {
                survives($source, 15, 2);
            }

            #[test]
            #[ignore = "an hour of virtual time"]
            fn random_layers_break_nothing_for_an_hour() {
                for seed in 10..12 {
                    runs($source, HOUR / 2, seed);
                }
            }

            #[test]
            #[ignore = "an hour of virtual time"]
            fn random_layers_and_loss_leave_nothing_broken_for_an_hour() {
                for seed in 20..22 {
                    survives($source, HOUR * 20, seed);
                }
            }
        })*
    };
}

rows! {
    vp8_simulcast: simulcast(Codec::Vp8, Format::Vp8, 3);
    vp8_four_encodings: encodings(4, Codec::Vp8, Format::Vp8, 2);
    vp8_sealed: simulcast(Codec::Vp8, Format::Vp8Sealed, 3);
    vp9_simulcast: simulcast(Codec::Vp9, Format::Vp9Flexible, 3);
    vp9_sealed: layered(Codec::Vp9, Format::Vp9Sealed, Mode::full(3, 3));
    h264_simulcast: simulcast(Codec::H264, Format::H264, 1);
    vp9_full_flexible: layered(Codec::Vp9, Format::Vp9Flexible, Mode::full(3, 3));
    vp9_full: layered(Codec::Vp9, Format::Vp9Group, Mode::full(3, 3));
    vp9_key_flexible: layered(Codec::Vp9, Format::Vp9Flexible, Mode::key(3, 3));
    vp9_key: layered(Codec::Vp9, Format::Vp9Group, Mode::key(3, 3));
    av1_temporal: layered(Codec::Av1, Format::Described, Mode::temporal(3));
    av1_full: layered(Codec::Av1, Format::Described, Mode::full(3, 3));
    av1_key: layered(Codec::Av1, Format::Described, Mode::key(3, 3));
    av1_simulcast: simulcast(Codec::Av1, Format::Described, 3);
    h264_temporal: layered(Codec::H264, Format::Described, Mode::temporal(3));
}
