//! Invariant: whoever does not hold the signalled certificate gets no keys, whatever datagrams he sends.
#![no_main]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use roomtone_webrtc::{Certificate, DtlsRole, DtlsSrtp, DtlsSrtpEvent, DtlsState};

static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else {
        return;
    };
    let certificate = CERTIFICATE.get_or_init(|| Certificate::generate().expect("a certificate"));
    let role = if choice & 1 == 0 {
        DtlsRole::Passive
    } else {
        DtlsRole::Active
    };
    let mut now = Instant::now();
    let fingerprints = vec![certificate.fingerprint().clone()];
    let mut dtls = DtlsSrtp::new(certificate, role, fingerprints, now);
    while let Some((&[high, low], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(tail.len());
        let (datagram, tail) = tail.split_at(length);
        rest = tail;
        dtls.handle_datagram(datagram, now);
        now += Duration::from_millis(100);
        dtls.handle_timeout(now);
        while dtls.poll_transmit().is_some() {}
        while let Some(event) = dtls.poll_event() {
            assert!(!matches!(event, DtlsSrtpEvent::Ready { .. }));
        }
        assert_ne!(dtls.state(), DtlsState::Connected);
    }
});
