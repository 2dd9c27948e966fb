//! DTLS-SRTP on a path of its own, without ICE (RFC 5764): keys for the media between two addresses.

use std::collections::VecDeque;
use std::time::Instant;

use roomtone_srtp::{Opener, Sealer};

use crate::certificate::{Certificate, Fingerprint, Proven};
use crate::config::DtlsRole;
use crate::dtls::{DtlsFailure, DtlsOutput, DtlsSession, srtp_contexts};
use crate::event::{CloseReason, DtlsState};

/// What a handshake comes to.
#[derive(Debug)]
pub enum DtlsSrtpEvent {
    /// The peer has the certificate that was signalled; these are the keys.
    Ready {
        /// For what we send.
        sealer: Box<Sealer>,
        /// For what the peer sends.
        opener: Box<Opener>,
    },
    /// It is over; nothing follows.
    Ended {
        /// Why.
        reason: CloseReason,
        /// What was tried.
        detail: String,
    },
}

/// One association that makes SRTP keys.
///
/// Inputs: `handle_datagram` and `handle_timeout`, with the time; `close`. Outputs: `poll_transmit` and `poll_event`,
/// both until empty after each input and once after it was made, then `next_timeout`. Order: `Ended` comes last. Limits: it
/// has no time limit of its own; whoever made it gives up on it. Whose datagrams it is given is its owner's business:
/// that the keys are the peer's is known by the certificate.
pub struct DtlsSrtp {
    session: DtlsSession,
    state: DtlsState,
    has_keys: bool,
    /// Datagrams taken so far.
    heard: u64,
    transmit: VecDeque<Vec<u8>>,
    events: VecDeque<DtlsSrtpEvent>,
}

impl DtlsSrtp {
    /// Begins; as the client with the first flight. `Auto` waits for the peer's. The fingerprints are those of which the
    /// peer's certificate must have one.
    pub fn new(
        certificate: &Certificate,
        role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
        now: Instant,
    ) -> Self {
        let active = role == DtlsRole::Active;
        let mut new = Self {
            session: DtlsSession::new(certificate, Proven::ByNothing, active, fingerprints, now),
            state: DtlsState::Connecting,
            has_keys: false,
            heard: 0,
            transmit: VecDeque::new(),
            events: VecDeque::new(),
        };
        let begun = new.session.handle_timeout(now);
        new.take(begun);
        new
    }

    /// The state of the handshake.
    pub fn state(&self) -> DtlsState {
        self.state
    }

