//! The packet path without sockets and clock: what `benches/instructions.py` counts with callgrind.
//!
//! `roomtone-packet-path SCENE gcm|cm FRAMES` prints the packets that were forwarded, and what they left in.
//! Two runs with different FRAMES tell the cost of a packet, since what both spend on setting up is taken off. Scenes:
//!
//! - `video:N`, `audio:N`: one publisher to N subscribers that report once a second;
//! - `adaptive:N`: the same video, each subscriber's line estimated by feedback every 75 ms;
//! - `grid:N`: N publishers of three encodings each, each of whom watches nine others.
//!
//! With `hot` or `cold` after it, the median nanoseconds a packet of a frame are printed instead: one frame after another,
//! or with all caches emptied before each, as on a machine that did other things meanwhile.

mod counted;
mod feedback;
mod grid;
mod scene;
mod traffic;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use roomtone_srtp::{MasterKey, Profile, Sealer};

use traffic::{Egress, Traffic};

/// More than the caches of a core hold.
const OTHER_WORK: usize = 64 << 20;

/// A thread that waits for its sockets wakes up no more often.
const LEAST_STEP: Duration = Duration::from_micros(500);

type Failure = Box<dyn std::error::Error>;

/// How the frames are timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timing {
    /// Not at all: callgrind counts.
    None,
    Hot,
    Cold,
}

struct Plan {
    scene: String,
    size: u64,
    profile: Profile,
    frames: u32,
    timing: Timing,
}

impl Plan {
    fn parse(words: &[String]) -> Option<Self> {
        let [scene, profile, frames, timing @ ..] = words else {
            return None;
        };
        let (scene, size) = scene.split_once(':')?;
        Some(Self {
            scene: scene.into(),
            size: size.parse().ok()?,
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

    fn traffic(&self, now: Instant) -> Result<Box<dyn Traffic>, Failure> {
        Ok(match self.scene.as_str() {
            "video" => Box::new(scene::Scene::new(scene::Kind::Video, self.size, now)?),
            "audio" => Box::new(scene::Scene::new(scene::Kind::Audio, self.size, now)?),
            "adaptive" => Box::new(scene::Scene::new(scene::Kind::Adaptive, self.size, now)?),
            "grid" => Box::new(grid::Grid::new(self.size, now)?),
            other => return Err(format!("no scene {other}").into()),
        })
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(plan) = Plan::parse(&words) else {
        eprintln!(
            "roomtone-packet-path video:N|audio:N|adaptive:N|grid:N gcm|cm FRAMES [hot|cold]"
        );
        return ExitCode::from(2);
    };
    match forward(&plan) {
        Ok((egress, _)) if plan.timing == Timing::None => println!("{egress}"),
        Ok((_, nanoseconds)) => println!("{nanoseconds:.0}"),
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Forwards the frames, sealed for each subscriber. What went out, and the median nanoseconds of one packet.
fn forward(plan: &Plan) -> Result<(Egress, f64), Failure> {
    let base = Instant::now();
    let mut traffic = plan.traffic(base)?;
    let sealers = sealers(plan.profile, traffic.transports())?;
    let mut egress = Egress::new(sealers);
    let mut other_work = match plan.timing {
        Timing::Cold => vec![1_u8; OTHER_WORK],
        Timing::None | Timing::Hot => Vec::new(),
    };
    let mut times = Vec::with_capacity(plan.frames as usize);
    for frame in 0..plan.frames {
        for line in other_work.chunks_mut(64) {
            line[0] = line[0].wrapping_add(1);
        }
        let (began, before) = (Instant::now(), egress.packets);
        let now = base + traffic.every() * frame;
        traffic.publish(frame, now)?;
        // Audio waits a little for company, the pacer spreads frames, probes are sent in between.
        let next_frame = now + traffic.every();
        let mut at = now;
        while at < next_frame {
            egress.drain(traffic.as_mut(), at)?;
            let due = traffic.router().next_timeout().unwrap_or(next_frame);
            at = due.max(at + LEAST_STEP);
        }
        times.push(began.elapsed().as_nanos() as f64 / (egress.packets - before).max(1) as f64);
        traffic.report(frame, next_frame)?;
    }
    black_box(&other_work);
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(0.0);
    Ok((egress, median))
}

fn sealers(profile: Profile, count: u64) -> Result<Vec<Sealer>, Failure> {
    let bytes: Vec<u8> = (0..(profile.key_len() + profile.salt_len()) as u8).collect();
    let master = MasterKey::from_concatenated(profile, &bytes)?;
    let sealers = (0..count).map(|_| Sealer::new(profile, &master));
    Ok(sealers.collect::<Result<_, _>>()?)
}
