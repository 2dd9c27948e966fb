//! Peers with other certificates than ours: FFmpeg's secp224r1, and RSA, which is refused by name where it does not sign.

mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::crypto::{CryptoProvider, KeyProvider, SigningKey, aws_lc_rs};
use dimpl::{CryptoError, Dtls, DtlsCertificate, HashAlgorithm, Output, SignatureAlgorithm};
use p224::ecdsa::signature::hazmat::PrehashSigner;
use p224::ecdsa::{DerSignature, Signature};
use roomtone_webrtc::stun::{IntegrityKey, StunClass, StunWriter};
use roomtone_webrtc::{
    CloseReason, DtlsRole, Fingerprint, FingerprintHash, FiveTuple, IceCredentials, Protocol,
    RemoteParameters, SeededRandom, Transport, TransportConfig, is_dtls,
};
use support::{
    Endpoint, Ours, World, certificate, client_address, credentials, server_address, udp,
};

/// Made with OpenSSL, see `vectors/README.md`.
const P224_CERTIFICATE: &[u8] = include_bytes!("vectors/p224_certificate.der");
const P224_SCALAR: [u8; 28] = [
    0x9b, 0xc9, 0xf4, 0x45, 0x05, 0x5d, 0x1a, 0xfc, 0xaa, 0x9f, 0x97, 0x33, 0xbb, 0x48, 0xd5, 0xd0,
    0x7c, 0x73, 0xdc, 0x7f, 0x0d, 0x04, 0xbe, 0x0c, 0x0a, 0x2a, 0x0f, 0xd4,
];
const RSA_CERTIFICATE: &[u8] = include_bytes!("vectors/rsa_certificate.der");

/// Signs with a P-224 key, whatever key is to be loaded: the certificate's or one beside it.
#[derive(Debug)]
struct P224Keys {
    right: bool,
}

struct P224Key(p224::ecdsa::SigningKey);

impl std::fmt::Debug for P224Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P224Key")
    }
}

impl KeyProvider for P224Keys {
    fn load_private_key(&self, _key: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let mut scalar = P224_SCALAR;
        scalar[27] ^= u8::from(!self.right);
        let key = p224::ecdsa::SigningKey::from_slice(&scalar)
            .map_err(|_| CryptoError::InvalidPrivateKey)?;
        Ok(Box::new(P224Key(key)))
    }
}

impl SigningKey for P224Key {
    fn sign(
        &mut self,
        data: &[u8],
        hash: HashAlgorithm,
        out: &mut dimpl::crypto::Buf,
    ) -> Result<(), CryptoError> {
        assert_eq!(hash, HashAlgorithm::SHA256);
        let hashed = Fingerprint::of(FingerprintHash::Sha256, data);
        let hashed: Vec<u8> = hashed
            .hex()
            .split(':')
            .map(|pair| u8::from_str_radix(pair, 16).expect("a fingerprint is hex"))
            .collect();
        let signature: Signature = self.0.sign_prehash(&hashed).expect("it signs");
        let signature: DerSignature = signature.to_der();
        out.clear();
        out.extend_from_slice(signature.as_bytes());
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

/// A peer as simple as FFmpeg's: one nominating check, then DTLS.
struct SimplePeer {
    dtls: Dtls,
    outbox: VecDeque<Vec<u8>>,
    next: Option<Instant>,
    answered: bool,
    connected: bool,
}

impl SimplePeer {
    fn new(
        certificate: DtlsCertificate,
        provider: CryptoProvider,
        active: bool,
        check: Vec<u8>,
        now: Instant,
    ) -> Self {
        let config = dimpl::Config::builder()
            .use_server_cookie(false)
            .with_crypto_provider(provider)
            .build()
            .expect("settings");
        let mut dtls = Dtls::new_12(Arc::new(config), certificate, now);
        dtls.set_active(active);
        Self {
            dtls,
            outbox: VecDeque::from([check]),
            next: None,
            answered: false,
            connected: false,
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.outbox.push_back(packet.to_vec()),
                Output::Connected => self.connected = true,
                Output::Timeout(at) => {
                    self.next = Some(at);
                    return;
                }
                _ => {}
            }
        }
    }
}

impl Endpoint for SimplePeer {
    fn receive(&mut self, _tuple: FiveTuple, data: &mut [u8], now: Instant) {
        self.answered = true;
        let _ = self.dtls.handle_timeout(now);
        if is_dtls(data) {
            // A refusal of ours is an error to the library; the test looks at our side.
            let _ = self.dtls.handle_packet(data);
        }
        self.drain();
    }

    fn transmit(&mut self, _now: Instant) -> Option<(FiveTuple, Vec<u8>)> {
        let tuple = FiveTuple {
            protocol: Protocol::Udp,
            local: client_address(),
            remote: server_address(),
        };
        self.outbox.pop_front().map(|bytes| (tuple, bytes))
    }

    fn timeout(&mut self, now: Instant) {
        let _ = self.dtls.handle_timeout(now);
        self.drain();
    }

