//! What sealing and opening promise, for every profile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use roomtone_srtp::{
    MasterKey, OPENER_STREAMS, Opener, PREVIOUS_KEY_PACKETS, Profile, Repeats, Sealer, SrtpError,
};

const SSRC: u32 = 0x0102_0304;

fn master(profile: Profile, seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..profile.key_len() + profile.salt_len())
        .map(|at| (at as u8).wrapping_mul(29).wrapping_add(seed))
        .collect();
    MasterKey::from_concatenated(profile, &bytes).unwrap()
}

fn pair(profile: Profile) -> (Sealer, Opener) {
    let master = master(profile, 7);
    (
        Sealer::new(profile, &master).unwrap(),
        Opener::new(profile, &master).unwrap(),
    )
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn rtcp(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn seal(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + sealer.profile().rtp_tag_len(), 0);
    let len = sealer.seal_rtp(&mut buf, packet.len()).unwrap();
    assert_eq!(len, buf.len());
    buf
}

fn seal_rtcp(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + sealer.profile().rtcp_overhead(), 0);
    let len = sealer.seal_rtcp(&mut buf, packet.len()).unwrap();
    assert_eq!(len, buf.len());
    buf
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = sealed.to_vec();
    let len = opener.open_rtp(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

fn open_rtcp(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = sealed.to_vec();
    let len = opener.open_rtcp(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

#[test]
fn packets_survive_with_every_profile() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener) = pair(profile);
        for payload in [&b""[..], b"x", b"seventeen bytes!!", &[0xab; 1100]] {
            let plain = rtp(SSRC, payload.len() as u16, payload);
            let sealed = seal(&mut sealer, &plain);
            assert_eq!(sealed[..12], plain[..12]);
            assert!(payload.len() < 17 || sealed[12..29] != plain[12..29]);
            assert_eq!(open(&mut opener, &sealed), Ok(plain));
            let plain = rtcp(payload);
            let sealed = seal_rtcp(&mut sealer, &plain);
            assert_eq!(open_rtcp(&mut opener, &sealed), Ok(plain));
        }
        assert_eq!((sealer.counters().rtp, opener.counters().rtcp), (4, 4));
    }
}

#[test]
fn a_packet_is_opened_once() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = seal(&mut sealer, &rtp(SSRC, 9, b"once"));
        let control = seal_rtcp(&mut sealer, &rtcp(b"once"));
        open(&mut opener, &sealed).unwrap();
        open_rtcp(&mut opener, &control).unwrap();
        assert_eq!(open(&mut opener, &sealed), Err(SrtpError::Replayed));
        assert_eq!(open_rtcp(&mut opener, &control), Err(SrtpError::Replayed));
        assert_eq!(opener.counters().replayed, 2);
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = seal(&mut sealer, &rtp(SSRC, 9, b"payload"));
        let control = seal_rtcp(&mut sealer, &rtcp(b"payload"));
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&mut opener, &changed).is_err(),
                "{profile:?} bit {bit}"
            );
        }
        for bit in 0..control.len() * 8 {
            let mut changed = control.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open_rtcp(&mut opener, &changed).is_err(),
                "{profile:?} bit {bit}"
            );
        }
        assert!(opener.counters().forged > 100);
        assert_eq!((opener.counters().rtp, opener.counters().rtcp), (0, 0));
        assert!(
            open(&mut opener, &sealed).is_ok(),
            "forgeries leave no trace"
        );
        assert!(open_rtcp(&mut opener, &control).is_ok());
    }
}

#[test]
fn rollover_is_followed_through_loss_and_reordering() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
        let (mut sealer, mut opener) = pair(profile);
        let packet = |sequence: u16| rtp(SSRC, sequence, &sequence.to_be_bytes());
        let sealed: Vec<_> = (0..6_u16)
            .map(|step| packet(65_530_u16.wrapping_add(step * 4)))
            .map(|plain| (seal(&mut sealer, &plain), plain))
            .collect();
        let late_plain = packet(65_533);
        let late = seal(&mut sealer, &late_plain);
        for at in [0, 1, 3, 2, 5] {
            assert_eq!(open(&mut opener, &sealed[at].0), Ok(sealed[at].1.clone()));
        }
        assert_eq!(
            open(&mut opener, &late),
            Ok(late_plain),
            "sealed after the wrap"
        );
        // Three times around.
        for sequence in (0..3_u32 * 65_536 + 100).step_by(3000) {
            let plain = packet((sequence + 20) as u16);
            let sealed = seal(&mut sealer, &plain);
            assert_eq!(open(&mut opener, &sealed), Ok(plain));
        }
    }
}

