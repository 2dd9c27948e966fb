//! Published test vectors. Those that give session keys instead of a master key are why this
//! stands inside the crate.

use crate::cipher::{GcmCipher, Position, SessionCipher};
use crate::key::SessionMaterial;
use crate::{MasterKey, Opener, Profile, Sealer, SrtpError};
use hex_literal::hex;
use zeroize::Zeroizing;

fn gcm(profile: Profile, key: &[u8]) -> GcmCipher {
    let material = SessionMaterial {
        cipher: Zeroizing::new(key.to_vec()),
        auth: Zeroizing::new(Vec::new()),
        salt: Zeroizing::new(b"Quid pro quo".to_vec()),
    };
    match SessionCipher::new(profile, &material, 16).unwrap() {
        SessionCipher::Gcm(gcm) => gcm,
        SessionCipher::Signed(_) => panic!("not a GCM profile"),
    }
}

const RTP_HEADER: [u8; 12] = hex!("8040f17b8041f8d35501a0b2");
const RTP_AT: Position = Position {
    ssrc: 0x5501_a0b2,
    index: 0xf17b,
};
const RTCP_HEADER: [u8; 8] = hex!("81c8000d4d617273");
const RTCP_BODY: [u8; 44] = hex!(
    "4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
);
const RTCP_AT: Position = Position {
    ssrc: 0x4d61_7273,
    index: 0x5d4,
};

fn check_gcm(cipher: &GcmCipher, at: Position, aad: &[u8], plain: &[u8], sealed: &[u8]) {
    let mut buf = plain.to_vec();
    let mut tag = [0; 16];
    cipher.seal(at, aad, &mut buf, &mut tag).unwrap();
    buf.extend_from_slice(&tag);
    assert_eq!(buf, sealed);
    let mut spoilt = buf.clone();
    spoilt[0] ^= 1;
    let before = spoilt.clone();
    let mut scratch = Vec::new();
    assert_eq!(
        cipher.open(at, aad, &mut spoilt, Some(&mut scratch)),
        Err(SrtpError::Forged)
    );
    assert_eq!(spoilt, before, "a try with a scratch buffer spoils nothing");
    assert_eq!(
        cipher.open(at, aad, &mut spoilt, None),
        Err(SrtpError::Forged)
    );
    cipher.open(at, aad, &mut buf, None).unwrap();
    assert_eq!(&buf[..plain.len()], plain);
}

#[test]
fn aes_128_gcm_of_rfc_7714_16_1() {
    check_gcm(
        &gcm(
            Profile::AeadAes128Gcm,
            &hex!("000102030405060708090a0b0c0d0e0f"),
        ),
        RTP_AT,
        &RTP_HEADER,
        b"Gallia est omnis divisa in partes tres",
        &hex!(
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
            "899d7f27beb16a9152cf765ee4390cce"
        ),
    );
}

#[test]
fn aes_256_gcm_of_rfc_7714_16_2() {
    check_gcm(
        &gcm(
            Profile::AeadAes256Gcm,
            &hex!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
        ),
        RTP_AT,
        &RTP_HEADER,
        b"Gallia est omnis divisa in partes tres",
        &hex!(
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
            "7aa3db36dfffd6b0f9bb7878d7a76c13"
        ),
    );
}

#[test]
fn aes_128_gcm_rtcp_of_rfc_7714_17_1() {
    let aad = [&RTCP_HEADER[..], &hex!("800005d4")].concat();
    check_gcm(
        &gcm(
            Profile::AeadAes128Gcm,
            &hex!("000102030405060708090a0b0c0d0e0f"),
        ),
        RTCP_AT,
        &aad,
        &RTCP_BODY,
        &hex!(
            "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded"
            "0bb9275bc84aa45896cf4d2fc5abf87245d9eade"
        ),
    );
}