    /// Takes a DTLS datagram.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        if !self.is_over() {
            self.heard += 1;
            let handled = self.session.handle_packet(datagram, now);
            self.take(handled);
        }
    }

    /// Repeats flights that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_some_and(|next| next <= now) {
            let handled = self.session.handle_timeout(now);
            self.take(handled);
        }
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.session
            .next_timeout()
            .filter(|_| !self.is_over() && self.may_repeat())
    }

    /// A datagram for the peer.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// What came of it.
    pub fn poll_event(&mut self) -> Option<DtlsSrtpEvent> {
        self.events.pop_front()
    }

    /// Ends in order: the peer is told by the last datagram.
    pub fn close(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        self.session.close(now);
        while let Some(output) = self.session.poll_output() {
            if let DtlsOutput::Packet(packet) = output {
                self.transmit.push_back(packet);
            }
        }
        self.state = DtlsState::Closed;
    }

    fn is_over(&self) -> bool {
        matches!(self.state, DtlsState::Closed | DtlsState::Failed)
    }

    /// A first question may come from an address that is not its sender's: its answer is not repeated (RFC 6347 section
    /// 4.2.1), and a client that lost it asks again.
    fn may_repeat(&self) -> bool {
        self.session.is_active() || self.heard > 1
    }

    /// Takes the outputs first: an error may leave an alert for the peer.
    fn take(&mut self, result: Result<(), DtlsFailure>) {
        while let Some(output) = self.session.poll_output() {
            match output {
                DtlsOutput::Packet(packet) => self.transmit.push_back(packet),
                DtlsOutput::Connected => self.state = DtlsState::Connected,
                DtlsOutput::Keys(profile, material) => {
                    match srtp_contexts(profile, &material, self.session.is_active()) {
                        Ok((sealer, opener)) => {
                            self.has_keys = true;
                            self.events.push_back(DtlsSrtpEvent::Ready {
                                sealer: Box::new(sealer),
                                opener: Box::new(opener),
                            });
                        }
                        Err(detail) => self.end(CloseReason::DtlsFailed, detail),
                    }
                }
                // Nothing but keys is wanted here.
                DtlsOutput::Data(_) => {}
                DtlsOutput::Closed => {
                    self.state = DtlsState::Closed;
                    self.events.push_back(DtlsSrtpEvent::Ended {
                        reason: CloseReason::PeerClosed,
                        detail: String::new(),
                    });
                }
            }
        }
        if let Err(failure) = result {
            self.end(failure.reason, failure.detail);
        } else if self.state == DtlsState::Connected && !self.has_keys {
            let detail = "the peer offered no SRTP profile we know".to_owned();
            self.end(CloseReason::DtlsNoSrtpProfile, detail);
        }
    }

    fn end(&mut self, reason: CloseReason, detail: String) {
        if !self.is_over() {
            self.state = DtlsState::Failed;
            self.events
                .push_back(DtlsSrtpEvent::Ended { reason, detail });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
    fn beginning() -> Instant {
        Instant::now()
    }

    struct End {
        dtls: DtlsSrtp,
        events: Vec<DtlsSrtpEvent>,
    }

    impl End {
        fn new(
            certificate: &Certificate,
            role: DtlsRole,
            peer: &Certificate,
            now: Instant,
        ) -> Self {
            let fingerprints = vec![peer.fingerprint().clone()];
            Self {
                dtls: DtlsSrtp::new(certificate, role, fingerprints, now),
                events: Vec::new(),
            }
        }

        /// What it sends now.
        fn drain(&mut self) -> Vec<Vec<u8>> {
            while let Some(event) = self.dtls.poll_event() {
                self.events.push(event);
            }
            std::iter::from_fn(|| self.dtls.poll_transmit()).collect()
        }
    }

    /// Carries datagrams until nothing moves for two seconds of virtual time; every `lost`-th is lost.
    fn run(one: &mut End, other: &mut End, mut now: Instant, lost: usize) -> Instant {
        let mut carried = 0;
        let end = now + Duration::from_secs(20);
        while now < end {
            for (from, to) in [(&mut *one, &mut *other)] {
                for packet in from.drain() {
                    carried += 1;
                    if carried % lost != 0 {
                        to.dtls.handle_datagram(&packet, now);
                    }
                }
                for packet in to.drain() {
                    carried += 1;
                    if carried % lost != 0 {
                        from.dtls.handle_datagram(&packet, now);
                    }
                }
            }
            now += Duration::from_millis(20);
            one.dtls.handle_timeout(now);
            other.dtls.handle_timeout(now);
        }
        one.drain();
        other.drain();
        now
    }

    fn keys(end: End) -> (Sealer, Opener) {
        match end.events.into_iter().next() {
            Some(DtlsSrtpEvent::Ready { sealer, opener }) => (*sealer, *opener),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_ends_agree_on_keys_though_datagrams_are_lost() {
        let (a, b) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        for lost in [usize::MAX, 3, 4, 5] {
            let now = beginning();
            let mut client = End::new(&a, DtlsRole::Active, &b, now);
            let mut server = End::new(&b, DtlsRole::Passive, &a, now);
            run(&mut client, &mut server, now, lost);
            assert_eq!(client.dtls.state(), DtlsState::Connected, "every {lost}-th");
            let ((mut seal, _), (_, mut open)) = (keys(client), keys(server));
            let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3];
            let clear = packet.clone();
            packet.resize(64, 0);
            let len = seal.seal_rtp(&mut packet, clear.len()).unwrap();
            let len = open.open_rtp(&mut packet[..len]).unwrap();
            assert_eq!(&packet[..len], &clear);
        }
    }

    #[test]
    fn another_certificate_than_the_signalled_one_gets_no_keys() {
        let (a, b, other) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        let now = beginning();
        let mut client = End::new(&other, DtlsRole::Active, &b, now);
        let mut server = End::new(&b, DtlsRole::Passive, &a, now);
        run(&mut client, &mut server, now, usize::MAX);
        assert!(matches!(
            server.events[..],
            [DtlsSrtpEvent::Ended {
                reason: CloseReason::DtlsFingerprintMismatch,
                ..
            }]
        ));
        assert_eq!(server.dtls.state(), DtlsState::Failed);
    }

    #[test]
    fn the_first_answer_to_an_address_that_nothing_proves_is_shorter_than_the_question() {
        let (a, b) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        let now = beginning();
        let mut client = End::new(&a, DtlsRole::Active, &b, now);
        let mut server = End::new(&b, DtlsRole::Passive, &a, now);
        let hello = client.drain().remove(0);
        server.dtls.handle_datagram(&hello, now);
        let answers = server.drain();
        assert_eq!(answers.len(), 1);
        assert!(answers[0].len() < hello.len());
        server.dtls.handle_timeout(now + Duration::from_secs(10));
        assert!(server.drain().is_empty(), "nothing is repeated");
    }

    #[test]
    fn the_end_of_one_side_is_told_to_the_other() {
        let (a, b) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        let now = beginning();
        let mut client = End::new(&a, DtlsRole::Active, &b, now);
        let mut server = End::new(&b, DtlsRole::Passive, &a, now);
        let now = run(&mut client, &mut server, now, usize::MAX);
        client.dtls.close(now);
        for packet in client.drain() {
            server.dtls.handle_datagram(&packet, now);
        }
        server.drain();
        assert!(matches!(
            server.events[..],
            [
                DtlsSrtpEvent::Ready { .. },
                DtlsSrtpEvent::Ended {
                    reason: CloseReason::PeerClosed,
                    ..
                }
            ]
        ));
    }
}
