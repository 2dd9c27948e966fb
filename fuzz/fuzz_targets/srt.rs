//! Invariant: whatever datagrams come, an open connection holds no more than its window, and who was given no cookie
//! opens none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_srt::{
    Acceptance, ConnectionConfig, DialConfig, Dialer, Listener, ListenerConfig, MAX_DATAGRAM,
    Passphrase,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const WINDOW: u32 = 64;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let mut now = Instant::now();
    let passphrase =
        (choice & 1 != 0).then(|| Passphrase::new("a phrase of some length").expect("long enough"));
    let connection = ConnectionConfig {
        receive_window: WINDOW,
        send_window: WINDOW,
        ..ConnectionConfig::default()
    };
    let dial = DialConfig {
        passphrase: passphrase.clone(),
        connection,
        ..DialConfig::default()
    };
    let mut dialer = Dialer::call(address(1), dial, &[1; 32], now).expect("a dialer");
    let mut listener = Listener::new(ListenerConfig::default(), &[2; 32], now);
    let mut out = [0; MAX_DATAGRAM];
    let mut accepted = None;
    for _ in 0..3 {
        while let Some(len) = dialer.poll_transmit(now, &mut out) {
            listener.handle_datagram(address(2), &mut out[..len], now);
        }
        if let Some(request) = listener.poll_request() {
            let acceptance = Acceptance {
                passphrase: passphrase.clone(),
                config: connection,
            };
            accepted = listener.accept(request.id, acceptance, now).ok();
        }
        while let Some(transmit) = listener.poll_transmit(now, &mut out) {
            dialer.handle_datagram(&mut out[..transmit.len], now);
        }
    }
    let accepted = accepted.expect("they agree");
    dialer.send(&[1; 100], now).expect("they are connected");
    let len = dialer.poll_transmit(now, &mut out).expect("a packet");
    let mut socket = [0; 4];
    socket.copy_from_slice(&out[12..16]);
    listener.handle_datagram(address(2), &mut out[..len], now);
    // Datagrams behind a byte each: who sends it, how long after the one before, how long it is.
    while let [how, after, len, more @ ..] = rest {
        let (piece, left) = more.split_at(usize::from(*len).min(more.len()));
        rest = left;
        now += Duration::from_millis(u64::from(*after));
        let mut datagram = piece.to_vec();
        let peer = how & 1 != 0;
        if how & 2 != 0
            && let Some(destination) = datagram.get_mut(12..16)
        {
            destination.copy_from_slice(&socket);
        }
        if how & 4 != 0 {
            dialer.handle_datagram(&mut datagram.clone(), now);
        }
        let from = address(if peer { 2 } else { 3 });
        listener.handle_datagram(from, &mut datagram, now);
        let _ = listener.send(accepted, &[2; 100], now);
        listener.handle_timeout(now);
        dialer.handle_timeout(now);
        assert!(listener.poll_request().is_none());
        while listener.poll_message(now).is_some() {}
        while dialer.poll_message(now).is_some() {}
        while listener.poll_transmit(now, &mut out).is_some() {}
        while dialer.poll_transmit(now, &mut out).is_some() {}
        while dialer.poll_event().is_some() {}
        while listener.poll_event().is_some() {}
        if let Some(stats) = listener.connection_stats(accepted) {
            assert!(stats.waiting + stats.missing <= WINDOW as usize);
        }
        assert!(listener.next_timeout().is_none_or(|at| at > now));
    }
});
