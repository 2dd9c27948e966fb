//! srt-live-transmit, libsrt's own program, at the other end: both roles, both directions, rendezvous, new keys.

mod driver;

use driver::{Called, SETTLED, Served, free_port};
use roomtone_netem::LinkConfig;
use roomtone_srt::{Acceptance, ConnectionConfig, DialConfig, KeyLength, KeyRefresh, Passphrase};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PHRASE: &str = "a-phrase-of-some-length";
/// Keys that are renewed often enough for a short test.
const REFRESH: KeyRefresh = KeyRefresh {
    after: 100,
    announce_before: 40,
};

/// The program between two URLs; what it writes to standard output goes to a file.
fn transmit(from: &str, to: &str, name: &str) -> (Child, PathBuf) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let child = Command::new("srt-live-transmit")
        .args(["-q", "-a:no", "-loglevel:error", from, to])
        .stdin(Stdio::null())
        .stdout(File::create(&path).expect("a file"))
        .spawn()
        .expect("srt-live-transmit runs");
    (child, path)
}

fn passphrase(encrypted: bool) -> Option<Passphrase> {
    encrypted.then(|| Passphrase::new(PHRASE).expect("long enough"))
}

fn query(encrypted: bool, length: KeyLength) -> String {
    if encrypted {
        format!("&passphrase={PHRASE}&pbkeylen={}", length.bytes())
    } else {
        String::new()
    }
}

fn config() -> ConnectionConfig {
    ConnectionConfig {
        key_refresh: REFRESH,
        ..ConnectionConfig::default()
    }
}

