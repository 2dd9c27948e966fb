//! Prints what sealing and opening one packet costs, by profile and size. Run with `--release`.

use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};
use std::hint::black_box;
use std::time::Instant;

const PACKETS: u32 = 200_000;
const SSRC: [u8; 4] = [1, 2, 3, 4];

fn header(buf: &mut [u8], sequence: u16) {
    buf[..2].copy_from_slice(&[0x80, 96]);
    buf[2..4].copy_from_slice(&sequence.to_be_bytes());
    buf[8..12].copy_from_slice(&SSRC);
}

#[allow(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock; the library never does"
)]
fn nanoseconds_each(mut work: impl FnMut(u16)) -> f64 {
    let start = Instant::now();
    for packet in 0..PACKETS {
        work(packet as u16);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PACKETS)
}

fn main() -> Result<(), roomtone_srtp::SrtpError> {
    println!(
        "{:<24} {:>6} {:>9} {:>9}",
        "profile", "bytes", "seal ns", "open ns"
    );
    for profile in Profile::ALL {
        let bytes: Vec<u8> = (0..(profile.key_len() + profile.salt_len()) as u8).collect();
        let master = MasterKey::from_concatenated(profile, &bytes)?;
        for len in [120, 1100] {
            let mut sealer = Sealer::new(profile, &master)?;
            let mut buf = vec![0_u8; len + profile.rtp_tag_len()];
            let seal = nanoseconds_each(|sequence| {
                header(&mut buf, sequence);
                let _ = black_box(sealer.seal_rtp(black_box(&mut buf), len));
            });
            // Opening needs a fresh packet each time, so sealing is measured along and taken off.
            let mut sealer = Sealer::new(profile, &master)?;
            let mut opener = Opener::new(profile, &master)?;
            let both = nanoseconds_each(|sequence| {
                header(&mut buf, sequence);
                let _ = black_box(sealer.seal_rtp(black_box(&mut buf), len));
                let _ = black_box(opener.open_rtp(black_box(&mut buf)));
            });
            assert_eq!(
                opener.counters().rtp,
                u64::from(PACKETS),
                "every packet was opened"
            );
            println!(
                "{:<24} {len:>6} {seal:>9.0} {:>9.0}",
                profile.sdes_name(),
                both - seal
            );
        }
    }
    Ok(())
}
