//! Invariant: without the key nobody makes a packet that opens; whatever arrives is an error and
//! a counter, and the genuine packet still opens after it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};

const PLAIN: [u8; 20] = [
    0x80, 96, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, b'g', b'e', b'n', b'u', b'i', b'n', b'e', b'!',
];

fuzz_target!(|input: &[u8]| {
    let Some((&choice, packet)) = input.split_first() else {
        return;
    };
    let profile = Profile::ALL[usize::from(choice) % Profile::ALL.len()];
    let master = MasterKey::new(vec![1; profile.key_len()], vec![2; profile.salt_len()]);
    let mut sealer = Sealer::new(profile, &master).expect("lengths of the profile");
    let mut opener = if choice & 0x80 == 0 {
        Opener::new(profile, &master)
    } else {
        Opener::with_mki(profile, &master, &[9])
    }
    .expect("lengths of the profile");
    if choice & 0x40 != 0 && choice & 0x80 == 0 {
        opener.rekey(&master).expect("lengths of the profile");
    }
    let opened = opener.open_rtp(&mut packet.to_vec());
    // A tag of 32 bits can be hit by luck in a long run.
    if opened.is_ok() && profile.rtp_tag_len() < 10 {
        return;
    }
    assert!(opened.is_err());
    assert!(opener.open_rtcp(&mut packet.to_vec()).is_err());
    assert_eq!(opener.counters().rtp + opener.counters().rtcp, 0);

    // Sealing what the peer sent must not fail by panicking either.
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + profile.rtcp_overhead(), 0);
    let _ = sealer.seal_rtp(&mut buf, packet.len());

    if choice & 0x80 == 0 {
        let mut sealer = Sealer::new(profile, &master).expect("lengths of the profile");
        let mut genuine = [0; PLAIN.len() + 16];
        genuine[..PLAIN.len()].copy_from_slice(&PLAIN);
        let len = sealer
            .seal_rtp(&mut genuine, PLAIN.len())
            .expect("a plain packet");
        assert_eq!(opener.open_rtp(&mut genuine[..len]), Ok(PLAIN.len()));
        assert_eq!(genuine[..PLAIN.len()], PLAIN);
    }
});