#[test]
fn a_stream_whose_beginning_was_lost_at_the_wrap_is_opened() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener) = pair(profile);
        seal(&mut sealer, &rtp(SSRC, 65_535, b"lost"));
        let plain = rtp(SSRC, 2, b"first to arrive");
        let sealed = seal(&mut sealer, &plain);
        assert_eq!(open(&mut opener, &sealed), Ok(plain));
    }
}

#[test]
fn a_given_rollover_counter_joins_a_running_stream() {
    let profile = Profile::AeadAes128Gcm;
    let (mut sealer, mut opener) = pair(profile);
    sealer.set_rollover(SSRC, 70_000).unwrap();
    let plain = rtp(SSRC, 40_000, b"late joiner");
    let sealed = seal(&mut sealer, &plain);
    assert_eq!(open(&mut opener, &sealed), Err(SrtpError::Forged));
    opener.set_rollover(SSRC, 70_000).unwrap();
    assert_eq!(open(&mut opener, &sealed), Ok(plain));
}

#[test]
fn the_last_index_is_the_last() {
    let (mut sealer, _) = pair(Profile::Aes128CmSha1_80);
    sealer.set_rollover(SSRC, u32::MAX).unwrap();
    seal(&mut sealer, &rtp(SSRC, 65_535, b"last"));
    let mut buf = [0; 64];
    buf[..12].copy_from_slice(&rtp(SSRC, 0, b""));
    assert_eq!(sealer.seal_rtp(&mut buf, 12), Err(SrtpError::KeyExhausted));
    sealer.set_rtcp_index(1 << 31);
    assert_eq!(sealer.seal_rtcp(&mut buf, 12), Err(SrtpError::KeyExhausted));
    assert_eq!(sealer.counters().exhausted, 2);
}

#[test]
fn gcm_refuses_to_seal_an_index_twice_and_counter_mode_does_not() {
    let (mut sealer, _) = pair(Profile::AeadAes128Gcm);
    let packet = rtp(SSRC, 5, b"again");
    let once = seal(&mut sealer, &packet);
    let mut buf = [packet.clone(), vec![0; 16]].concat();
    assert_eq!(
        sealer.seal_rtp(&mut buf, packet.len()),
        Err(SrtpError::IndexReused)
    );
    assert_eq!(sealer.counters().index_reused, 1);
    assert_eq!(
        buf[..packet.len()],
        packet,
        "a refused packet is left alone"
    );
    sealer.set_repeats(Repeats::Allow);
    assert_eq!(seal(&mut sealer, &packet), once);
    let (mut sealer, _) = pair(Profile::Aes128CmSha1_80);
    assert_eq!(seal(&mut sealer, &packet), seal(&mut sealer, &packet));
}

#[test]
fn old_packets_are_refused_and_late_ones_are_not() {
    let (mut sealer, mut opener) = pair(Profile::Aes128CmSha1_80);
    let late = seal(&mut sealer, &rtp(SSRC, 3000, b"late"));
    let old = seal(&mut sealer, &rtp(SSRC, 1, b"old"));
    let new = seal(&mut sealer, &rtp(SSRC, 3900, b"new"));
    open(&mut opener, &new).unwrap();
    assert!(open(&mut opener, &late).is_ok());
    assert_eq!(open(&mut opener, &old), Err(SrtpError::TooOld));
    assert_eq!(opener.counters().too_old, 1);
}

#[test]
fn a_new_key_takes_over_while_old_packets_still_arrive() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener) = pair(profile);
        let old = seal(&mut sealer, &rtp(SSRC, 10, b"under the old key"));
        let older = seal(&mut sealer, &rtp(SSRC, 9, b"never opened"));
        let control = seal_rtcp(&mut sealer, &rtcp(b"old"));
        sealer.rekey(&master(profile, 99)).unwrap();
        opener.rekey(&master(profile, 99)).unwrap();
        let new = seal(&mut sealer, &rtp(SSRC, 11, b"under the new one"));
        assert!(open(&mut opener, &new).is_ok());
        assert!(open(&mut opener, &old).is_ok());
        assert!(open_rtcp(&mut opener, &control).is_ok());
        assert_eq!(opener.counters().previous_key, 2);
        for sequence in 0..PREVIOUS_KEY_PACKETS {
            let sealed = seal(&mut sealer, &rtp(SSRC + 1, sequence as u16, b"x"));
            open(&mut opener, &sealed).unwrap();
        }
        assert_eq!(
            open(&mut opener, &older),
            Err(SrtpError::Forged),
            "{profile:?}"
        );
    }
}

