//! One publisher, many subscribers, no socket and no clock: what `benches/instructions.py` counts with callgrind.
//!
//! `roomtone-packet-path SUBSCRIBERS video|audio gcm|cm FRAMES` prints the packets that were forwarded. Two runs with
//! different FRAMES tell the cost of a packet, since what both spend on setting up is taken off.
//!
//! With `hot` or `cold` after it, the median nanoseconds a packet of a frame are printed instead: one frame after another,
//! or with all caches emptied before each, as on a machine that did other things meanwhile.

mod scene;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use roomtone_sfu::TransportId;
use roomtone_srtp::{MasterKey, Profile, Sealer, SrtpError};

use scene::{Kind, Scene};

/// More than the caches of a core hold.
const OTHER_WORK: usize = 64 << 20;
/// Room for what sealing adds.
const SEAL_ROOM: usize = 64;

/// How the frames are timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timing {
    /// Not at all: callgrind counts.
    None,
    Hot,
    Cold,
}

struct Plan {
    subscribers: u64,
    kind: Kind,
    profile: Profile,
    frames: u32,
    timing: Timing,
}

impl Plan {
    fn parse(words: &[String]) -> Option<Self> {
        let [subscribers, kind, profile, frames, timing @ ..] = words else {
            return None;
        };
        Some(Self {
            subscribers: subscribers.parse().ok()?,
            kind: match kind.as_str() {
                "video" => Kind::Video,
                "audio" => Kind::Audio,
                _ => return None,
            },
            profile: match profile.as_str() {
                "gcm" => Profile::AeadAes128Gcm,
                "cm" => Profile::Aes128CmSha1_80,
                _ => return None,
            },
            frames: frames.parse().ok()?,
            timing: match timing {
                [] => Timing::None,
                [word] if word == "hot" => Timing::Hot,
                [word] if word == "cold" => Timing::Cold,
                _ => return None,
            },
        })
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(plan) = Plan::parse(&words) else {
        eprintln!("roomtone-packet-path SUBSCRIBERS video|audio gcm|cm FRAMES [hot|cold]");
        return ExitCode::from(2);
    };
    match forward(&plan) {
        Ok((packets, _)) if plan.timing == Timing::None => println!("{packets}"),
        Ok((_, nanoseconds)) => println!("{nanoseconds:.0}"),
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Forwards the frames, sealed for each subscriber, with a receiver report from each once a second. How many packets went
/// out, and the median nanoseconds of one.
fn forward(plan: &Plan) -> Result<(u64, f64), Box<dyn std::error::Error>> {
    let base = Instant::now();
    let kind = plan.kind;
    let mut scene = Scene::new(kind, plan.subscribers, base)?;
    let mut sealers = sealers(plan.profile, plan.subscribers)?;
    let mut out = vec![0; 1_600];
    let mut other_work = match plan.timing {
        Timing::Cold => vec![1_u8; OTHER_WORK],
        Timing::None | Timing::Hot => Vec::new(),
    };
    let mut forwarded = 0;
    let mut times = Vec::with_capacity(plan.frames as usize);
    for frame in 0..plan.frames {
        for line in other_work.chunks_mut(64) {
            line[0] = line[0].wrapping_add(1);
        }
        let (began, before) = (Instant::now(), forwarded);
        let now = base + kind.every() * frame;
        scene.publish(frame, now)?;
        // Audio waits a little for company: the burst deadline is over by then.
        for now in [now, now + Duration::from_millis(5)] {
            scene.router.handle_timeout(now);
            while let Some(transport) = scene.router.poll_burst(now) {
                forwarded += drain(&mut scene, &mut sealers, transport, now, &mut out)?;
            }
        }
        times.push(began.elapsed().as_nanos() as f64 / (forwarded - before).max(1) as f64);
        if frame % kind.frames_a_second() == kind.frames_a_second() / 2 {
            scene.report(now)?;
        }
        while scene.router.poll_event().is_some() {}
    }
    black_box(&other_work);
    times.sort_by(f64::total_cmp);
    Ok((
        forwarded,
        times.get(times.len() / 2).copied().unwrap_or(0.0),
    ))
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