/// The validation vectors of libsrtp's `srtp_driver.c`: whole packets from a master key.
#[test]
fn whole_packets_as_libsrtp_makes_them() {
    let master = MasterKey::new(
        hex!("e1f97a0d3e018be0d64fa32c06de4139").to_vec(),
        hex!("0ec675ad498afeebb6960b3aabe6").to_vec(),
    );
    let profile = Profile::Aes128CmSha1_80;
    let rtp = hex!("800f1234decafbadcafebabeabababababababababababababababab");
    let srtp = hex!("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    let rtcp = hex!("81c8000bcafebabeabababababababababababababababab");
    let srtcp =
        hex!("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
    let mut sealer = Sealer::new(profile, &master).unwrap();
    let mut buf = [0; 64];
    buf[..rtp.len()].copy_from_slice(&rtp);
    let len = sealer.seal_rtp(&mut buf, rtp.len()).unwrap();
    assert_eq!(buf[..len], srtp);
    sealer.set_rtcp_index(1);
    buf[..rtcp.len()].copy_from_slice(&rtcp);
    let len = sealer.seal_rtcp(&mut buf, rtcp.len()).unwrap();
    assert_eq!(buf[..len], srtcp);

    let mut opener = Opener::new(profile, &master).unwrap();
    let mut packet = srtp;
    assert_eq!(opener.open_rtp(&mut packet), Ok(rtp.len()));
    assert_eq!(packet[..rtp.len()], rtp);
    let mut packet = srtcp;
    assert_eq!(opener.open_rtcp(&mut packet), Ok(rtcp.len()));
    assert_eq!(packet[..rtcp.len()], rtcp);
}

#[test]
fn aes_256_gcm_rtcp_of_rfc_7714_17_2() {
    let aad = [&RTCP_HEADER[..], &hex!("800005d4")].concat();
    check_gcm(
        &gcm(Profile::AeadAes256Gcm, &COUNTED_KEY),
        RTCP_AT,
        &aad,
        &RTCP_BODY,
        &hex!(
            "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad"
            "1d1eb30c4446839f57ff6f6cb26ac3be"
        ),
    );
}

#[test]
fn tags_of_rtcp_in_clear_of_rfc_7714_17_3_and_17_4() {
    let aad = [&RTCP_HEADER[..], &RTCP_BODY, &hex!("000005d4")].concat();
    for (profile, tag) in [
        (
            Profile::AeadAes128Gcm,
            hex!("841dd9683dd78ec92ae58790125f62b3"),
        ),
        (
            Profile::AeadAes256Gcm,
            hex!("91db4afbfeee5a978fab4393ed2615fe"),
        ),
    ] {
        let cipher = gcm(profile, &COUNTED_KEY[..profile.key_len()]);
        check_tag(&cipher, &aad, &tag);
    }
}

const COUNTED_KEY: [u8; 32] =
    hex!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

fn check_tag(cipher: &GcmCipher, aad: &[u8], expected: &[u8; 16]) {
    let mut tag = [0; 16];
    cipher.seal(RTCP_AT, aad, &mut [], &mut tag).unwrap();
    assert_eq!(tag, *expected);
    let mut received = tag;
    cipher.open(RTCP_AT, aad, &mut received, None).unwrap();
    received[0] ^= 1;
    let forged = cipher.open(RTCP_AT, aad, &mut received, None);
    assert_eq!(forged, Err(SrtpError::Forged));
}

/// The packet of RFC 7714 section 17 as libsrtp (by pylibsrtp 1.0) seals it first, with a master key and salt of
/// the bytes 0, 1, 2...: the suites of AES-256 in counter mode have no published vector of SRTCP. It has
/// no f8 mode, and no AES-192 as RFC 6188 has it (its issue 763).
#[test]
fn the_first_srtcp_of_its_suites_as_libsrtp_makes_it() {
    let sealed_128 = &hex!(
        "c666ce0c636833f9066526b242e6797c1d139f0b7b12286476f6f89d6a7d8db1bb875572c035140f2aad0cdb"
        "800000012ab80b533d4d35a9d013"
    )[..];
    let sealed_256 = &hex!(
        "87fdc7cc2b9daf8278255352e696f95822302791c1a6a503b77743c33d38b449f6fc9313715d3ae1cdfa923f"
        "80000001a2b968de77163dd1bbd4"
    )[..];
    let gcm_128 = &hex!(
        "fe267afb490b985fab1931bd34e3a5f905dc7035b312eae6ce87994c807ac53f21ea3d73aef10fb55a0b8bbb"
        "c100de0a042c3e927cd8ca6ddf4860cf80000001"
    )[..];
    let gcm_256 = &hex!(
        "19e72ec348c9d0d1a730ce6c5e876efac218c2c137777ece2882a879842efee37e25b735c3b5ecb1a2b68877"
        "6517e942cedfe90295ab011403a1872880000001"
    )[..];
    for (profile, sealed) in [
        (Profile::Aes128CmSha1_80, sealed_128),
        // With a tag of 80 bits on RTCP all the same (RFC 6188 section 3, RFC 4568 section 6.2.2).
        (Profile::Aes128CmSha1_32, sealed_128),
        (Profile::Aes256CmSha1_80, sealed_256),
        (Profile::Aes256CmSha1_32, sealed_256),
        (Profile::AeadAes128Gcm, gcm_128),
        (Profile::AeadAes256Gcm, gcm_256),
    ] {
        let len = profile.key_len() + profile.salt_len();
        let counted: Vec<u8> = (0..len as u8).collect();
        let master = MasterKey::from_concatenated(profile, &counted).unwrap();
        let plain = [&RTCP_HEADER[..], &RTCP_BODY].concat();
        let sealed = [&RTCP_HEADER[..], sealed].concat();
        let mut sealer = Sealer::new(profile, &master).unwrap();
        sealer.set_rtcp_index(1);
        let mut buf = plain.clone();
        buf.resize(sealed.len(), 0);
        assert_eq!(sealer.seal_rtcp(&mut buf, plain.len()), Ok(sealed.len()));
        assert_eq!(buf, sealed, "{profile:?}");
        let mut opener = Opener::new(profile, &master).unwrap();
        let mut forged = sealed.clone();
        forged[20] ^= 1;
        assert_eq!(opener.open_rtcp(&mut forged), Err(SrtpError::Forged));
        assert_eq!(opener.open_rtcp(&mut buf), Ok(plain.len()));
        assert_eq!(buf[..plain.len()], plain);
        let mut again = sealed;
        assert_eq!(opener.open_rtcp(&mut again), Err(SrtpError::Replayed));
    }
}
