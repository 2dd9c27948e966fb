//! Checks, nomination, consent, restart and migration of the lite responder and the full agent.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roomtone_webrtc::stun::{IntegrityKey, StunClass, StunMessage, StunWriter};
use roomtone_webrtc::{
    CloseReason, FiveTuple, IceCredentials, IceState, MAX_TRANSMIT_LEN, Protocol, Random,
    SeededRandom, Transport, TransportConfig, TransportEvent,
};
use support::{Pair, certificate, client_address, credentials, server_address, udp};

/// A lite transport under hand-made checks.
struct Lite {
    transport: Transport,
    ours: IceCredentials,
    theirs: IceCredentials,
    now: Instant,
}

struct Check {
    username: Option<String>,
    password: Option<String>,
    use_candidate: bool,
    priority: u32,
    controlled: bool,
    unknown: bool,
}

impl Lite {
    fn new() -> Self {
        let now = support::epoch();
        let (ours, theirs) = (credentials(1), credentials(2));
        let config =
            TransportConfig::lite(ours.clone(), vec![udp(server_address())], certificate());
        let mut transport = Transport::new(config, now, Box::new(SeededRandom::new(1)));
        transport
            .set_remote_ice(theirs.clone(), now)
            .expect("it is open");
        Self {
            transport,
            ours,
            theirs,
            now,
        }
    }

    fn good(&self) -> Check {
        Check {
            username: Some(format!("{}:{}", self.ours.ufrag, self.theirs.ufrag)),
            password: Some(self.ours.pwd.clone()),
            use_candidate: false,
            priority: 100,
            controlled: false,
            unknown: false,
        }
    }

    /// Sends a check and returns what the responder answered.
    fn check(&mut self, from: FiveTuple, check: &Check) -> Option<Vec<u8>> {
        let mut writer = StunWriter::binding(StunClass::Request, b"transaction!");
        if let Some(username) = &check.username {
            writer = writer.username(username);
        }
        writer = writer.priority(check.priority);
        if check.use_candidate {
            writer = writer.use_candidate();
        }
        writer = if check.controlled {
            writer.controlled(1)
        } else {
            writer.controlling(1)
        };
        if check.unknown {
            writer = writer.attribute(0x7abc, &[1, 2, 3, 4]);
        }
        if let Some(password) = &check.password {
            writer = writer.integrity(&IntegrityKey::new(password));
        }
        let mut datagram = writer.finish();
        let _ = self
            .transport
            .handle_datagram(from, &mut datagram, self.now);
        let mut buffer = [0; MAX_TRANSMIT_LEN];
        let answer = self.transport.poll_transmit(&mut buffer)?;
        assert_eq!(answer.tuple, from, "answers go where the check came from");
        assert!(
            self.transport.poll_transmit(&mut buffer).is_none(),
            "one answer a check"
        );
        Some(buffer[..answer.len].to_vec())
    }

    fn nominate(&mut self, from: FiveTuple, priority: u32) {
        let check = Check {
            use_candidate: true,
            priority,
            ..self.good()
        };
        self.succeed(from, &check);
    }

    fn probe(&mut self, from: FiveTuple, priority: u32) {
        let check = Check {
            priority,
            ..self.good()
        };
        self.succeed(from, &check);
    }

    fn succeed(&mut self, from: FiveTuple, check: &Check) {
        let answer = self.check(from, check).expect("an answer");
        let answer = StunMessage::parse(&answer).expect("answers parse");
        assert_eq!(
            answer.class,
            StunClass::Success,
            "error {:?}",
            answer.error_code
        );
    }

    fn events(&mut self) -> Vec<TransportEvent> {
        std::iter::from_fn(|| self.transport.poll_event()).collect()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.transport.handle_timeout(self.now);
    }
}

fn from(port: u16) -> FiveTuple {
    let remote = SocketAddr::new(client_address().ip(), port);
    FiveTuple {
        protocol: Protocol::Udp,
        local: server_address(),
        remote,
    }
}

fn error_code(answer: Option<&Vec<u8>>) -> Option<u16> {
    StunMessage::parse(answer?)
        .expect("answers parse")
        .error_code
}

