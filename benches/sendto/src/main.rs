//! CPU time of a bare send over loopback: the floor under every figure of the bench. One JSON line for each case.
//!
//! A case is sent twice: `hot`, in one go after another, and `paced`, one round to all destinations every 20 ms while
//! another thread waits for them in `poll`, which is the rhythm of a server that forwards one speaker. Only the
//! sending thread's CPU time counts.

mod send;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use send::{Target, thread_cpu, wait};

/// Datagram length and segments of one call.
const CASES: [(usize, usize); 6] = [
    (120, 1),
    (1_100, 1),
    (120, 4),
    (120, 10),
    (1_100, 4),
    (1_100, 10),
];
const EVERY: Duration = Duration::from_millis(20);

#[derive(Serialize)]
struct Outcome {
    bytes: usize,
    segments: usize,
    rhythm: &'static str,
    destinations: usize,
    packets: usize,
    us_per_packet: f64,
}

fn main() -> ExitCode {
    let argument = |index: usize, default: usize| {
        let text = std::env::args().nth(index);
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    // Destinations, rounds of the hot rhythm, milliseconds of the paced one.
    let (destinations, rounds, paced_ms) = (argument(1, 100), argument(2, 300), argument(3, 2_000));
    for (bytes, segments) in CASES {
        let outcomes = [
            hot(destinations, rounds, bytes, segments),
            paced(destinations, paced_ms, bytes, segments),
        ];
        for outcome in outcomes {
            match outcome {
                Ok(outcome) => println!(
                    "{}",
                    serde_json::to_string(&outcome).expect("numbers serialise")
                ),
                Err(e) => {
                    eprintln!("{bytes} B x{segments}: {e}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn sinks(count: usize) -> io::Result<(Vec<UdpSocket>, Vec<Target>)> {
    let mut sockets = Vec::with_capacity(count);
    let mut targets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        if let SocketAddr::V4(address) = socket.local_addr()? {
            targets.push(Target::new(address));
        }
        sockets.push(socket);
    }
    Ok((sockets, targets))
}

/// Reads all that waits; how many datagrams it was.
fn drain(sockets: &[UdpSocket]) -> usize {
    let mut buffer = [0_u8; 2_048];
    let one = |socket: &UdpSocket| {
        let mut count = 0;
        while socket.recv(&mut buffer).is_ok() {
            count += 1;
        }
        count
    };
    sockets.iter().map(one).sum()
}

fn round(
    socket: &UdpSocket,
    targets: &[Target],
    data: &[u8],
    bytes: usize,
    segments: usize,
) -> io::Result<()> {
    for target in targets {
        if segments == 1 {
            target.send(socket.as_raw_fd(), data)?;
        } else {
            target.send_segmented(socket.as_raw_fd(), data, bytes as u16)?;
        }
    }
    Ok(())
}

fn hot(count: usize, rounds: usize, bytes: usize, segments: usize) -> io::Result<Outcome> {
    let (sockets, targets) = sinks(count)?;
    let source = UdpSocket::bind("127.0.0.1:0")?;
    let data = vec![0x55; bytes * segments];
    let mut spent = Duration::ZERO;
    let mut arrived = 0;
    for _ in 0..rounds {
        let began = thread_cpu();
        round(&source, &targets, &data, bytes, segments)?;
        spent += thread_cpu().saturating_sub(began);
        arrived += drain(&sockets);
    }
    outcome("hot", spent, arrived, count, rounds, bytes, segments)
}

fn paced(count: usize, ms: usize, bytes: usize, segments: usize) -> io::Result<Outcome> {
    let (sockets, targets) = sinks(count)?;
    let source = UdpSocket::bind("127.0.0.1:0")?;
    let data = vec![0x55; bytes * segments];
    let rounds = ms / EVERY.as_millis() as usize;
    let stop = AtomicBool::new(false);
    let (spent, arrived) = thread::scope(|scope| -> io::Result<(Duration, usize)> {
        let receiver = scope.spawn(|| {
            let mut arrived = 0;
            while !stop.load(Ordering::Acquire) {
                wait(&sockets, Duration::from_millis(5));
                arrived += drain(&sockets);
            }
            arrived + drain(&sockets)
        });
        let start = Instant::now();
        let mut spent = Duration::ZERO;
        let mut result = Ok(());
        for number in 1..=rounds {
            let began = thread_cpu();
            result = round(&source, &targets, &data, bytes, segments);
            spent += thread_cpu().saturating_sub(began);
            if result.is_err() {
                break;
            }
            thread::sleep(
                (start + EVERY * number as u32).saturating_duration_since(Instant::now()),
            );
        }
        stop.store(true, Ordering::Release);
        let arrived = receiver
            .join()
            .map_err(|_| io::Error::other("the receiver panicked"))?;
        result.map(|()| (spent, arrived))
    })?;
    outcome("paced", spent, arrived, count, rounds, bytes, segments)
}

/// A send that did not arrive cost less than one that did: then there is no figure.
fn outcome(
    rhythm: &'static str,
    spent: Duration,
    arrived: usize,
    destinations: usize,
    rounds: usize,
    bytes: usize,
    segments: usize,
) -> io::Result<Outcome> {
    let packets = destinations * rounds * segments;
    if arrived != packets {
        return Err(io::Error::other(format!(
            "{arrived} of {packets} datagrams arrived"
        )));
    }
    Ok(Outcome {
        bytes,
        segments,
        rhythm,
        destinations,
        packets,
        us_per_packet: spent.as_secs_f64() * 1e6 / packets as f64,
    })
}
