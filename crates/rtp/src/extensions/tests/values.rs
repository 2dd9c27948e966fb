//! Tests of the values: exact bytes, ranges, round trips.

use std::fmt::Debug;
use std::time::Duration;

use hex_literal::hex;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::NtpTime;
use crate::extensions::*;

fn encode<'a, T: ExtensionValue<'a>>(value: &T) -> Result<Vec<u8>, ExtensionError> {
    let mut out = [0xa5; 256];
    value.encode(&mut out).map(|len| out[..len].to_vec())
}

#[track_caller]
fn assert_wire<'a, T: ExtensionValue<'a> + PartialEq + Debug>(value: T, wire: &'a [u8]) {
    assert_eq!(encode(&value).as_deref(), Ok(wire));
    assert_eq!(T::decode(wire), Ok(value));
    let mut short = vec![0; wire.len() - 1];
    let value = T::decode(wire).unwrap();
    assert_eq!(value.encode(&mut short), Err(ExtensionError::NoSpace));
}

fn refused<'a, T: ExtensionValue<'a> + PartialEq + Debug>(wire: &'a [u8]) -> ExtensionError {
    T::decode(wire).expect_err("a bad value")
}

#[test]
fn identities_are_text_of_their_alphabets() {
    assert_wire(Mid("audio0"), b"audio0");
    assert_wire(Mid("a+b~c!"), b"a+b~c!");
    assert_wire(Rid("hi-Res_1"), b"hi-Res_1");
    assert_wire(RepairedRid("q"), b"q");
    assert_eq!(
        refused::<Mid<'_>>(b""),
        ExtensionError::Length(ExtensionKind::Mid)
    );
    assert_eq!(
        refused::<Mid<'_>>(b"a b"),
        ExtensionError::Value(ExtensionKind::Mid)
    );
    assert_eq!(
        refused::<Mid<'_>>(b"a\xff"),
        ExtensionError::Value(ExtensionKind::Mid)
    );
    assert_eq!(
        refused::<Rid<'_>>(b"a+b"),
        ExtensionError::Value(ExtensionKind::Rid)
    );
    assert!(encode(&Rid("")).is_err() && encode(&Rid("ü")).is_err());
}

#[test]
fn an_audio_level_is_a_voice_bit_and_seven_bits() {
    assert_wire(
        AudioLevel {
            level: 42,
            voice: true,
        },
        &hex!("aa"),
    );
    assert_wire(
        AudioLevel {
            level: 127,
            voice: false,
        },
        &hex!("7f"),
    );
    assert!(
        encode(&AudioLevel {
            level: 128,
            voice: false
        })
        .is_err()
    );
    assert_eq!(
        refused::<AudioLevel>(&[]),
        ExtensionError::Length(ExtensionKind::AudioLevel)
    );
}

#[test]
fn mixer_levels_are_one_byte_a_source() {
    assert_wire(MixerLevels::new(&[1, 127, 0]).unwrap(), &hex!("017f00"));
    assert_eq!(
        MixerLevels::decode(&[0x85]).unwrap().levels(),
        [5],
        "the reserved bit is ignored"
    );
    assert!(MixerLevels::new(&[0; 15]).is_ok());
    assert!(MixerLevels::new(&[0; 16]).is_err() && MixerLevels::decode(&[0; 16]).is_err());
    assert!(MixerLevels::new(&[]).is_err() && MixerLevels::decode(&[]).is_err());
    assert!(MixerLevels::new(&[128]).is_err());
}

#[test]
fn an_orientation_is_four_bits() {
    let orientation = VideoOrientation {
        back_camera: true,
        flip: false,
        quarter_turns: 3,
    };
    assert_wire(orientation, &hex!("0b"));
    assert_wire(
        VideoOrientation {
            flip: true,
            ..VideoOrientation::default()
        },
        &hex!("04"),
    );
    assert!(
        encode(&VideoOrientation {
            quarter_turns: 4,
            ..orientation
        })
        .is_err()
    );
}

#[test]
fn a_transport_sequence_is_two_bytes() {
    assert_wire(TransportSequence(0xfffe), &hex!("fffe"));
    assert!(TransportSequence::decode(&hex!("000102")).is_err());
}

#[test]
fn a_send_time_is_the_middle_24_bits_of_wall_time() {
    assert_wire(AbsSendTime(0x0012_3456), &hex!("123456"));
    assert!(encode(&AbsSendTime(0x0100_0000)).is_err());
    // 65.5 s are 1.5 s of the 64 s cycle: 1.5 * 2^18.
    let time = NtpTime(65 << 32 | 1 << 31);
    assert_eq!(AbsSendTime::from_ntp(time), AbsSendTime(0x0006_0000));
}

