//! CPU time of a bare send over loopback: the floor under every figure of the bench. One JSON line for each case.
//!
//! A case is sent twice: `hot`, in one go after another, and `paced`, one round to all destinations every 20 ms while
//! another thread waits for them in `poll`, which is the rhythm of a server that forwards one speaker. Several segments
//! of one call go to sockets with `UDP_GRO` and to sockets without, for which loopback splits them on the sender's
//! time. Only the sending thread's CPU time counts.

mod send;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use send::{Target, enable_gro, thread_cpu, wait};

/// What is sent, and to what.
#[derive(Clone, Copy)]
struct Case {
    /// Length of a datagram.
    bytes: usize,
    /// Datagrams of one call.
    segments: usize,
    /// The receiving sockets take runs of datagrams whole.
    gro: bool,
}

/// All cases; one datagram is no run.
fn cases() -> impl Iterator<Item = Case> {
    let sizes = [(1, false), (4, false), (4, true), (10, false), (10, true)];
    sizes.into_iter().flat_map(|(segments, gro)| {
        [120, 1_100].map(|bytes| Case {
            bytes,
            segments,
            gro,
        })
    })
}

const EVERY: Duration = Duration::from_millis(20);

#[derive(Serialize)]
struct Outcome {
    bytes: usize,
    segments: usize,
    gro: bool,
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
    let mut code = ExitCode::SUCCESS;
    for case in cases() {
        let outcomes = [
            hot(destinations, rounds, case),
            paced(destinations, paced_ms, case),
        ];
        for outcome in outcomes {
            match outcome {
                Ok(outcome) => println!(
                    "{}",
                    serde_json::to_string(&outcome).expect("numbers serialise")
                ),
                Err(e) => {
                    eprintln!("{} B x{}: {e}", case.bytes, case.segments);
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    code
}

fn sinks(count: usize, gro: bool) -> io::Result<(Vec<UdpSocket>, Vec<Target>)> {
    let mut sockets = Vec::with_capacity(count);
    let mut targets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        if gro {
            enable_gro(socket.as_raw_fd())?;
        }
        if let SocketAddr::V4(address) = socket.local_addr()? {
            targets.push(Target::new(address));
        }
        sockets.push(socket);
    }
    Ok((sockets, targets))
}

/// Reads all that waits; how many datagrams of `bytes` it was.
fn drain(sockets: &[UdpSocket], buffer: &mut [u8], bytes: usize) -> usize {
    let mut one = |socket: &UdpSocket| {
        let mut count = 0;
        while let Ok(len) = socket.recv(buffer) {
            count += len.div_ceil(bytes);
        }
        count
    };
    sockets.iter().map(&mut one).sum()
}

/// Room for the longest message that is received.
fn space() -> Vec<u8> {
    vec![0; 65_536]
}

fn round(socket: &UdpSocket, targets: &[Target], data: &[u8], case: Case) -> io::Result<()> {
    for target in targets {
        if case.segments == 1 {
            target.send(socket.as_raw_fd(), data)?;
        } else {
            target.send_segmented(socket.as_raw_fd(), data, case.bytes as u16)?;
        }
    }
    Ok(())
}

fn hot(count: usize, rounds: usize, case: Case) -> io::Result<Outcome> {
    let (sockets, targets) = sinks(count, case.gro)?;
    let source = UdpSocket::bind("127.0.0.1:0")?;
    let data = vec![0x55; case.bytes * case.segments];
    let mut spent = Duration::ZERO;
    let (mut arrived, mut buffer) = (0, space());
    for _ in 0..rounds {
        let began = thread_cpu();
        round(&source, &targets, &data, case)?;
        spent += thread_cpu().saturating_sub(began);
        arrived += drain(&sockets, &mut buffer, case.bytes);
    }
    outcome("hot", spent, arrived, count, rounds, case)
}

fn paced(count: usize, ms: usize, case: Case) -> io::Result<Outcome> {
    let (sockets, targets) = sinks(count, case.gro)?;
    let source = UdpSocket::bind("127.0.0.1:0")?;
    let data = vec![0x55; case.bytes * case.segments];
    let rounds = ms / EVERY.as_millis() as usize;
    let stop = AtomicBool::new(false);
    let (spent, arrived) = thread::scope(|scope| -> io::Result<(Duration, usize)> {
        let receiver = scope.spawn(|| {
            let (mut arrived, mut buffer) = (0, space());
            while !stop.load(Ordering::Acquire) {
                wait(&sockets, Duration::from_millis(5));
                arrived += drain(&sockets, &mut buffer, case.bytes);
            }
            arrived + drain(&sockets, &mut buffer, case.bytes)
        });
        let start = Instant::now();
        let mut spent = Duration::ZERO;
        let mut result = Ok(());
        for number in 1..=rounds {
            let began = thread_cpu();
            result = round(&source, &targets, &data, case);
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
    outcome("paced", spent, arrived, count, rounds, case)
}

/// A send that did not arrive cost less than one that did: then there is no figure.
fn outcome(
    rhythm: &'static str,
    spent: Duration,
    arrived: usize,
    destinations: usize,
    rounds: usize,
    case: Case,
) -> io::Result<Outcome> {
    let packets = destinations * rounds * case.segments;
    if arrived != packets {
        return Err(io::Error::other(format!(
            "{arrived} of {packets} datagrams arrived"
        )));
    }
    Ok(Outcome {
        bytes: case.bytes,
        segments: case.segments,
        gro: case.gro,
        rhythm,
        destinations,
        packets,
        us_per_packet: spent.as_secs_f64() * 1e6 / packets as f64,
    })
}
