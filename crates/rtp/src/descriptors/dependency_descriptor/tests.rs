//! Captured traffic, round trips and refusals.

use super::{
    Dependencies, Descriptor, DescriptorError, Distances, Indication, Indications, Reader,
    Structure,
};
use hex_literal::hex;
use proptest::prelude::*;

/// Descriptors captured from Chromium's libwebrtc sending three spatial and three temporal
/// layers; the same capture serves several projects' tests.
const KEYFRAME: [u8; 95] = hex!(
    "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d95"
    "4926e082b04a0941b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200"
    "ef008601df010d"
);

fn keyframe() -> (Descriptor, Structure) {
    let (descriptor, structure) = Descriptor::parse(&KEYFRAME, None).unwrap();
    (descriptor, *structure.unwrap())
}

#[test]
fn a_captured_keyframe_brings_its_structure() {
    let (descriptor, structure) = keyframe();
    assert!(descriptor.start_of_frame && descriptor.end_of_frame);
    assert_eq!(
        (descriptor.template_id, descriptor.frame_number),
        (1, 0x0172)
    );
    assert_eq!((structure.decode_targets(), structure.chains()), (9, 3));
    let protected_by: Vec<_> = (0..9)
        .filter_map(|target| structure.protected_by(target))
        .collect();
    assert_eq!(protected_by, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let sizes: Vec<_> = (0..4)
        .filter_map(|spatial| structure.resolution(spatial))
        .collect();
    assert_eq!(sizes, [(120, 67), (240, 135), (480, 270)]);
    assert_eq!(structure.spatial_layers(), 3);
    assert_eq!(structure.layers_of(8), Some((2, 2)));
    assert_eq!(structure.decode_target(1, 2), Some(5));
    assert_eq!(descriptor.active_decode_targets, Some(0x1ff));
    let info = descriptor.info(&structure, false);
    assert!(info.is_entry_point() && info.configuration && info.temporal_switch);
    assert_eq!(info.resolution, Some((120, 67)));
    assert!(!info.spatial_leaf && !info.inter_picture);
}

#[test]
fn later_packets_are_read_with_the_structure_of_the_keyframe() {
    let mut reader = Reader::new();
    reader.read(&KEYFRAME).unwrap();
    assert_eq!(reader.active_decode_targets(), 0x1ff);
    let upper = reader.read(&hex!("86017340fc")).unwrap();
    assert_eq!(upper.active_decode_targets, Some(0x3f));
    assert_eq!(reader.active_decode_targets(), 0x3f);
    assert_eq!(upper.dependencies.spatial, 1);
    assert_eq!(upper.dependencies.references.as_slice(), [1]);
    let info = upper.info(reader.structure().unwrap(), false);
    assert!(info.inter_layer && !info.inter_picture && !info.is_entry_point());
    let short = reader.read(&hex!("c30175")).unwrap();
    assert_eq!(short.frame_number, 0x0175);
    assert!(!short.attaches_structure);
}

#[test]
fn nothing_is_read_before_the_first_structure() {
    let mut reader = Reader::new();
    assert_eq!(
        reader.read(&hex!("860173")),
        Err(DescriptorError::NoStructure)
    );
    assert_eq!(
        reader.read(&hex!("86017340fc")),
        Err(DescriptorError::NoStructure)
    );
    assert!(reader.structure().is_none());
}

#[test]
fn a_broken_keyframe_leaves_the_structure_as_it_was() {
    let mut reader = Reader::new();
    for len in 0..KEYFRAME.len() {
        assert!(reader.read(&KEYFRAME[..len]).is_err(), "{len}");
        assert!(reader.structure().is_none());
    }
    reader.read(&KEYFRAME).unwrap();
    let before = reader.structure().cloned();
    assert!(reader.read(&KEYFRAME[..40]).is_err());
    assert_eq!(reader.structure().cloned(), before);
}

#[test]
fn a_template_of_another_structure_is_refused() {
    let mut reader = Reader::new();
    reader.read(&KEYFRAME).unwrap();
    assert!(matches!(
        reader.read(&hex!("bf0173")),
        Err(DescriptorError::Invalid(_))
    ));
}

#[test]
fn captured_descriptors_are_written_as_they_were_read() {
    let (keyframe, structure) = keyframe();
    let mut out = [0xff; 128];
    let len = keyframe.write(&structure, &mut out).unwrap();
    assert_eq!(out[..len], KEYFRAME);
    for bytes in [
        &hex!("86017340fc")[..],
        &hex!("46017340fc"),
        &hex!("c30175"),
        &hex!("8b0174"),
    ] {
        let (descriptor, _) = Descriptor::parse(bytes, Some(&structure)).unwrap();
        let len = descriptor.write(&structure, &mut out).unwrap();
        assert_eq!(&out[..len], bytes);
    }
    assert_eq!(
        keyframe.write(&structure, &mut out[..50]),
        Err(DescriptorError::NoSpace)
    );
}

#[test]
fn a_mask_of_decode_targets_is_rewritten() {
    let (_, structure) = keyframe();
    let (mut descriptor, _) = Descriptor::parse(&hex!("860173"), Some(&structure)).unwrap();
    descriptor.active_decode_targets = Some(0b111);
    let mut out = [0; 8];
    let len = descriptor.write(&structure, &mut out).unwrap();
    let (again, _) = Descriptor::parse(&out[..len], Some(&structure)).unwrap();
    assert_eq!(again, descriptor);
}

#[test]
fn a_structure_that_could_not_be_sent_is_refused() {
    let template = Dependencies::default();
    let refused = |structure: Result<Structure, _>| {
        assert_eq!(
            structure,
            Err(DescriptorError::Invalid("template structure"))
        );
    };
    assert!(Structure::new(0, 1, 0, vec![], vec![template], vec![]).is_ok());
    refused(Structure::new(0, 0, 0, vec![], vec![template], vec![]));
    refused(Structure::new(0, 33, 0, vec![], vec![template], vec![]));
    refused(Structure::new(64, 1, 0, vec![], vec![template], vec![]));
    refused(Structure::new(0, 1, 0, vec![], vec![], vec![]));
    refused(Structure::new(0, 1, 1, vec![0], vec![template], vec![]));
    refused(Structure::new(0, 1, 0, vec![0], vec![template], vec![]));
    refused(Structure::new(
        0,
        1,
        0,
        vec![],
        vec![template],
        vec![(0, 1)],
    ));
    refused(Structure::new(
        0,
        1,
        0,
        vec![],
        vec![template],
        vec![(1, 1), (1, 1)],
    ));
}

fn any_indications(targets: usize) -> impl Strategy<Value = Indications> {
    prop::collection::vec(0_u64..4, targets).prop_map(|values| {
        let mut indications = Indications::default();
        for (target, value) in values.into_iter().enumerate() {
            indications.set(target, Indication::from_bits(value));
        }
        indications
    })
}

fn distances<T: Copy + Default, const N: usize>(values: &[T]) -> Distances<T, N> {
    let mut distances = Distances::default();
    for &value in values {
        distances.push(value).unwrap();
    }
    distances
}

fn any_dependencies(
    targets: usize,
    chains: usize,
    farthest: u16,
    chain: u8,
) -> impl Strategy<Value = Dependencies> {
    (
        any_indications(targets),
        prop::collection::vec(1..=farthest, 0..6),
        prop::collection::vec(0..=chain, chains),
    )
        .prop_map(|(indications, references, chains)| Dependencies {
            spatial: 0,
            temporal: 0,
            indications,
            references: distances(&references),
            chains: distances(&chains),
        })
}

/// Layers that follow each other as templates must: the same, the next temporal, the next spatial.
fn place(templates: &mut [Dependencies], steps: &[u8]) {
    let mut layers = (0, 0);
    for (template, step) in templates[1..].iter_mut().zip(steps) {
        layers = match step {
            0 => layers,
            1 => (layers.0, layers.1 + 1),
            _ => (layers.0 + 1, 0),
        };
        (template.spatial, template.temporal) = layers;
    }
}

fn any_structure() -> impl Strategy<Value = Structure> {
    let shape = (1_usize..=32).prop_flat_map(|targets| {
        (
            Just(targets),
            0..=targets,
            prop::collection::vec(0_u8..3, 0..20),
        )
    });
    shape.prop_flat_map(|(targets, chains, steps)| {
        let protected = if chains == 0 { 0 } else { targets };
        (
            0_u8..64,
            prop::collection::vec(0..chains.max(1) as u8, protected),
            prop::collection::vec(any_dependencies(targets, chains, 16, 15), steps.len() + 1),
            prop::option::of(prop::collection::vec((1_u32..=65_536, 1_u32..=65_536), 21)),
        )
            .prop_map(move |(id_offset, protected_by, mut templates, sizes)| {
                place(&mut templates, &steps);
                let layers = templates
                    .last()
                    .map_or(0, |last| usize::from(last.spatial) + 1);
                let sizes = sizes.map_or(Vec::new(), |sizes| sizes[..layers].to_vec());
                let (targets, chains) = (targets as u8, chains as u8);
                Structure::new(id_offset, targets, chains, protected_by, templates, sizes).unwrap()
            })
    })
}

proptest! {
    #[test]
    fn any_structure_and_frame_survives_writing_and_reading(
        (structure, own) in any_structure().prop_flat_map(|structure| {
            let (targets, chains) = (structure.decode_targets().into(), structure.chains().into());
            (Just(structure), any_dependencies(targets, chains, 4096, 255))
        }),
        pick: prop::sample::Index,
        start: bool, end: bool, frame_number: u16, attach: bool, customise: bool,
        active: Option<u32>,
    ) {
        let position = pick.index(structure.templates().len());
        let template = structure.templates()[position];
        let dependencies = if customise {
            Dependencies { spatial: template.spatial, temporal: template.temporal, ..own }
        } else {
            template
        };
        let all = structure.all_decode_targets();
        let descriptor = Descriptor {
            start_of_frame: start,
            end_of_frame: end,
            template_id: (structure.id_offset() + position as u8) & 0x3f,
            frame_number,
            attaches_structure: attach,
            active_decode_targets: active.map(|mask| mask & all).or(attach.then_some(all)),
            dependencies,
        };
        let mut out = [0; 4096];
        let len = descriptor.write(&structure, &mut out).unwrap();
        let known = (!attach).then_some(&structure);
        let (again, attached) = Descriptor::parse(&out[..len], known).unwrap();
        prop_assert_eq!(again, descriptor);
        prop_assert_eq!(attached.map(|structure| *structure), attach.then_some(structure));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8),
    ) {
        let mut reader = Reader::new();
        let _ = reader.read(&KEYFRAME);
        for packet in packets {
            if let Ok(descriptor) = reader.read(&packet) {
                let structure = reader.structure().unwrap();
                let mut out = [0; 512];
                let len = descriptor.write(structure, &mut out).unwrap();
                let known = structure.clone();
                prop_assert_eq!(Descriptor::parse(&out[..len], Some(&known)).unwrap().0, descriptor);
            }
        }
    }
}