#[test]
fn a_check_is_answered_with_the_address_it_came_from() {
    let mut lite = Lite::new();
    let check = lite.good();
    let answer = lite.check(from(1), &check).expect("an answer");
    let message = StunMessage::parse(&answer).expect("it parses");
    assert_eq!(message.class, StunClass::Success);
    assert_eq!(message.transaction, *b"transaction!");
    assert_eq!(message.mapped_address, Some(from(1).remote));
    assert!(message.verify_integrity(&IntegrityKey::new(&lite.ours.pwd)));
    assert!(message.has_fingerprint);
    assert_eq!(lite.transport.selected(), None, "not nominated yet");
    assert!(lite.events().contains(&TransportEvent::Validated(from(1))));
}

#[test]
fn bad_checks_get_their_error_and_change_nothing() {
    let mut lite = Lite::new();
    let good = lite.good();
    let cases = [
        (
            Check {
                username: None,
                ..lite.good()
            },
            Some(400),
        ),
        (
            Check {
                password: None,
                ..lite.good()
            },
            Some(400),
        ),
        (
            Check {
                password: Some("forged".to_owned()),
                use_candidate: true,
                ..lite.good()
            },
            Some(401),
        ),
        (
            Check {
                username: Some("nobody:x".to_owned()),
                ..lite.good()
            },
            Some(401),
        ),
        (
            Check {
                username: Some(format!(
                    "{}:x",
                    good.username.as_deref().unwrap_or("").len()
                )),
                ..lite.good()
            },
            Some(401),
        ),
        (
            Check {
                unknown: true,
                ..lite.good()
            },
            Some(420),
        ),
        (
            Check {
                controlled: true,
                use_candidate: true,
                ..lite.good()
            },
            Some(487),
        ),
    ];
    let count = cases.len() as u64;
    for (check, expected) in cases {
        let answer = lite.check(from(1), &check);
        assert_eq!(error_code(answer.as_ref()), expected);
    }
    let stats = lite.transport.stats();
    assert_eq!(stats.counters.stun_dropped, count);
    assert_eq!(stats.counters.stun_errors_sent, count);
    assert_eq!(stats.counters.stun_requests, 0);
    assert_eq!(stats.selected, None);
    assert_eq!(stats.ice_state, IceState::New);
    assert_eq!(lite.events(), vec![]);
}

#[test]
fn an_unauthenticated_source_never_gets_more_than_it_sent() {
    let mut lite = Lite::new();
    let mut datagram = StunWriter::binding(StunClass::Request, &[0; 12]).finish();
    let result = lite
        .transport
        .handle_datagram(from(1), &mut datagram, lite.now);
    assert!(result.is_err());
    let mut buffer = [0; MAX_TRANSMIT_LEN];
    assert!(lite.transport.poll_transmit(&mut buffer).is_none());
}

#[test]
fn garbage_is_counted_and_never_answered() {
    let mut lite = Lite::new();
    let mut random = SeededRandom::new(99);
    for _ in 0..20_000 {
        let mut datagram = vec![0; (random.next_u64() % 200) as usize];
        random.fill(&mut datagram);
        if random.next_u64().is_multiple_of(3) && datagram.len() > 8 {
            // STUN by its first bytes.
            datagram[0] &= 3;
            datagram[4..8].copy_from_slice(&roomtone_webrtc::stun::MAGIC_COOKIE);
        }
        assert!(
            lite.transport
                .handle_datagram(from(9), &mut datagram, lite.now)
                .is_err()
        );
    }
    let counters = lite.transport.stats().counters;
    let dropped = counters.stun_dropped
        + counters.dtls_dropped
        + counters.unknown_dropped
        + counters.early_media_dropped;
    assert_eq!(dropped, 20_000);
    assert!(counters.stun_dropped > 1000);
    let mut buffer = [0; MAX_TRANSMIT_LEN];
    assert!(lite.transport.poll_transmit(&mut buffer).is_none());
    assert_eq!(lite.events(), vec![]);
}

#[test]
fn regular_nomination_selects_once_and_follows_a_later_choice() {
    let mut lite = Lite::new();
    lite.probe(from(1), 200);
    lite.probe(from(2), 100);
    assert_eq!(lite.transport.selected(), None);
    lite.nominate(from(1), 200);
    assert_eq!(lite.transport.selected(), Some(from(1)));
    // The peer changes networks: a pair of lower priority is its new choice.
    lite.nominate(from(2), 100);
    assert_eq!(lite.transport.selected(), Some(from(2)));
    // The old pair is still checked, without nomination.
    lite.probe(from(1), 200);
    lite.nominate(from(2), 100);
    assert_eq!(lite.transport.selected(), Some(from(2)));
    assert_eq!(lite.transport.stats().counters.pair_changes, 1);
}

