//! Tests of the registry: ids, switches, priorities, settings.

use hex_literal::hex;

use crate::extensions::*;
use crate::{ExtensionForm, RtpPacket};

type Kind = ExtensionKind;

fn map(pairs: &[(u8, Kind)]) -> ExtensionMap {
    ExtensionMap::from_pairs(pairs.iter().copied()).unwrap()
}

#[test]
fn kinds_and_uris_are_one_to_one() {
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(Kind::from_uri(kind.uri()), Some(kind));
        assert_eq!(kind as usize, index);
    }
    assert_eq!(Kind::from_uri("urn:ietf:params:rtp-hdrext:toffset"), None);
    assert_eq!(Kind::from_uri("URN:3GPP:VIDEO-ORIENTATION"), None);
    let draft = "http://tools.ietf.org/html/draft-ietf-avtext-framemarking-07";
    assert_eq!(Kind::from_uri(draft), Some(Kind::FrameMarking));
}

#[test]
fn an_extension_is_found_by_id_and_by_kind() {
    let map = map(&[(1, Kind::AudioLevel), (4, Kind::Mid)]);
    assert_eq!(
        (map.get(4), map.id_of(Kind::Mid)),
        (Some(Kind::Mid), Some(4))
    );
    assert_eq!((map.get(2), map.id_of(Kind::Rid)), (None, None));
    assert_eq!((map.get(0), map.get(255)), (None, None));
}

#[test]
fn ids_that_carry_nothing_or_are_taken_are_refused() {
    let mut map = map(&[(4, Kind::Mid)]);
    let settings = ExtensionSettings::default;
    assert_eq!(map.insert(0, Kind::Rid, settings()), Err(MapError::Id(0)));
    assert_eq!(map.insert(15, Kind::Rid, settings()), Err(MapError::Id(15)));
    let taken = MapError::Taken {
        id: 4,
        kind: Kind::Mid,
    };
    assert_eq!(map.insert(4, Kind::Rid, settings()), Err(taken));
    assert_eq!(map.insert(9, Kind::Mid, settings()), Ok(()));
    assert_eq!((map.get(4), map.get(9)), (None, Some(Kind::Mid)));
    assert!(map.remove(Kind::Mid) && !map.remove(Kind::Mid));
    assert_eq!(map.negotiated().count(), 0);
}

#[test]
fn what_is_off_is_neither_read_nor_written_but_stays_negotiated() {
    let mut map = map(&[(4, Kind::Mid)]);
    assert!(map.disable(Kind::Mid));
    assert!(!map.is_enabled(Kind::Mid));
    assert_eq!((map.get(4), map.id_of(Kind::Mid)), (None, None));
    assert_eq!(map.negotiated_id(Kind::Mid), Some(4));
    assert_eq!(map.writable().count(), 0);
    map.insert(5, Kind::Mid, ExtensionSettings::default())
        .unwrap();
    assert!(!map.is_enabled(Kind::Mid), "a new id does not switch it on");
    assert!(map.enable(Kind::Mid));
    assert_eq!(
        (map.get(5), map.id_of(Kind::Mid)),
        (Some(Kind::Mid), Some(5))
    );
    assert!(!map.enable(Kind::Rid), "not negotiated");
}

#[test]
fn directions_and_encryption_decide_who_reads_and_writes() {
    let mut map = ExtensionMap::new();
    for (direction, reads, writes) in [
        (ExtensionDirection::SendRecv, true, true),
        (ExtensionDirection::SendOnly, false, true),
        (ExtensionDirection::RecvOnly, true, false),
        (ExtensionDirection::Inactive, false, false),
    ] {
        let settings = ExtensionSettings {
            direction,
            ..ExtensionSettings::default()
        };
        map.insert(3, Kind::AudioLevel, settings).unwrap();
        assert_eq!(
            (map.get(3).is_some(), map.id_of(Kind::AudioLevel).is_some()),
            (reads, writes)
        );
    }
    let settings = ExtensionSettings {
        encrypted: true,
        attributes: Some("vad=on".into()),
        ..ExtensionSettings::default()
    };
    map.insert(3, Kind::AudioLevel, settings.clone()).unwrap();
    assert_eq!((map.get(3), map.id_of(Kind::AudioLevel)), (None, None));
    assert_eq!(map.settings(Kind::AudioLevel), Some(&settings));
}

#[test]
fn extensions_are_written_by_priority() {
    let mut map = map(&[
        (1, Kind::VideoLayersAllocation),
        (2, Kind::AudioLevel),
        (3, Kind::Mid),
    ]);
    let order = |map: &ExtensionMap| map.writable().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(order(&map), [3, 2, 1]);
    assert!(map.set_priority(Kind::VideoLayersAllocation, 255));
    assert_eq!(order(&map), [1, 3, 2]);
    assert_eq!(map.priority(Kind::VideoLayersAllocation), Some(255));
    assert!(!map.set_priority(Kind::Rid, 1));
}

#[test]
fn ids_above_14_ask_for_the_two_byte_form() {
    let mut map = map(&[(14, Kind::Mid), (16, Kind::Rid)]);
    assert_eq!(map.form(true), ExtensionForm::TwoByte);
    map.disable(Kind::Rid);
    assert_eq!(map.form(true), ExtensionForm::Mixed);
    assert_eq!(map.form(false), ExtensionForm::OneByte);
}

#[test]
fn a_packet_is_collected_in_one_pass_and_the_first_of_a_kind_counts() {
    let data = hex!("90 60 0001 00000002 00000003 bede 0003 10 aa 41 7630 11 bbcc 50 ff 00 00");
    let packet = RtpPacket::parse(&data).unwrap();
    let map = map(&[(1, Kind::AudioLevel), (4, Kind::Mid), (6, Kind::Rid)]);
    let values = map.collect(&packet);
    assert_eq!(
        values.get(),
        Ok(Some(AudioLevel {
            level: 0x2a,
            voice: true
        }))
    );
    assert_eq!(values.get(), Ok(Some(Mid("v0"))));
    assert_eq!(values.get::<Rid<'_>>(), Ok(None));
    assert_eq!(values.raw(Kind::Mid), Some(&b"v0"[..]));
}

#[test]
fn a_value_of_a_wrong_length_is_an_error_and_not_absent() {
    let data = hex!("90 60 0001 00000002 00000003 bede 0001 11 aabb 00");
    let packet = RtpPacket::parse(&data).unwrap();
    let values = map(&[(1, Kind::AudioLevel)]).collect(&packet);
    assert_eq!(
        values.get::<AudioLevel>(),
        Err(ExtensionError::Length(Kind::AudioLevel))
    );
}
