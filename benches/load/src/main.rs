//! One publisher and many viewers against any WHIP and WHEP server on loopback. Prints one JSON line: what the server
//! spent per packet it sent, what the viewers missed, and what each viewer costs in memory.

mod arguments;
mod counter_mode;
mod http;
mod peer;
mod poll;
mod publisher;
mod receive;
mod server_cost;
mod traffic;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use arguments::{Arguments, USAGE};
use peer::{Joining, Peer, Seen};
use poll::wait;
use publisher::Publisher;
use receive::SPACE;
use traffic::{Shape, TILES};

#[derive(Serialize)]
struct Outcome {
    server: String,
    shape: String,
    packet: usize,
    viewers: usize,
    seconds: f64,
    in_packets: u64,
    out_packets: u64,
    lost_packets: u64,
    silent_viewers: usize,
    decrypted_packets: u64,
    mbit_s_out: f64,
    cpu_s: f64,
    cpu_us_per_packet: f64,
    join_cpu_ms_per_viewer: f64,
    memory_kb_per_viewer: f64,
    failures: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(e) => {
            eprintln!("{e}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(outcome) => {
            println!(
                "{}",
                serde_json::to_string(&outcome).expect("numbers and strings serialise")
            );
            if outcome.out_packets == 0 || !outcome.failures.is_empty() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Outcome, String> {
    let video = arguments.load.shape != Shape::AudioOnly;
    let publisher = Publisher::start(join_sources(arguments)?, arguments.load);
    std::thread::sleep(Duration::from_millis(500));

    let before = server_cost::of_tree(arguments.pid);
    let mut viewers = join_viewers(arguments)?;
    let joined = server_cost::of_tree(arguments.pid);
    drive_for(&mut viewers, Duration::from_secs(arguments.warm));

    let old: Vec<HashMap<u32, Seen>> = viewers.iter().map(|viewer| viewer.seen.clone()).collect();
    let (sent, begun, start) = (
        publisher.sent.load(Ordering::Relaxed),
        Instant::now(),
        server_cost::of_tree(arguments.pid),
    );
    drive_for(&mut viewers, Duration::from_secs(arguments.seconds));
    let (sent, wall) = (
        publisher.sent.load(Ordering::Relaxed) - sent,
        begun.elapsed().as_secs_f64(),
    );
    let end = server_cost::of_tree(arguments.pid);

    let (mut got, mut expected, mut bytes, mut silent) = (0, 0, 0, 0);
    for (viewer, old) in viewers.iter().zip(&old) {
        let mut mine = 0;
        for (ssrc, seen) in &viewer.seen {
            let before = old.get(ssrc).copied().unwrap_or_default();
            mine += seen.got - before.got;
            expected += seen.expected_since(&before);
            bytes += seen.bytes - before.bytes;
        }
        got += mine;
        silent += usize::from(mine == 0);
    }
    for viewer in &viewers {
        viewer.leave();
    }
    let mut failures: Vec<String> = viewers
        .iter()
        .filter_map(|viewer| viewer.failure.clone())
        .take(3)
        .collect();
    failures.extend(publisher.stop());
    let per_viewer = 1.0 / viewers.len().max(1) as f64;
    Ok(Outcome {
        server: arguments.name.clone(),
        shape: format!("{:?}", arguments.load.shape).to_lowercase(),
        packet: if video {
            arguments.load.packet
        } else {
            arguments.load.audio_bytes
        },
        viewers: viewers.len(),
        seconds: wall,
        in_packets: sent,
        out_packets: got,
        lost_packets: expected.saturating_sub(got),
        silent_viewers: silent,
        decrypted_packets: viewers.iter().map(|viewer| viewer.decrypted).sum(),
        mbit_s_out: bytes as f64 * 8.0 / wall / 1e6,
        cpu_s: end.cpu_s - start.cpu_s,
        cpu_us_per_packet: (end.cpu_s - start.cpu_s) * 1e6 / expected.max(1) as f64,
        join_cpu_ms_per_viewer: (joined.cpu_s - before.cpu_s) * 1e3 * per_viewer,
        memory_kb_per_viewer: (end.resident as f64 - before.resident as f64) / 1024.0 * per_viewer,
        failures,
    })
}

/// The publishers, connected: of a grid as many as there are viewers.
fn join_sources(arguments: &Arguments) -> Result<Vec<Peer>, String> {
    let grid = arguments.load.shape == Shape::Grid;
    let mut sources = Vec::new();
    for n in 0..if grid { arguments.viewers } else { 1 } {
        let url = arguments.publish.replace("{n}", &n.to_string());
        sources.push(Peer::join(&Joining {
            url: &url,
            bearer: &arguments.publish_bearer,
            ip: arguments.ip,
            publish: true,
            sound: !grid,
            pictures: usize::from(arguments.load.shape != Shape::AudioOnly),
            simulcast: grid,
            decrypt: true,
            counter_mode: arguments.counter_mode,
            gro: false,
        })?);
        drive_for(&mut sources, Duration::from_millis(2));
    }
    drive_until(&mut sources, Duration::from_secs(15), |peers| {
        peers.iter().all(|peer| peer.connected)
    })
    .map_err(|why| format!("not all publishers connected: {why}"))?;
    Ok(sources)
}

fn join_viewers(arguments: &Arguments) -> Result<Vec<Peer>, String> {
    let shape = arguments.load.shape;
    let mut viewers = Vec::with_capacity(arguments.viewers);
    for i in 0..arguments.viewers {
        let url = arguments.play.replace("{n}", &i.to_string());
        let viewer = Peer::join(&Joining {
            url: &url,
            bearer: &arguments.play_bearer,
            ip: arguments.ip,
            publish: false,
            sound: shape != Shape::Grid,
            pictures: match shape {
                Shape::AudioOnly => 0,
                Shape::Grid => TILES,
                Shape::Filled | Shape::Split => 1,
            },
            simulcast: false,
            // Whoever watches a grid says what arrives, so that the lines are estimated.
            decrypt: i < arguments.full || shape == Shape::Grid,
            counter_mode: arguments.counter_mode,
            gro: arguments.gro,
        })?;
        viewers.push(viewer);
        drive_for(&mut viewers, Duration::from_millis(12));
    }
    drive_until(&mut viewers, Duration::from_secs(20), |peers| {
        peers.iter().all(|peer| peer.connected)
    })
    .map_err(|why| format!("not all viewers connected: {why}"))?;
    Ok(viewers)
}

fn drive_for(peers: &mut [Peer], time: Duration) {
    let end = Instant::now() + time;
    let mut buffer = vec![0; SPACE];
    while drive_once(peers, end, &mut buffer) {}
}

fn drive_until(
    peers: &mut [Peer],
    limit: Duration,
    done: impl Fn(&[Peer]) -> bool,
) -> Result<(), String> {
    let end = Instant::now() + limit;
    let mut buffer = vec![0; SPACE];
    while !done(peers) {
        if !drive_once(peers, end, &mut buffer) {
            return Err("time is over".to_owned());
        }
        if let Some(failure) = peers.iter().find_map(|peer| peer.failure.clone()) {
            return Err(failure);
        }
    }
    Ok(())
}

fn drive_once(peers: &mut [Peer], end: Instant, buffer: &mut [u8]) -> bool {
    let now = Instant::now();
    if now >= end {
        return false;
    }
    for peer in peers.iter_mut() {
        peer.drive(now, buffer);
    }
    let next = peers.iter().map(Peer::wake).min().unwrap_or(end).min(end);
    let sockets: Vec<_> = peers.iter().map(|peer| &peer.socket).collect();
    // A pause lets packets gather, so that the client costs the shared machine less.
    wait(
        &sockets,
        next.saturating_duration_since(Instant::now())
            .min(Duration::from_millis(5)),
    );
    true
}