/// A payload of one packet that says which it is.
fn payload(number: u32) -> [u8; 1316] {
    let mut payload = [number as u8; 1316];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Payloads from `first` to `last`, whole and in order.
fn assert_payloads(bytes: &[u8], first: u32, last: u32) {
    assert_eq!(bytes.len() % 1316, 0);
    let numbers: Vec<u32> = bytes
        .chunks(1316)
        .map(|chunk| {
            let number = u32::from_be_bytes(chunk[..4].try_into().expect("four bytes"));
            assert_eq!(*chunk, payload(number));
            number
        })
        .filter(|number| (first..=last).contains(number))
        .collect();
    assert_eq!(numbers, (first..=last).collect::<Vec<_>>());
}

fn dial(encrypted: bool, length: KeyLength) -> DialConfig {
    DialConfig {
        connection: config(),
        passphrase: passphrase(encrypted),
        key_length: Some(length),
        timeout: Duration::from_secs(20),
        ..DialConfig::default()
    }
}

const SENT: u32 = 400;

#[test]
fn it_calls_and_receives_what_a_listener_sends() {
    for (encrypted, length) in [(false, KeyLength::Aes128), (true, KeyLength::Aes256)] {
        let mut served = Served::new();
        let url = format!(
            "srt://{}?streamid=#!::r=stage,m=request{}",
            served.address(),
            query(encrypted, length)
        );
        let name = format!("calls-{encrypted}.ts");
        let (mut child, path) = transmit(&url, "file://con", &name);
        let (mut next, mut settled) = (0, 0);
        served.serve(
            |request| {
                assert_eq!(request.stream_id, "#!::r=stage,m=request");
                Ok(Acceptance {
                    passphrase: passphrase(encrypted),
                    config: config(),
                })
            },
            |served| {
                let Some(&connection) = served.opened.first() else {
                    return false;
                };
                if next < SENT {
                    let sent = served
                        .listener
                        .send(connection, &payload(next), driver::now());
                    sent.expect("room");
                    next += 1;
                    return false;
                }
                let stats = served.listener.connection_stats(connection);
                settled += u32::from(stats.expect("open").unacknowledged == 0);
                settled >= SETTLED
            },
        );
        let stats = served
            .listener
            .connection_stats(served.opened[0])
            .expect("open");
        assert_eq!(stats.keys_sent >= 3, encrypted, "{stats:?}");
        served.listener.close(served.opened[0]);
        served.serve(|_| unreachable!(), |served| !served.closed.is_empty());
        child.wait().expect("it ends by the goodbye");
        assert_payloads(&std::fs::read(&path).expect("a file"), 0, SENT - 1);
    }
}

#[test]
fn it_asks_for_what_it_misses_and_is_given_it() {
    let line = LinkConfig {
        delay: Duration::from_millis(20),
        loss: 0.05,
        ..LinkConfig::default()
    };
    let mut served = Served::new().over(&line, 5);
    let url = format!(
        "srt://{}?streamid=request:stage&latency=800",
        served.address()
    );
    let (mut child, path) = transmit(&url, "file://con", "misses.ts");
    let (mut next, mut settled) = (0, 0);
    served.serve(
        |_| Ok(Acceptance::default()),
        |served| {
            let Some(&connection) = served.opened.first() else {
                return false;
            };
            if next < SENT {
                let sent = served
                    .listener
                    .send(connection, &payload(next), driver::now());
                sent.expect("room");
                next += 1;
                return false;
            }
            let stats = served.listener.connection_stats(connection);
            settled += u32::from(stats.expect("open").unacknowledged == 0);
            settled >= SETTLED
        },
    );
    let stats = served
        .listener
        .connection_stats(served.opened[0])
        .expect("open");
    assert!(
        stats.reports_received > 0 && stats.retransmitted > 10,
        "{stats:?}"
    );
    assert_eq!(stats.peer_latency, Duration::from_millis(800));
    served.listener.close(served.opened[0]);
    served.serve(|_| unreachable!(), |served| !served.closed.is_empty());
    child.wait().expect("it ends by the goodbye, or by silence");
    assert_payloads(&std::fs::read(&path).expect("a file"), 0, SENT - 1);
}

#[test]
fn it_listens_and_receives_what_a_caller_sends() {
    for (encrypted, length) in [(false, KeyLength::Aes128), (true, KeyLength::Aes192)] {
        let port = free_port();
        let url = format!(
            "srt://127.0.0.1:{port}?mode=listener{}",
            query(encrypted, length)
        );
        let (mut child, path) = transmit(&url, "file://con", &format!("listens-{encrypted}.ts"));
        let mut called = Called::call(port, dial(encrypted, length));
        called.send_all(SENT, payload);
        let stats = called.dialer.stats().expect("open");
        assert_eq!(stats.keys_sent >= 3, encrypted, "{stats:?}");
        called.close();
        child.wait().expect("it ends by the goodbye");
        assert_payloads(&std::fs::read(&path).expect("a file"), 0, SENT - 1);
    }
}

#[test]
fn it_meets_a_rendezvous() {
    for (encrypted, length) in [(false, KeyLength::Aes128), (true, KeyLength::Aes128)] {
        let port = free_port();
        let mut called = Called::rendezvous(port, dial(encrypted, length));
        let url = format!(
            "srt://127.0.0.1:{}?mode=rendezvous&port={port}{}",
            called.port(),
            query(encrypted, length)
        );
        let (mut child, path) = transmit(&url, "file://con", &format!("meets-{encrypted}.ts"));
        called.send_all(SENT, payload);
        called.close();
        child.wait().expect("it ends by the goodbye");
        assert_payloads(&std::fs::read(&path).expect("a file"), 0, SENT - 1);
    }
}

#[test]
fn it_renews_its_keys_and_everything_arrives() {
    let mut served = Served::new();
    let port = free_port();
    let url = format!(
        "srt://{}?passphrase={PHRASE}&pbkeylen=16&kmrefreshrate=100&kmpreannounce=40",
        served.address()
    );
    let (mut child, _) = transmit(&format!("udp://127.0.0.1:{port}"), &url, "renews.ts");
    // Until the first arrives, nobody may be there to take it.
    let mut next = 0;
    let mut first = None;
    served.serve(
        |_| {
            Ok(Acceptance {
                passphrase: passphrase(true),
                config: config(),
            })
        },
        |served| {
            if first.is_none() && !served.received.is_empty() {
                first = Some(next);
            }
            if first.is_none_or(|first| next < first + SENT) {
                served.send_plain(port, &payload(next));
                next += 1;
            }
            first.is_some_and(|first| {
                served.received[served.received.len() - 1316..][..4]
                    == (first + SENT - 1).to_be_bytes()
            })
        },
    );
    let first = first.expect("something came");
    assert_payloads(&served.received, first, first + SENT - 1);
    let stats = served
        .listener
        .connection_stats(served.opened[0])
        .expect("open");
    assert!(stats.keys_received >= 3, "{stats:?}");
    assert_eq!((stats.undecryptable, stats.dropped), (0, 0));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
