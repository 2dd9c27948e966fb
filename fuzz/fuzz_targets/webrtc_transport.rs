//! Invariant: whoever does not know the ICE password selects no pair, and whoever does not hold
//! the certificate gets no keys, whatever datagrams he sends.
#![no_main]

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use roomtone_webrtc::stun::{IntegrityKey, StunClass, StunWriter};
use roomtone_webrtc::{
    Candidate, Certificate, DtlsRole, FiveTuple, IceCredentials, MAX_TRANSMIT_LEN, Protocol,
    RemoteParameters, SeededRandom, Transport, TransportConfig,
};

static CERTIFICATE: OnceLock<Arc<Certificate>> = OnceLock::new();

fn transport(choice: u8, now: Instant) -> Transport {
    let certificate = CERTIFICATE
        .get_or_init(|| Arc::new(Certificate::generate().expect("a certificate")))
        .clone();
    let credentials = |seed| IceCredentials::generate(&mut SeededRandom::new(seed));
    let candidates = vec![Candidate::host(Protocol::Udp, local(), 1)];
    let mut config = if choice & 1 == 0 {
        TransportConfig::lite(credentials(1), candidates, certificate.clone())
    } else {
        TransportConfig::full(
            credentials(1),
            candidates,
            certificate.clone(),
            choice & 2 == 0,
        )
    };
    config.sctp = choice & 4 == 0;
    let mut transport = Transport::new(config, now, Box::new(SeededRandom::new(3)));
    let remote = RemoteParameters {
        ice: Some(credentials(2)),
        ice_lite: false,
        candidates: Vec::new(),
        dtls_role: if choice & 8 == 0 {
            DtlsRole::Active
        } else {
            DtlsRole::Passive
        },
        fingerprints: vec![certificate.fingerprint().clone()],
    };
    transport.connect(remote, now).expect("it connects");
    transport
}

fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

/// One check by somebody who knows the password, so that DTLS from there is taken.
fn validate(transport: &mut Transport, tuple: FiveTuple, now: Instant) {
    let ours = IceCredentials::generate(&mut SeededRandom::new(1));
    let theirs = IceCredentials::generate(&mut SeededRandom::new(2));
    let mut check = StunWriter::binding(StunClass::Request, &[1; 12])
        .username(&format!("{}:{}", ours.ufrag, theirs.ufrag))
        .priority(1)
        .integrity(&IntegrityKey::new(&ours.pwd))
        .finish();
    transport
        .handle_datagram(tuple, &mut check, now)
        .expect("an authentic check is taken");
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else {
        return;
    };
    let mut now = Instant::now();
    let mut transport = transport(choice, now);
    let tuple = FiveTuple {
        protocol: Protocol::Udp,
        local: local(),
        remote: SocketAddr::from(([198, 51, 100, 1], 5)),
    };
    if choice & 16 == 0 {
        validate(&mut transport, tuple, now);
    }
    let mut out = [0; MAX_TRANSMIT_LEN];
    while let Some((&[high, low], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(tail.len());
        let (datagram, tail) = tail.split_at(length);
        rest = tail;
        let _ = transport.handle_datagram(tuple, &mut datagram.to_vec(), now);
        now += Duration::from_millis(100);
        transport.handle_timeout(now);
        while transport.poll_transmit(&mut out).is_some() {}
        while transport.poll_event().is_some() {}
        assert!(transport.selected().is_none());
        assert!(!transport.is_writable());
    }
});