/// Puts a key identifier into a sealed packet: before the tag with counter mode (RFC 3711
/// section 3.1), at the very end with GCM (RFC 7714 section 8.2, 9.2).
fn with_mki(profile: Profile, tag_len: usize, sealed: &[u8], mki: &[u8]) -> Vec<u8> {
    let at = if profile.is_aead() {
        sealed.len()
    } else {
        sealed.len() - tag_len
    };
    [&sealed[..at], mki, &sealed[at..]].concat()
}

#[test]
fn key_identifiers_choose_the_key() {
    for profile in Profile::ALL {
        let (first, second) = (master(profile, 1), master(profile, 2));
        let mut opener = Opener::with_mki(profile, &first, &[0, 1]).unwrap();
        opener.rekey_with_mki(&second, &[0, 2]).unwrap();
        let mut sealers = [
            Sealer::new(profile, &first).unwrap(),
            Sealer::new(profile, &second).unwrap(),
        ];
        for (sequence, mki) in [(1, [0, 1]), (2, [0, 2]), (3, [0, 1])] {
            let sealer = &mut sealers[usize::from(mki[1]) - 1];
            let plain = rtp(SSRC, sequence, b"payload");
            let sealed = seal(sealer, &plain);
            let marked = with_mki(profile, profile.rtp_tag_len(), &sealed, &mki);
            assert_eq!(open(&mut opener, &marked), Ok(plain));
            let plain = rtcp(b"payload");
            sealer.set_rtcp_index(u32::from(sequence));
            let sealed = seal_rtcp(sealer, &plain);
            let marked = with_mki(profile, profile.rtcp_tag_len(), &sealed, &mki);
            assert_eq!(open_rtcp(&mut opener, &marked), Ok(plain));
        }
        let sealed = seal(&mut sealers[0], &rtp(SSRC, 4, b"payload"));
        let unknown = with_mki(profile, profile.rtp_tag_len(), &sealed, &[0, 3]);
        assert_eq!(open(&mut opener, &unknown), Err(SrtpError::UnknownMki));
        assert_eq!(opener.counters().unknown_mki, 1);
        assert_eq!(opener.rekey(&first), Err(SrtpError::MkiLength));
    }
}

#[test]
fn streams_are_limited_and_given_back() {
    let (mut sealer, mut opener) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..OPENER_STREAMS as u32 {
        let sealed = seal(&mut sealer, &rtp(ssrc.reverse_bits(), 1, b"x"));
        open(&mut opener, &sealed).unwrap();
    }
    let one_more = seal(&mut sealer, &rtp(0xffff_ffff, 1, b"x"));
    assert_eq!(open(&mut opener, &one_more), Err(SrtpError::TooManyStreams));
    assert_eq!(opener.counters().too_many_streams, 1);
    let known = seal(&mut sealer, &rtp(0, 2, b"x"));
    assert!(open(&mut opener, &known).is_ok());
    opener.forget(0);
    assert!(open(&mut opener, &one_more).is_ok());
}

#[test]
fn buffers_without_space_and_broken_packets_are_refused() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener) = pair(profile);
        let packet = rtp(SSRC, 1, b"payload");
        let mut tight = packet.clone();
        let full = Err(SrtpError::NoSpace {
            space: packet.len(),
            need: packet.len() + profile.rtp_tag_len(),
        });
        assert_eq!(sealer.seal_rtp(&mut tight, packet.len()), full);
        assert!(matches!(
            sealer.seal_rtp(&mut tight, 100),
            Err(SrtpError::NoSpace { .. })
        ));
        assert!(matches!(
            sealer.seal_rtp(&mut [0x80; 40], 5),
            Err(SrtpError::TooShort { .. })
        ));
        assert!(matches!(
            sealer.seal_rtcp(&mut [0x80; 40], 5),
            Err(SrtpError::TooShort { .. })
        ));
        assert_eq!(sealer.seal_rtp(&mut [0; 40], 20), Err(SrtpError::NotRtp));
        assert_eq!(sealer.counters().malformed, 5);
        let sealed = seal(&mut sealer, &packet);
        let control = seal_rtcp(&mut sealer, &rtcp(b""));
        for len in 0..sealed.len() {
            assert!(open(&mut opener, &sealed[..len]).is_err());
        }
        for len in 0..control.len() {
            assert!(open_rtcp(&mut opener, &control[..len]).is_err());
        }
        assert!(opener.counters().malformed > 0);
    }
}

