//! One publisher, many subscribers, no socket and no clock: what `benches/instructions.py` counts with callgrind.
//!
//! `roomtone-packet-path SUBSCRIBERS video|audio gcm|cm FRAMES` prints the packets that were forwarded. Two runs with
//! different FRAMES tell the cost of a packet, since what both spend on setting up is taken off.

mod scene;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use roomtone_sfu::TransportId;
use roomtone_srtp::{MasterKey, Profile, Sealer, SrtpError};

use scene::{Kind, Scene};

/// Room for what sealing adds.
const SEAL_ROOM: usize = 64;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match words.as_slice() {
        [subscribers, kind, profile, frames] => (|| {
            let kind = match kind.as_str() {
                "video" => Kind::Video,
                "audio" => Kind::Audio,
                _ => return None,
            };
            let profile = match profile.as_str() {
                "gcm" => Profile::AeadAes128Gcm,
                "cm" => Profile::Aes128CmSha1_80,
                _ => return None,
            };
            Some((
                subscribers.parse().ok()?,
                kind,
                profile,
                frames.parse().ok()?,
            ))
        })(),
        _ => None,
    };
    let Some((subscribers, kind, profile, frames)) = parsed else {
        eprintln!("roomtone-packet-path SUBSCRIBERS video|audio gcm|cm FRAMES");
        return ExitCode::from(2);
    };
    match forward(subscribers, kind, profile, frames) {
        Ok(packets) => {
            println!("{packets}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// Forwards `frames` frames, sealed for each subscriber, with a receiver report from each once a second.
fn forward(
    subscribers: u64,
    kind: Kind,
    profile: Profile,
    frames: u32,
) -> Result<u64, Box<dyn std::error::Error>> {
    let base = Instant::now();
    let mut scene = Scene::new(kind, subscribers, base)?;
    let mut sealers = sealers(profile, subscribers)?;
    let mut out = vec![0; 1_600];
    let mut forwarded = 0;
    for frame in 0..frames {
        let now = base + kind.every() * frame;
        scene.publish(frame, now)?;
        // Audio waits a little for company: the burst deadline is over by then.
        for now in [now, now + Duration::from_millis(5)] {
            scene.router.handle_timeout(now);
            while let Some(transport) = scene.router.poll_burst(now) {
                forwarded += drain(&mut scene, &mut sealers, transport, now, &mut out)?;
            }
        }
        if frame % kind.frames_a_second() == kind.frames_a_second() / 2 {
            scene.report(now)?;
        }
        while scene.router.poll_event().is_some() {}
    }
    Ok(forwarded)
}

fn drain(
    scene: &mut Scene,
    sealers: &mut [Sealer],
    transport: TransportId,
    now: Instant,
    out: &mut [u8],
) -> Result<u64, SrtpError> {
    let room = out.len() - SEAL_ROOM;
    let sealer = &mut sealers[transport.0 as usize];
    let mut forwarded = 0;
    while let Some(packet) = scene.router.write_packet(transport, now, &mut out[..room]) {
        let len = if packet.rtcp {
            sealer.seal_rtcp(out, packet.len)?
        } else {
            forwarded += 1;
            sealer.seal_rtp(out, packet.len)?
        };
        black_box(&out[..len]);
    }
    Ok(forwarded)
}

/// One for each transport, the publisher's first.
fn sealers(profile: Profile, subscribers: u64) -> Result<Vec<Sealer>, SrtpError> {
    let bytes: Vec<u8> = (0..(profile.key_len() + profile.salt_len()) as u8).collect();
    let master = MasterKey::from_concatenated(profile, &bytes)?;
    (0..=subscribers)
        .map(|_| Sealer::new(profile, &master))
        .collect()
}