#[test]
fn aggressive_nomination_settles_on_the_highest_priority() {
    let mut lite = Lite::new();
    for _ in 0..5 {
        for (port, priority) in [(1, 100), (2, 300), (3, 200)] {
            lite.nominate(from(port), priority);
        }
    }
    assert_eq!(lite.transport.selected(), Some(from(2)));
    let changes = lite.transport.stats().counters.pair_changes;
    for _ in 0..5 {
        for (port, priority) in [(1, 100), (2, 300), (3, 200)] {
            lite.nominate(from(port), priority);
        }
    }
    assert_eq!(
        lite.transport.stats().counters.pair_changes,
        changes,
        "no flapping"
    );
}

#[test]
fn udp_and_tcp_pairs_stand_side_by_side() {
    let mut lite = Lite::new();
    let tcp = FiveTuple {
        protocol: Protocol::Tcp,
        ..from(5)
    };
    lite.nominate(tcp, 50);
    assert_eq!(lite.transport.selected(), Some(tcp));
    lite.nominate(from(5), 100);
    assert_eq!(lite.transport.selected(), Some(from(5)));
    // UDP is cut: only TCP checks still arrive, without nomination at first.
    lite.wait(Duration::from_secs(11));
    lite.probe(tcp, 50);
    assert_eq!(lite.transport.selected(), Some(tcp));
}

#[test]
fn consent_runs_out_after_twenty_five_seconds_of_silence() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 1);
    assert_eq!(lite.transport.stats().ice_state, IceState::Connected);
    for _ in 0..10 {
        lite.wait(Duration::from_secs(5));
        lite.probe(from(1), 1);
    }
    assert_eq!(lite.transport.stats().ice_state, IceState::Connected);
    let start = lite.now;
    let mut states = Vec::new();
    while let Some(next) = lite.transport.next_timeout() {
        assert!(
            next > lite.now,
            "a deadline that has passed is not offered again"
        );
        lite.now = next;
        lite.transport.handle_timeout(next);
        states.push((next - start, lite.transport.stats().ice_state));
    }
    assert_eq!(
        states,
        vec![
            (Duration::from_secs(10), IceState::Disconnected),
            (Duration::from_secs(25), IceState::Failed)
        ]
    );
    assert_eq!(
        lite.transport.close_reason(),
        Some(CloseReason::ConsentExpired)
    );
    let events = lite.events();
    assert!(matches!(
        events.last(),
        Some(TransportEvent::Closed {
            reason: CloseReason::ConsentExpired,
            ..
        })
    ));
    let mut datagram = [0_u8; 30];
    assert!(
        lite.transport
            .handle_datagram(from(1), &mut datagram, lite.now)
            .is_err()
    );
}

#[test]
fn a_disconnected_peer_that_comes_back_is_connected_again() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 1);
    lite.wait(Duration::from_secs(15));
    assert_eq!(lite.transport.stats().ice_state, IceState::Disconnected);
    lite.probe(from(1), 1);
    assert_eq!(lite.transport.stats().ice_state, IceState::Connected);
}

#[test]
fn old_credentials_stay_valid_until_the_new_are_nominated() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 1);
    let (old_ours, old_theirs) = (lite.ours.clone(), lite.theirs.clone());
    let (new_ours, new_theirs) = (credentials(11), credentials(12));
    lite.transport
        .restart_ice(new_ours.clone(), lite.now)
        .expect("open");
    lite.transport
        .set_remote_ice(new_theirs.clone(), lite.now)
        .expect("open");
    assert_eq!(lite.transport.local_ufrag(), new_ours.ufrag);
    assert_eq!(lite.transport.selected(), Some(from(1)), "media goes on");
    lite.probe(from(1), 1);

    (lite.ours, lite.theirs) = (new_ours, new_theirs);
    lite.probe(from(1), 1);
    assert!(
        !retired(&lite.events(), &old_ours.ufrag),
        "a check alone does not complete the restart"
    );
    // The same addresses, nominated under the new credentials.
    lite.nominate(from(1), 1);
    assert_eq!(lite.transport.selected(), Some(from(1)));
    assert!(retired(&lite.events(), &old_ours.ufrag));

    (lite.ours, lite.theirs) = (old_ours, old_theirs);
    let check = lite.good();
    let answer = lite.check(from(1), &check);
    assert_eq!(error_code(answer.as_ref()), Some(401));
}

