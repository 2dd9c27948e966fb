//! Many callers of one listener, each over a line of its own, in virtual time.

mod sim;

use roomtone_netem::{Link, LinkConfig};
use roomtone_srt::{
    Acceptance, ConnectionConfig, ConnectionId, DialConfig, Dialer, Listener, ListenerConfig,
    ListenerEvent, MAX_DATAGRAM, StreamId,
};
use sim::{Delivered, address, assert_whole, delivered, origin, payload};
use std::collections::HashMap;
use std::time::Duration;

const CALLERS: u16 = 25;
const SENT: u32 = 1000;

#[test]
fn twenty_five_callers_are_kept_apart_and_lose_nothing() {
    let began = origin();
    let connection = ConnectionConfig {
        latency: Duration::from_millis(200),
        ..ConnectionConfig::default()
    };
    let line = LinkConfig {
        loss: 0.02,
        delay: Duration::from_millis(20),
        ..LinkConfig::default()
    };
    let link = |seed| Link::new(line.clone(), seed).expect("a link");
    let mut callers: Vec<(Dialer, Link, Link)> = (0..CALLERS)
        .map(|caller| {
            let dial = DialConfig {
                connection,
                stream_id: format!("publish:stage{caller}"),
                ..DialConfig::default()
            };
            let secret = [caller as u8; 32];
            let dialer = Dialer::call(address(8890), dial, &secret, began).expect("a dialer");
            let seed = u64::from(caller);
            (dialer, link(seed), link(seed + 500))
        })
        .collect();
    let mut listener = Listener::new(ListenerConfig::default(), &[99; 32], began);
    let mut names: HashMap<ConnectionId, String> = HashMap::new();
    let mut came: HashMap<ConnectionId, Vec<Delivered>> = HashMap::new();
    let mut sent = [0; CALLERS as usize];
    let mut closed = 0;
    let mut out = [0; MAX_DATAGRAM];
    for step in 0..9000_u32 {
        let elapsed = Duration::from_millis(u64::from(step));
        let now = began + elapsed;
        for (at, (dialer, up, down)) in callers.iter_mut().enumerate() {
            while let Some(mut datagram) = down.poll(now) {
                dialer.handle_datagram(&mut datagram, now);
            }
            dialer.handle_timeout(now);
            // One packet in 6 ms, of 1,316 bytes: 1.75 Mbit/s.
            if step % 6 == at as u32 % 6
                && sent[at] < SENT
                && dialer.send(&payload(sent[at], elapsed), now).is_ok()
            {
                sent[at] += 1;
            }
            if step == 8000 {
                dialer.close();
            }
            while let Some(len) = dialer.poll_transmit(now, &mut out) {
                up.send(now, out[..len].to_vec());
            }
            while let Some(mut datagram) = up.poll(now) {
                listener.handle_datagram(address(5000 + at as u16), &mut datagram, now);
            }
        }
        listener.handle_timeout(now);
        while let Some(request) = listener.poll_request() {
            let name = StreamId::parse(&request.stream_id)
                .expect("a stream id")
                .name;
            assert_eq!(name, format!("stage{}", request.remote.port() - 5000));
            let acceptance = Acceptance {
                config: connection,
                ..Acceptance::default()
            };
            let id = listener
                .accept(request.id, acceptance, now)
                .expect("agreed");
            assert!(names.insert(id, name).is_none());
        }
        while let Some((id, message)) = listener.poll_message(now) {
            let message = delivered(message.payload, message.lost_before, elapsed);
            came.entry(id).or_default().push(message);
        }
        while let Some(transmit) = listener.poll_transmit(now, &mut out) {
            let at = usize::from(transmit.to.port() - 5000);
            callers[at].2.send(now, out[..transmit.len].to_vec());
        }
        while let Some(ListenerEvent::Closed { stats, .. }) = listener.poll_event() {
            assert_eq!((stats.received, stats.dropped), (u64::from(SENT), 0));
            closed += 1;
        }
        if step == 7999 {
            assert_eq!(listener.connections(), usize::from(CALLERS));
        }
    }
    assert_eq!(came.len(), usize::from(CALLERS));
    for messages in came.values() {
        assert_whole(messages, SENT);
    }
    // A goodbye that was lost leaves silence.
    assert!(closed >= CALLERS - 3, "{closed} closed");
    assert_eq!(listener.stats().strangers, 0);
}