#[test]
fn unencrypted_but_authenticated_rtcp_is_opened() {
    // RFC 7714 section 17.2 gives session keys only, so the sealed form is made here with the
    // index word's top bit clear: HMAC over everything, and no encryption.
    use aws_lc_rs::hmac;
    let profile = Profile::Aes128CmSha1_80;
    let key = MasterKey::new(
        vec![
            0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde,
            0x41, 0x39,
        ],
        vec![
            0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
        ],
    );
    // The RTCP authentication key of that master key, label 4.
    let mut iv = [0_u8; 16];
    iv[..14].copy_from_slice(&[
        0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
    ]);
    iv[7] ^= 4;
    let unbound = aws_lc_rs::cipher::UnboundCipherKey::new(
        &aws_lc_rs::cipher::AES_128,
        &[
            0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde,
            0x41, 0x39,
        ],
    )
    .unwrap();
    let mut auth = [0; 20];
    let context = aws_lc_rs::cipher::EncryptionContext::Iv128(iv.into());
    aws_lc_rs::cipher::EncryptingKey::ctr(unbound)
        .unwrap()
        .less_safe_encrypt(&mut auth, context)
        .unwrap();
    let plain = rtcp(b"clear");
    let mut sealed = plain.clone();
    sealed.extend_from_slice(&[0, 0, 0, 9]);
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
        &sealed,
    );
    sealed.extend_from_slice(&tag.as_ref()[..10]);
    let mut opener = Opener::new(profile, &key).unwrap();
    assert_eq!(open_rtcp(&mut opener, &sealed), Ok(plain));
}

proptest! {
    #[test]
    fn any_bytes_are_opened_or_refused(
        packet in prop::collection::vec(any::<u8>(), 0..120),
        sequence: u16,
    ) {
        for profile in Profile::ALL {
            let (mut sealer, mut opener) = pair(profile);
            open(&mut opener, &seal(&mut sealer, &rtp(SSRC, sequence, b"x"))).unwrap();
            prop_assert!(open(&mut opener, &packet).is_err());
            prop_assert!(open_rtcp(&mut opener, &packet).is_err());
            let mut rtp_like = packet.clone();
            if let Some(first) = rtp_like.first_mut() {
                *first = 0x80 | *first & 0x3f;
            }
            prop_assert!(open(&mut opener, &rtp_like).is_err());
        }
    }

    #[test]
    fn any_packet_comes_back_with_every_profile(
        sources in 0_usize..16,
        extension in prop::option::of(0_usize..8),
        marker_and_type: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        payload in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut plain = vec![
            0x80 | u8::from(extension.is_some()) << 4 | sources as u8,
            marker_and_type,
        ];
        plain.extend_from_slice(&sequence.to_be_bytes());
        plain.extend_from_slice(&timestamp.to_be_bytes());
        plain.extend_from_slice(&ssrc.to_be_bytes());
        plain.extend((0..4 * sources).map(|at| at as u8));
        if let Some(words) = extension {
            plain.extend_from_slice(&[0xbe, 0xde, 0, words as u8]);
            plain.extend((0..4 * words).map(|at| at as u8));
        }
        let header_len = plain.len();
        plain.extend_from_slice(&payload);
        let control = rtcp(&payload);
        for profile in Profile::ALL {
            let (mut sealer, mut opener) = pair(profile);
            let sealed = seal(&mut sealer, &plain);
            prop_assert_eq!(&sealed[..header_len], &plain[..header_len]);
            prop_assert!(payload.len() < 16 || sealed[header_len..plain.len()] != plain[header_len..]);
            prop_assert_eq!(open(&mut opener, &sealed), Ok(plain.clone()));
            let sealed = seal_rtcp(&mut sealer, &control);
            prop_assert_eq!(open_rtcp(&mut opener, &sealed), Ok(control.clone()));
        }
    }

    #[test]
    fn any_packet_order_within_the_window_is_opened(
        first: u16,
        order in Just((0_u16..200).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        // Sealed in order as an encoder does, opened in any order.
        let first = first % 0x7000 + 0x400;
        let (mut sealer, mut opener) = pair(Profile::AeadAes128Gcm);
        let plain: Vec<_> = (0..200)
            .map(|step| rtp(SSRC, first + step, &step.to_be_bytes()))
            .collect();
        let sealed: Vec<_> = plain.iter().map(|packet| seal(&mut sealer, packet)).collect();
        for at in order {
            let at = usize::from(at);
            prop_assert_eq!(open(&mut opener, &sealed[at]), Ok(plain[at].clone()));
        }
    }
}
