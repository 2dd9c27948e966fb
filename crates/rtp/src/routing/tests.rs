//! Tests of routing, by the rows of RFC 8843 section 9.2.

use super::*;

fn media(payload_type: u8) -> SectionPayloadType {
    SectionPayloadType {
        payload_type,
        repair: false,
    }
}

fn rtx(payload_type: u8) -> SectionPayloadType {
    SectionPayloadType {
        payload_type,
        repair: true,
    }
}

fn section(key: u32, mid: &str, payload_types: &[SectionPayloadType]) -> Section<u32> {
    let payload_types = payload_types.to_vec();
    Section {
        key,
        mid: Some(mid.into()),
        payload_types,
        encodings: Vec::new(),
    }
}

fn simulcast(key: u32, mid: &str, rids: &[&str]) -> Section<u32> {
    let with_rid = |rid: &&str| Encoding {
        rid: Some((*rid).into()),
        ..Encoding::default()
    };
    let encodings = rids.iter().map(with_rid).collect();
    Section {
        encodings,
        ..section(key, mid, &[media(96), rtx(97)])
    }
}

fn packet(ssrc: u32, payload_type: u8) -> PacketIdentity<'static> {
    PacketIdentity {
        ssrc,
        payload_type,
        ..PacketIdentity::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what route gives")]
fn to(section: u32, encoding: u8, repair: bool) -> Result<Route<u32>, RouteError> {
    Ok(Route {
        section,
        encoding,
        repair,
    })
}

fn router(sections: impl IntoIterator<Item = Section<u32>>) -> StreamRouter<u32> {
    let mut router = StreamRouter::new(8);
    for section in sections {
        router.add(section).unwrap();
    }
    router
}

#[test]
fn the_mid_decides_and_is_learnt_for_packets_without_it() {
    let mut router = router([section(1, "a", &[media(96)]), section(2, "v", &[media(96)])]);
    assert_eq!(
        router.route(&packet(7, 96)),
        Err(RouteError::Unroutable),
        "96 is in both"
    );
    let named = PacketIdentity {
        mid: Some(b"v"),
        ..packet(7, 96)
    };
    assert_eq!(router.route(&named), to(2, 0, false));
    assert_eq!(router.route(&packet(7, 96)), to(2, 0, false));
    assert_eq!(
        (router.counters().learnt, router.counters().dropped),
        (1, 1)
    );
}

#[test]
fn an_unknown_mid_is_dropped_even_where_the_ssrc_is_known() {
    let mut router = router([section(1, "a", &[media(96)])]);
    assert_eq!(router.route(&packet(7, 96)), to(1, 0, false));
    let named = PacketIdentity {
        mid: Some(b"x"),
        ..packet(7, 96)
    };
    assert_eq!(router.route(&named), Err(RouteError::UnknownMid));
}

#[test]
fn a_payload_type_of_one_section_only_routes_ffmpeg_like_peers() {
    let mut video = section(2, "v", &[media(96), rtx(97)]);
    video.mid = None;
    let mut router = router([section(1, "a", &[media(111)]), video]);
    assert_eq!(router.route(&packet(7, 111)), to(1, 0, false));
    assert_eq!(router.route(&packet(8, 96)), to(2, 0, false));
    assert_eq!(router.route(&packet(9, 97)), to(2, 0, true));
    assert_eq!(router.route(&packet(10, 100)), Err(RouteError::Unroutable));
    assert_eq!(router.route(&packet(10, 255)), Err(RouteError::Unroutable));
}

#[test]
fn a_known_ssrc_with_a_foreign_payload_type_is_dropped() {
    let mut router = router([
        section(1, "a", &[media(111)]),
        section(2, "v", &[media(96)]),
    ]);
    assert_eq!(router.route(&packet(7, 111)), to(1, 0, false));
    assert_eq!(router.route(&packet(7, 96)), Err(RouteError::PayloadType));
    let named = PacketIdentity {
        mid: Some(b"a"),
        ..packet(8, 96)
    };
    assert_eq!(router.route(&named), Err(RouteError::PayloadType));
    assert_eq!(
        router.route_ssrc(8),
        None,
        "a dropped packet teaches nothing"
    );
}

#[test]
fn rids_tell_encodings_apart_and_repaired_rids_their_retransmissions() {
    let mut router = router([simulcast(1, "v", &["q", "h", "f"])]);
    let named = |ssrc, rid| PacketIdentity {
        mid: Some(b"v"),
        rid: Some(rid),
        ..packet(ssrc, 96)
    };
    assert_eq!(router.route(&named(10, b"q")), to(1, 0, false));
    assert_eq!(router.route(&named(12, b"f")), to(1, 2, false));
    let repair = PacketIdentity {
        repaired_rid: Some(b"f"),
        ..packet(22, 97)
    };
    assert_eq!(router.route(&repair), to(1, 2, true));
    for (ssrc, payload_type, encoding, repairs) in
        [(10, 96, 0, false), (12, 96, 2, false), (22, 97, 2, true)]
    {
        assert_eq!(
            router.route(&packet(ssrc, payload_type)),
            to(1, encoding, repairs)
        );
        let expected = Route {
            section: 1,
            encoding,
            repair: repairs,
        };
        assert_eq!(router.route_ssrc(ssrc), Some(expected));
    }
    assert_eq!(router.route(&named(13, b"x")), Err(RouteError::UnknownRid));
    assert_eq!(
        router.route(&packet(14, 96)),
        Err(RouteError::Unroutable),
        "which of the three?"
    );
}

#[test]
fn declared_ssrcs_route_simulcast_without_rids() {
    let encoding = |ssrc, repair_ssrc| Encoding {
        rid: None,
        ssrc: Some(ssrc),
        repair_ssrc,
    };
    let encodings = vec![encoding(10, Some(20)), encoding(11, None)];
    let mut router = router([Section {
        encodings,
        ..simulcast(1, "v", &[])
    }]);
    assert_eq!(router.route(&packet(10, 96)), to(1, 0, false));
    assert_eq!(router.route(&packet(20, 97)), to(1, 0, true));
    assert_eq!(router.route(&packet(11, 96)), to(1, 1, false));
    assert!(!router.forget(10), "declared ones stay");
    assert_eq!(router.known_ssrcs(), 3);
}

#[test]
fn a_new_mid_moves_a_stream_and_a_late_packet_does_not_move_it_back() {
    let mut router = router([section(1, "a", &[media(96)]), section(2, "b", &[media(96)])]);
    let named = |mid, sequence| PacketIdentity {
        mid: Some(mid),
        sequence,
        ..packet(7, 96)
    };
    assert_eq!(router.route(&named(b"a", 65_535)), to(1, 0, false));
    assert_eq!(router.route(&named(b"b", 1)), to(2, 0, false));
    assert_eq!(router.route(&named(b"a", 0)), to(2, 0, false));
    assert_eq!(router.route(&named(b"a", 2)), to(1, 0, false));
    assert_eq!(router.counters().moved, 2);
}

#[test]
fn a_removed_section_takes_its_ssrcs_along_and_frees_its_payload_types() {
    let mut router = router([section(1, "a", &[media(96)]), section(2, "b", &[media(96)])]);
    let named = PacketIdentity {
        mid: Some(b"a"),
        ..packet(7, 96)
    };
    router.route(&named).unwrap();
    assert!(router.remove(1) && !router.remove(1));
    assert_eq!(router.known_ssrcs(), 0);
    assert_eq!(
        router.route(&packet(7, 96)),
        to(2, 0, false),
        "96 is in one section now"
    );
    router.add(section(3, "a", &[media(96)])).unwrap();
    assert_eq!(router.route(&named), to(3, 0, false));
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let mut router = router([section(1, "a", &[media(96)])]);
    let with = |ssrcs: &[u32]| Section {
        encodings: ssrcs
            .iter()
            .map(|ssrc| Encoding {
                ssrc: Some(*ssrc),
                ..Encoding::default()
            })
            .collect(),
        ..section(2, "b", &[media(96)])
    };
    assert_eq!(
        router.add(section(2, "a", &[])),
        Err(SectionError::Duplicate)
    );
    assert_eq!(
        router.add(section(1, "b", &[])),
        Err(SectionError::Duplicate)
    );
    assert_eq!(
        router.add(section(2, "b", &[media(128)])),
        Err(SectionError::PayloadType(128))
    );
    assert_eq!(
        router.add(simulcast(2, "b", &["q", "q"])),
        Err(SectionError::RidTaken)
    );
    assert_eq!(
        router.add(with(&[5, 6, 5])),
        Err(SectionError::SsrcTaken(5))
    );
    assert_eq!(
        router.add(with(&[1, 2, 3, 4, 5, 6, 7, 8, 9])),
        Err(SectionError::TooMany)
    );
    assert_eq!(
        router.add(with(&(0..17).collect::<Vec<_>>())),
        Err(SectionError::TooMany)
    );
    assert_eq!(router.known_ssrcs(), 0);
    assert_eq!(
        router.route(&packet(7, 96)),
        to(1, 0, false),
        "96 is still in one section"
    );
}

#[test]
fn learnt_ssrcs_are_bounded_and_the_oldest_goes() {
    let mut router = router([section(1, "a", &[media(96)])]);
    for ssrc in 0..20 {
        assert_eq!(router.route(&packet(ssrc, 96)), to(1, 0, false));
    }
    assert_eq!(router.known_ssrcs(), 8);
    assert_eq!(router.counters().evicted, 12);
    assert_eq!(router.route_ssrc(11), None);
    assert!(router.route_ssrc(12).is_some());
    assert!(router.forget(12) && !router.forget(12));
}

#[test]
fn no_more_sections_than_the_limit() {
    let mut router = StreamRouter::<usize>::default();
    let plain = |key| Section {
        key,
        mid: None,
        payload_types: Vec::new(),
        encodings: Vec::new(),
    };
    for key in 0..MAX_SECTIONS {
        router.add(plain(key)).unwrap();
    }
    assert_eq!(router.add(plain(MAX_SECTIONS)), Err(SectionError::TooMany));
    assert!(router.remove(3));
    router.add(plain(MAX_SECTIONS)).unwrap();
}
