//! CPU time of a receiver over real sockets, one system call a packet, beside libsrt's own program.
//!
//! `srt_pump sink PORT [PASSPHRASE]` receives until its callers have gone and says what it took;
//! `srt_pump send PORT MBPS SECONDS CALLERS [PASSPHRASE]` calls a listener, ours or another's.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement reads the clock and opens sockets"
)]

use roomtone_srt::{
    Acceptance, DialConfig, DialEvent, Dialer, LIVE_PAYLOAD, Listener, ListenerConfig,
    MAX_DATAGRAM, Passphrase,
};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

fn passphrase(text: Option<&String>) -> Option<Passphrase> {
    text.map(|text| Passphrase::new(text).expect("10 to 80 bytes"))
}

/// CPU time of this process in seconds, as Linux counts it.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(12) + ticks(13)) / 100.0
}

fn wait(until: Option<Instant>) -> Duration {
    let left = until.map_or(Duration::from_millis(50), |at| {
        at.saturating_duration_since(Instant::now())
    });
    left.clamp(Duration::from_micros(50), Duration::from_millis(50))
}

fn sink(port: u16, passphrase: Option<&Passphrase>) {
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a port");
    let mut listener = Listener::new(ListenerConfig::default(), &[1; 32], Instant::now());
    let mut buffer = [0; 2048];
    let (mut bytes, mut began, mut lost) = (0_usize, 0.0, 0);
    let mut timeout = None;
    loop {
        // One option set only when it changes by much: the clock of sockets is coarse anyway.
        let wanted = wait(listener.next_timeout()).max(Duration::from_millis(1));
        if timeout != Some(wanted) {
            socket.set_read_timeout(Some(wanted)).expect("a time-out");
            timeout = Some(wanted);
        }
        let received = socket.recv_from(&mut buffer);
        let now = Instant::now();
        if let Ok((len, from)) = received {
            listener.handle_datagram(from, &mut buffer[..len], now);
        }
        listener.handle_timeout(now);
        while let Some(request) = listener.poll_request() {
            let acceptance = Acceptance {
                passphrase: passphrase.cloned(),
                ..Acceptance::default()
            };
            listener
                .accept(request.id, acceptance, now)
                .expect("agreed");
            began = cpu();
        }
        while let Some((_, message)) = listener.poll_message(now) {
            bytes += message.payload.len();
            lost += message.lost_before;
        }
        let mut out = [0; MAX_DATAGRAM];
        while let Some(transmit) = listener.poll_transmit(now, &mut out) {
            let _ = socket.send_to(&out[..transmit.len], transmit.to);
        }
        while listener.poll_event().is_some() {}
        if bytes > 0 && listener.connections() == 0 {
            break;
        }
    }
    let (took, gigabits) = (cpu() - began, bytes as f64 * 8.0 / 1e9);
    println!(
        "{gigabits:.3} Gbit, {took:.2} CPU s, {:.3} CPU s/Gbit, {lost} packets lost",
        took / gigabits
    );
}

fn send(port: u16, mbps: f64, seconds: f64, callers: usize, passphrase: Option<&Passphrase>) {
    let peer = SocketAddr::from(([127, 0, 0, 1], port));
    let mut sides: Vec<(UdpSocket, Dialer, bool)> = (0..callers)
        .map(|at| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            socket.set_nonblocking(true).expect("a socket");
            let config = DialConfig {
                passphrase: passphrase.cloned(),
                ..DialConfig::default()
            };
            let secret = [at as u8; 32];
            let dialer = Dialer::call(peer, config, &secret, Instant::now()).expect("a dialer");
            (socket, dialer, false)
        })
        .collect();
    let begun = Instant::now();
    let every = LIVE_PAYLOAD as f64 * 8.0 / (mbps * 1e6);
    let (mut sent, mut refused) = (0_usize, 0);
    let mut buffer = [0; 2048];
    while begun.elapsed().as_secs_f64() < seconds + 1.0 {
        std::thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        let elapsed = begun.elapsed().as_secs_f64();
        // A second for the handshakes.
        let due = ((elapsed - 1.0).max(0.0) / every) as usize;
        while sent < due {
            let (_, dialer, open) = &mut sides[sent % callers];
            if *open && dialer.send(&[0x47; LIVE_PAYLOAD], now).is_err() {
                refused += 1;
            }
            sent += 1;
        }
        for (socket, dialer, open) in &mut sides {
            while let Ok(len) = socket.recv(&mut buffer) {
                dialer.handle_datagram(&mut buffer[..len], now);
            }
            dialer.handle_timeout(now);
            let mut out = [0; MAX_DATAGRAM];
            while let Some(len) = dialer.poll_transmit(now, &mut out) {
                let _ = socket.send_to(&out[..len], peer);
            }
            while let Some(event) = dialer.poll_event() {
                *open = matches!(event, DialEvent::Connected { .. });
            }
        }
    }
    let mut again = 0;
    for (socket, dialer, _) in &mut sides {
        again += dialer.stats().map_or(0, |stats| stats.retransmitted);
        dialer.close();
        let mut out = [0; MAX_DATAGRAM];
        while let Some(len) = dialer.poll_transmit(Instant::now(), &mut out) {
            let _ = socket.send_to(&out[..len], peer);
        }
    }
    println!("{sent} packets, {refused} refused, {again} sent again");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> f64 {
        let text = arguments.get(at).map_or("", String::as_str);
        text.parse().expect("a number")
    };
    match arguments.first().map(String::as_str) {
        Some("sink") => sink(number(1) as u16, passphrase(arguments.get(2)).as_ref()),
        Some("send") => send(
            number(1) as u16,
            number(2),
            number(3),
            number(4) as usize,
            passphrase(arguments.get(5)).as_ref(),
        ),
        _ => println!(
            "srt_pump sink PORT [PASSPHRASE] | send PORT MBPS SECONDS CALLERS [PASSPHRASE]"
        ),
    }
}