#[test]
fn send_times_differ_across_the_end_of_their_cycle() {
    let before = AbsSendTime(0x00ff_0000);
    let after = AbsSendTime(0x0001_0000);
    assert_eq!(after.since(before), Some(Duration::from_millis(500)));
    assert_eq!(before.since(after), None);
}

#[test]
fn a_capture_time_may_have_a_clock_offset() {
    let captured = NtpTime(0x0102_0304_0506_0708);
    assert_wire(
        AbsCaptureTime {
            captured,
            clock_offset: None,
        },
        &hex!("0102030405060708"),
    );
    assert_wire(
        AbsCaptureTime {
            captured,
            clock_offset: Some(-2),
        },
        &hex!("0102030405060708 fffffffffffffffe"),
    );
    assert!(AbsCaptureTime::decode(&[0; 12]).is_err());
}

#[test]
fn a_playout_delay_is_two_numbers_of_12_bits_in_order() {
    assert_wire(
        PlayoutDelay {
            min: 0x123,
            max: 0xabc,
        },
        &hex!("123abc"),
    );
    assert_wire(PlayoutDelay { min: 0, max: 0 }, &hex!("000000"));
    assert!(encode(&PlayoutDelay { min: 2, max: 1 }).is_err());
    assert!(encode(&PlayoutDelay { min: 2, max: 4096 }).is_err());
    assert!(PlayoutDelay::decode(&hex!("002001")).is_err());
}

#[test]
fn frame_marking_has_one_two_or_three_bytes() {
    let short = FrameMarking {
        start: true,
        independent: true,
        ..FrameMarking::default()
    };
    assert_wire(short, &hex!("a0"));
    let long = FrameMarking {
        end: true,
        discardable: true,
        base_layer_sync: true,
        temporal: 5,
        layer: Some(0x42),
        tl0_picture: Some(0x99),
        ..FrameMarking::default()
    };
    assert_wire(long, &hex!("5d 42 99"));
    assert_wire(
        FrameMarking {
            tl0_picture: None,
            ..long
        },
        &hex!("5d 42"),
    );
    assert!(
        encode(&FrameMarking {
            layer: None,
            ..long
        })
        .is_err()
    );
    assert!(
        encode(&FrameMarking {
            temporal: 8,
            ..long
        })
        .is_err()
    );
    assert!(FrameMarking::decode(&[]).is_err() && FrameMarking::decode(&[0; 4]).is_err());
}

#[test]
fn a_dependency_descriptor_is_carried_as_it_is() {
    assert_wire(DependencyDescriptorBytes(&hex!("c00001")), &hex!("c00001"));
    for len in [2, 256] {
        let bytes = vec![0; len];
        assert!(DependencyDescriptorBytes::decode(&bytes).is_err());
        assert!(encode(&DependencyDescriptorBytes(&bytes)).is_err());
    }
}

fn layer(stream: u8, spatial: u8, rates: &[u32]) -> LayerAllocation {
    let mut target_kbps = [0; 4];
    target_kbps[..rates.len()].copy_from_slice(rates);
    let temporal_layers = rates.len() as u8;
    LayerAllocation {
        stream,
        spatial,
        temporal_layers,
        target_kbps,
        resolution: None,
    }
}

#[test]
fn an_allocation_without_layers_is_one_zero() {
    assert_wire(VideoLayersAllocation::new(0, 1, &[]).unwrap(), &hex!("00"));
    assert!(VideoLayersAllocation::new(1, 2, &[]).is_err());
}

#[test]
fn equal_streams_share_their_bit_mask() {
    // Two streams with one spatial layer each; 100 kbit/s, and 300 then 500 kbit/s.
    let layers = [layer(0, 0, &[100]), layer(1, 0, &[300, 500])];
    let allocation = VideoLayersAllocation::new(1, 2, &layers).unwrap();
    // Stream 1 of 2, mask 0001; temporal layers 1 and 2 as 00 01; LEB128 rates.
    assert_wire(allocation, &hex!("51 10 64 ac02 f403"));
}

#[test]
fn different_streams_have_a_bit_mask_each() {
    let layers = [
        layer(0, 0, &[1]),
        layer(1, 0, &[2]),
        layer(1, 1, &[3]),
        layer(2, 2, &[4]),
    ];
    let allocation = VideoLayersAllocation::new(0, 3, &layers).unwrap();
    assert_wire(allocation, &hex!("20 13 40 00 01 02 03 04"));
}

