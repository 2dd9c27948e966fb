//! A bad network between real programs, in user space: datagrams for the server come in on one port, pass a link of
//! `roomtone-netem`, and go on from a socket of each client's own; what comes back passes a second link.
//!
//! `roomtone-relay SERVER [SEED]` prints the address it listens on, then takes lines on its standard input:
//! `up KEY=VALUE ...` and `down KEY=VALUE ...` change a direction (`rate_bps`, `delay_ms`, `jitter_ms`, `loss`,
//! `loss_burst`, `reorder`, `duplicate`, `queue_ms`; `rate_bps=none` is endlessly fast), `counters` prints what both
//! have done. It ends with its standard input. All clients share the two links: they meet in one bottleneck.

mod commands;

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use commands::{Command, Direction};
use roomtone_netem::{Link, LinkConfig};

/// Clients at most; datagrams of more are dropped.
const MAX_CLIENTS: usize = 1_024;
/// Bytes of IPv4 and UDP headers, which a line carries too. Here they say whose the datagram is.
const HEADERS: usize = 28;
const LONGEST: usize = 65_536;
/// How long to wait when nothing is under way.
const IDLE: Duration = Duration::from_hours(1);

enum News {
    FromClient(SocketAddr, Vec<u8>),
    FromServer(u32, Vec<u8>),
    Line(String),
    End,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let server: Option<SocketAddr> = arguments.next().and_then(|text| text.parse().ok());
    let seed = arguments.next().map_or(Some(1), |text| text.parse().ok());
    let (Some(server), Some(seed)) = (server, seed) else {
        eprintln!("usage: roomtone-relay SERVER_ADDRESS [SEED]");
        return ExitCode::from(2);
    };
    match Relay::open(server, seed).and_then(|(relay, news)| relay.run(&news)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Relay {
    server: SocketAddr,
    front: Arc<UdpSocket>,
    clients: Vec<(SocketAddr, Arc<UdpSocket>)>,
    by_address: HashMap<SocketAddr, u32>,
    up: Link,
    down: Link,
    tell: Sender<News>,
}

impl Relay {
    fn open(server: SocketAddr, seed: u64) -> io::Result<(Self, Receiver<News>)> {
        let front = Arc::new(UdpSocket::bind((own_address(server)?, 0))?);
        println!("{}", front.local_addr()?);
        let (tell, news) = channel();
        let link = |seed| Link::new(LinkConfig::default(), seed).map_err(io::Error::other);
        let relay = Self {
            server,
            front: Arc::clone(&front),
            clients: Vec::new(),
            by_address: HashMap::new(),
            up: link(seed)?,
            down: link(seed.wrapping_add(1))?,
            tell: tell.clone(),
        };
        let lines = tell.clone();
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                let _ = lines.send(News::Line(line));
            }
            let _ = lines.send(News::End);
        });
        thread::spawn(move || {
            read(&front, |from, data| {
                tell.send(News::FromClient(from, data)).is_ok()
            });
        });
        Ok((relay, news))
    }

    fn run(mut self, news: &Receiver<News>) -> io::Result<()> {
        loop {
            let due = [self.up.next_timeout(), self.down.next_timeout()];
            let due = due.into_iter().flatten().min();
            let wait = due.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
            match news.recv_timeout(wait) {
                Ok(News::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(one) => self.take(one)?,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.deliver(Instant::now());
        }
    }

    fn take(&mut self, news: News) -> io::Result<()> {
        match news {
            News::FromClient(from, data) => {
                if let Some(client) = self.client(from)? {
                    self.up.send(Instant::now(), wrapped(client, &data));
                }
            }
            News::FromServer(client, data) => {
                self.down.send(Instant::now(), wrapped(client, &data));
            }
            News::Line(line) => self.obey(&line),
            News::End => {}
        }
        Ok(())
    }

    fn obey(&mut self, line: &str) {
        match commands::parse(line) {
            Ok(Command::Counters) => {
                println!(
                    "up {:?}; down {:?}",
                    self.up.counters(),
                    self.down.counters()
                );
            }
            Ok(Command::Change(direction, changes)) => {
                let link = match direction {
                    Direction::Up => &mut self.up,
                    Direction::Down => &mut self.down,
                };
                let changed = commands::apply(link.config().clone(), &changes).and_then(|config| {
                    link.set_config(Instant::now(), config)
                        .map_err(|error| error.to_string())
                });
                println!(
                    "{}",
                    changed.map_or_else(|error| error, |()| "done".to_owned())
                );
            }
            Err(error) => println!("{error}"),
        }
    }

    /// The number of a client; a new one gets a socket of its own, so that the server can tell them apart.
    fn client(&mut self, from: SocketAddr) -> io::Result<Option<u32>> {
        if let Some(&known) = self.by_address.get(&from) {
            return Ok(Some(known));
        }
        if self.clients.len() >= MAX_CLIENTS {
            return Ok(None);
        }
        let number = self.clients.len() as u32;
        let socket = Arc::new(UdpSocket::bind((own_address(self.server)?, 0))?);
        self.clients.push((from, Arc::clone(&socket)));
        self.by_address.insert(from, number);
        let tell = self.tell.clone();
        thread::spawn(move || {
            read(&socket, |_, data| {
                tell.send(News::FromServer(number, data)).is_ok()
            });
        });
        Ok(Some(number))
    }

    fn deliver(&mut self, now: Instant) {
        while let Some(wrapped) = self.up.poll(now) {
            if let Some((client, data)) = unwrapped(&wrapped) {
                let _ = self.clients[client].1.send_to(data, self.server);
            }
        }
        while let Some(wrapped) = self.down.poll(now) {
            if let Some((client, data)) = unwrapped(&wrapped) {
                let _ = self.front.send_to(data, self.clients[client].0);
            }
        }
    }
}

/// The address of this machine from which the server is reached.
fn own_address(server: SocketAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

/// Hands on what a socket receives; a refused send of before (ICMP) is no end.
fn read(socket: &UdpSocket, mut take: impl FnMut(SocketAddr, Vec<u8>) -> bool) {
    let mut buffer = vec![0; LONGEST];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) if !take(from, buffer[..len].to_vec()) => return,
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => return,
            _ => {}
        }
    }
}

fn wrapped(client: u32, data: &[u8]) -> Vec<u8> {
    let mut whole = vec![0; HEADERS + data.len()];
    whole[..4].copy_from_slice(&client.to_be_bytes());
    whole[HEADERS..].copy_from_slice(data);
    whole
}

fn unwrapped(whole: &[u8]) -> Option<(usize, &[u8])> {
    let client = u32::from_be_bytes(*whole.first_chunk()?);
    Some((client as usize, whole.get(HEADERS..)?))
}
