//! Time that a listener takes per gigabit it receives, without sockets: `cargo run --release -p roomtone-srt --example
//! srt_cost`. One line a case: connections, cipher, loss, seconds per gigabit, nanoseconds per packet.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use roomtone_srt::{
    Acceptance, CipherMode, ConnectionConfig, DialConfig, Dialer, KeyLength, LIVE_PAYLOAD,
    Listener, ListenerConfig, MAX_DATAGRAM, Passphrase,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bits per second of all connections together.
const RATE: u64 = 150_000_000;
/// Datagrams of one wake-up.
const BATCH: usize = 32;
/// Datagrams of a case.
const PACKETS: usize = 200_000;

struct Case {
    connections: u8,
    cipher: Option<(CipherMode, KeyLength)>,
    /// Every so many packets one is lost; zero for none.
    loss_every: usize,
}

fn address(port: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000 + u16::from(port)))
}

/// Lets both sides say what they have to say.
fn exchange(
    listener: &mut Listener,
    dialers: &mut [Dialer],
    acceptance: &Acceptance,
    now: Instant,
) {
    let mut out = [0; MAX_DATAGRAM];
    for (port, dialer) in (0..).zip(dialers.iter_mut()) {
        while let Some(len) = dialer.poll_transmit(now, &mut out) {
            listener.handle_datagram(address(port), &mut out[..len], now);
        }
    }
    while let Some(request) = listener.poll_request() {
        listener
            .accept(request.id, acceptance.clone(), now)
            .expect("they agree");
    }
    while let Some(transmit) = listener.poll_transmit(now, &mut out) {
        let at = usize::from(transmit.to.port() - 5000);
        dialers[at].handle_datagram(&mut out[..transmit.len], now);
    }
}

/// Seconds that the listener took.
fn run(case: &Case) -> f64 {
    let passphrase = case
        .cipher
        .map(|_| Passphrase::new("a phrase of some length").expect("long enough"));
    let acceptance = Acceptance {
        passphrase: passphrase.clone(),
        config: ConnectionConfig::default(),
    };
    let mut now = Instant::now();
    let mut listener = Listener::new(ListenerConfig::default(), &[1; 32], now);
    let dial = DialConfig {
        passphrase,
        mode: case.cipher.map_or(CipherMode::Ctr, |(mode, _)| mode),
        key_length: case.cipher.map(|(_, length)| length),
        ..DialConfig::default()
    };
    let mut dialers: Vec<Dialer> = (0..case.connections)
        .map(|at| Dialer::call(address(0), dial.clone(), &[at; 32], now).expect("a dialer"))
        .collect();
    for _ in 0..3 {
        exchange(&mut listener, &mut dialers, &acceptance, now);
    }
    let every = Duration::from_nanos(LIVE_PAYLOAD as u64 * 8 * 1_000_000_000 / RATE);
    let mut batch: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut out = [0; MAX_DATAGRAM];
    let (mut took, mut delivered) = (Duration::ZERO, 0_usize);
    for packet in 0..PACKETS {
        now += every;
        let port = (packet % usize::from(case.connections)) as u8;
        let dialer = &mut dialers[usize::from(port)];
        dialer.handle_timeout(now);
        dialer.send(&[0x47; LIVE_PAYLOAD], now).expect("room");
        while let Some(len) = dialer.poll_transmit(now, &mut out) {
            batch.push((port, out[..len].to_vec()));
        }
        if case.loss_every > 0 && packet % case.loss_every == 0 {
            batch.pop();
        }
        if batch.len() < BATCH {
            continue;
        }
        let began = Instant::now();
        for (port, datagram) in &mut batch {
            listener.handle_datagram(address(*port), datagram, now);
        }
        listener.handle_timeout(now);
        while let Some((_, message)) = listener.poll_message(now) {
            delivered += usize::from(message.payload.len() == LIVE_PAYLOAD);
        }
        let mut answers = Vec::new();
        while let Some(transmit) = listener.poll_transmit(now, &mut out) {
            answers.push((transmit.to.port() - 5000, out[..transmit.len].to_vec()));
        }
        std::hint::black_box(listener.next_timeout());
        took += began.elapsed();
        batch.clear();
        for (at, mut answer) in answers {
            dialers[usize::from(at)].handle_datagram(&mut answer, now);
        }
    }
    assert!(delivered > PACKETS * 9 / 10, "{delivered} delivered");
    took.as_secs_f64()
}

fn main() {
    let cases = [
        (1, None, 0),
        (1, None, 50),
        (1, Some((CipherMode::Ctr, KeyLength::Aes128)), 0),
        (1, Some((CipherMode::Ctr, KeyLength::Aes256)), 0),
        (1, Some((CipherMode::Gcm, KeyLength::Aes128)), 0),
        (24, None, 0),
        (24, None, 50),
    ];
    for (connections, cipher, loss_every) in cases {
        let case = Case {
            connections,
            cipher,
            loss_every,
        };
        let mut runs: Vec<f64> = (0..5).map(|_| run(&case)).collect();
        runs.sort_by(f64::total_cmp);
        let gigabits = (PACKETS * LIVE_PAYLOAD * 8) as f64 / 1e9;
        println!(
            "{connections:2} connections, {:20} one in {loss_every:3} lost: {:.4} s/Gbit, {:.0} ns a packet",
            cipher.map_or_else(|| "plain,".into(), |cipher| format!("{cipher:?},")),
            runs[2] / gigabits,
            runs[2] / PACKETS as f64 * 1e9,
        );
    }
}