#[test]
fn an_allocation_may_tell_sizes_and_frame_rates() {
    let resolution = |width, height| {
        Some(LayerResolution {
            width,
            height,
            max_framerate: 30,
        })
    };
    let layers = [
        LayerAllocation {
            resolution: resolution(320, 180),
            ..layer(0, 0, &[100])
        },
        LayerAllocation {
            resolution: resolution(65_536, 1),
            ..layer(0, 1, &[128])
        },
    ];
    let allocation = VideoLayersAllocation::new(0, 1, &layers).unwrap();
    assert_wire(allocation, &hex!("03 00 64 8001 013f 00b3 1e ffff 0000 1e"));
    let mixed = [layers[0], layer(0, 1, &[1])];
    assert!(
        VideoLayersAllocation::new(0, 1, &mixed).is_err(),
        "sizes for all or for none"
    );
}

#[test]
fn bad_allocations_are_refused() {
    for wire in [
        &hex!("")[..],
        &hex!("01"),
        &hex!("01 00"),
        &hex!("01 00 80"),
        &hex!("01 00 ffffffffff"),
        &hex!("01 00 ffffffff7f"),
        &hex!("01 00 64 0001"),
        &hex!("01 00 64 0001 0001 1e ff"),
        &hex!("41 00 64"),
    ] {
        assert!(VideoLayersAllocation::decode(wire).is_err(), "{wire:x?}");
    }
    let swapped = [layer(0, 1, &[1]), layer(0, 0, &[1])];
    assert!(VideoLayersAllocation::new(0, 1, &swapped).is_err());
    assert!(VideoLayersAllocation::new(0, 1, &[layer(1, 0, &[1])]).is_err());
    assert!(VideoLayersAllocation::new(0, 1, &[layer(0, 4, &[1])]).is_err());
    assert!(VideoLayersAllocation::new(0, 5, &[layer(0, 0, &[1])]).is_err());
    assert!(VideoLayersAllocation::new(0, 1, &[layer(0, 0, &[])]).is_err());
    assert!(VideoLayersAllocation::new(0, 1, &[layer(0, 0, &[1]); 17]).is_err());
}

/// Decodes bytes as a value; what is read is written so that it reads the same.
fn reads_back<'a, T: ExtensionValue<'a> + PartialEq + Debug>(bytes: &'a [u8]) {
    if let Ok(value) = T::decode(bytes) {
        let wire = encode(&value)
            .expect("a decoded value can be encoded")
            .leak();
        assert_eq!(T::decode(wire), Ok(value));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_what_is_read_writes_back(bytes in vec(any::<u8>(), 0..40)) {
        let bytes: &'static [u8] = bytes.leak();
        reads_back::<Mid<'_>>(bytes);
        reads_back::<Rid<'_>>(bytes);
        reads_back::<RepairedRid<'_>>(bytes);
        reads_back::<AudioLevel>(bytes);
        reads_back::<MixerLevels>(bytes);
        reads_back::<VideoOrientation>(bytes);
        reads_back::<TransportSequence>(bytes);
        reads_back::<AbsSendTime>(bytes);
        reads_back::<AbsCaptureTime>(bytes);
        reads_back::<PlayoutDelay>(bytes);
        reads_back::<FrameMarking>(bytes);
        reads_back::<DependencyDescriptorBytes<'_>>(bytes);
        reads_back::<VideoLayersAllocation>(bytes);
    }

    #[test]
    fn allocations_round_trip(
        streams in 1_u8..=4,
        present in vec(any::<Option<[u32; 4]>>(), 16),
        temporal in vec(1_u8..=4, 16),
        size in any::<Option<(u16, u16, u8)>>(),
    ) {
        let resolution = size.map(|(width, height, max_framerate)| LayerResolution {
            width: u32::from(width) + 1, height: u32::from(height) + 1, max_framerate,
        });
        let mut layers = Vec::new();
        for stream in 0..streams {
            for spatial in 0..4 {
                let index = usize::from(4 * stream + spatial);
                if let Some(rates) = present[index] {
                    let rates = &rates[..usize::from(temporal[index])];
                    layers.push(LayerAllocation { resolution, ..layer(stream, spatial, rates) });
                }
            }
        }
        prop_assume!(!layers.is_empty());
        let allocation = VideoLayersAllocation::new(streams - 1, streams, &layers).unwrap();
        let mut out = [0; 1024];
        let len = allocation.encode(&mut out).unwrap();
        prop_assert_eq!(VideoLayersAllocation::decode(&out[..len]), Ok(allocation));
    }
}