    fn next(&mut self) -> Option<Instant> {
        self.next.filter(|_| self.answered)
    }
}

fn world(
    certificate_der: &[u8],
    provider: CryptoProvider,
    key: Vec<u8>,
    we_are_active: bool,
) -> World<Ours, SimplePeer> {
    let now = support::epoch();
    let (ours, theirs): (IceCredentials, IceCredentials) = (credentials(1), credentials(2));
    let check = StunWriter::binding(StunClass::Request, &[5; 12])
        .username(&format!("{}:{}", ours.ufrag, theirs.ufrag))
        .priority(1)
        .use_candidate()
        .controlling(1)
        .integrity(&IntegrityKey::new(&ours.pwd))
        .finish();
    let config = TransportConfig::lite(ours, vec![udp(server_address())], certificate());
    let mut transport = Transport::new(config, now, Box::new(SeededRandom::new(1)));
    let remote = RemoteParameters {
        ice: Some(theirs),
        ice_lite: false,
        candidates: Vec::new(),
        dtls_role: if we_are_active {
            DtlsRole::Active
        } else {
            DtlsRole::Passive
        },
        fingerprints: vec![Fingerprint::of(FingerprintHash::Sha256, certificate_der)],
    };
    transport.connect(remote, now).expect("it connects");
    let certificate = DtlsCertificate {
        certificate: certificate_der.to_vec(),
        private_key: key,
    };
    let peer = SimplePeer::new(certificate, provider, !we_are_active, check, now);
    World::new(Ours::new(transport), peer, client_address(), now, 1)
}

#[test]
fn a_peer_with_a_secp224r1_certificate_is_verified_in_either_role() {
    for we_are_active in [false, true] {
        let provider = CryptoProvider {
            key_provider: &P224Keys { right: true },
            ..aws_lc_rs::default_provider()
        };
        let mut world = world(P224_CERTIFICATE, provider, vec![1], we_are_active);
        let done = world.run_until(Duration::from_secs(10), |world| {
            world.a.transport.is_writable() && world.b.connected
        });
        assert!(done, "active {we_are_active}: {:?}", world.a.events);
    }
}

#[test]
fn a_secp224r1_certificate_signed_for_by_another_key_is_refused() {
    let wrong_key = CryptoProvider {
        key_provider: &P224Keys { right: false },
        ..aws_lc_rs::default_provider()
    };
    for we_are_active in [false, true] {
        for provider in [wrong_key.clone(), aws_lc_rs::default_provider()] {
            let key = dimpl::certificate::generate_self_signed_certificate()
                .expect("a key")
                .private_key;
            let mut world = world(P224_CERTIFICATE, provider, key, we_are_active);
            world.run_for(Duration::from_secs(10));
            let reason = world.a.closed().map(|(reason, _)| reason);
            assert_eq!(
                reason,
                Some(CloseReason::DtlsFailed),
                "active {we_are_active}: {:?}",
                world.a.events
            );
            assert!(!world.a.transport.is_writable());
        }
    }
}

#[test]
fn an_rsa_certificate_beside_another_signature_is_refused_by_name() {
    for we_are_active in [false, true] {
        let key = dimpl::certificate::generate_self_signed_certificate()
            .expect("a key")
            .private_key;
        let mut world = world(
            RSA_CERTIFICATE,
            aws_lc_rs::default_provider(),
            key,
            we_are_active,
        );
        world.run_for(Duration::from_secs(10));
        let (reason, detail) = world.a.closed().expect("closed");
        assert_eq!(
            reason,
            CloseReason::DtlsRsaUnsupported,
            "active {we_are_active}: {detail}"
        );
        assert_eq!(reason.as_str(), "dtls_rsa_unsupported");
    }
}

#[test]
fn a_server_that_refuses_our_ecdsa_suites_is_taken_for_rsa() {
    let key = dimpl::certificate::generate_self_signed_certificate()
        .expect("a key")
        .private_key;
    let mut world = world(RSA_CERTIFICATE, aws_lc_rs::default_provider(), key, true);
    let tuple = FiveTuple {
        protocol: Protocol::Udp,
        local: server_address(),
        remote: client_address(),
    };
    // What OpenSSL with an RSA certificate answers to a ClientHello without RSA suites: alert 40, epoch 0.
    world.run_for(Duration::from_millis(30));
    world.inject(
        0,
        tuple,
        &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40],
    );
    world.run_for(Duration::from_millis(1));
    assert_eq!(
        world.a.closed().map(|(reason, _)| reason),
        Some(CloseReason::DtlsRsaUnsupported)
    );
}

#[test]
fn damaged_certificates_are_never_a_panic() {
    for original in [P224_CERTIFICATE, RSA_CERTIFICATE] {
        for index in 0..original.len() {
            let mut damaged = original.to_vec();
            damaged[index] ^= 0xff;
            let key = dimpl::certificate::generate_self_signed_certificate()
                .expect("a key")
                .private_key;
            if index % 23 != 0 {
                continue;
            }
            let mut world = world(&damaged, aws_lc_rs::default_provider(), key, false);
            world.run_for(Duration::from_secs(2));
            assert!(!world.a.transport.is_writable(), "byte {index}");
        }
    }
}