fn retired(events: &[TransportEvent], ufrag: &str) -> bool {
    events.contains(&TransportEvent::CredentialsRetired {
        ufrag: ufrag.to_owned(),
    })
}

#[test]
fn a_nomination_under_new_credentials_beats_any_under_old_ones() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 900);
    let old = lite.ours.clone();
    let new = credentials(11);
    lite.transport
        .restart_ice(new.clone(), lite.now)
        .expect("open");
    let theirs = lite.theirs.clone();
    lite.transport
        .set_remote_ice(theirs, lite.now)
        .expect("open");
    lite.ours = new;
    lite.nominate(from(2), 1);
    assert_eq!(lite.transport.selected(), Some(from(2)));
    assert!(retired(&lite.events(), &old.ufrag));
}

#[test]
fn a_pair_that_only_steps_in_for_a_silent_one_does_not_complete_a_restart() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 1);
    let (old_ours, old_theirs) = (lite.ours.clone(), lite.theirs.clone());
    let (new_ours, new_theirs) = (credentials(11), credentials(12));
    lite.transport
        .restart_ice(new_ours.clone(), lite.now)
        .expect("open");
    lite.transport
        .set_remote_ice(new_theirs.clone(), lite.now)
        .expect("open");
    lite.wait(Duration::from_secs(11));
    (lite.ours, lite.theirs) = (new_ours, new_theirs);
    lite.probe(from(2), 1);
    assert_eq!(lite.transport.selected(), Some(from(2)));
    (lite.ours, lite.theirs) = (old_ours, old_theirs);
    lite.probe(from(1), 1);
}

#[test]
fn a_restart_that_never_completed_is_replaced() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 1);
    let (second, third) = (credentials(21), credentials(31));
    lite.transport
        .restart_ice(second.clone(), lite.now)
        .expect("open");
    lite.transport
        .restart_ice(third.clone(), lite.now)
        .expect("open");
    assert!(retired(&lite.events(), &second.ufrag));
    assert_eq!(lite.transport.local_ufrag(), third.ufrag);
    lite.probe(from(1), 1);
}

#[test]
fn the_list_of_pairs_is_bounded_and_keeps_the_selected_one() {
    let mut lite = Lite::new();
    lite.nominate(from(1), 1);
    for port in 2..200 {
        lite.wait(Duration::from_millis(1));
        lite.probe(from(port), 1);
    }
    assert_eq!(lite.transport.selected(), Some(from(1)));
    assert_eq!(lite.transport.stats().counters.pairs_evicted, 198 - 31);
    assert!(lite.transport.ice_report().contains("more not listed"));
}

#[test]
fn dtls_from_an_address_without_a_check_is_dropped() {
    let mut lite = Lite::new();
    let mut datagram = [22_u8; 60];
    assert!(
        lite.transport
            .handle_datagram(from(1), &mut datagram, lite.now)
            .is_err()
    );
    assert_eq!(lite.transport.stats().counters.dtls_dropped, 1);
}

#[test]
fn dtls_is_answered_where_it_came_from_before_any_nomination() {
    let mut lite = Lite::new();
    let pair = Pair::lite(1);
    let remote = support::remote(&pair.client, false, roomtone_webrtc::DtlsRole::Passive);
    let remote = roomtone_webrtc::RemoteParameters {
        ice: Some(lite.theirs.clone()),
        ..remote
    };
    lite.probe(from(1), 1);
    lite.probe(from(2), 1);
    lite.transport.connect(remote, lite.now).expect("open");

    let certificate = dimpl::certificate::generate_self_signed_certificate().expect("one");
    let settings = std::sync::Arc::new(dimpl::Config::default());
    let mut client = dimpl::Dtls::new_12(settings, certificate, lite.now);
    client.set_active(true);
    client.handle_timeout(lite.now).expect("it starts");
    let mut buffer = [0; 2048];
    while let dimpl::Output::Packet(hello) = client.poll_output(&mut buffer) {
        let mut hello = hello.to_vec();
        let taken = lite
            .transport
            .handle_datagram(from(2), &mut hello, lite.now);
        assert!(taken.is_ok());
    }
    let answer = lite.transport.poll_transmit(&mut buffer).expect("a flight");
    assert!(roomtone_webrtc::is_dtls(&buffer[..answer.len]));
    assert_eq!(answer.tuple, from(2));
    assert_eq!(lite.transport.selected(), None);
}
