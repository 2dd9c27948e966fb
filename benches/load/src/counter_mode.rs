//! A DTLS client that offers no other SRTP profile than AES128_CM_HMAC_SHA1_80 (RFC 5764 4.1.2).
//!
//! dimpl always offers its three profiles. Here its `use_srtp` extension is overwritten on the way out, and wherever the
//! handshake's transcript is hashed or signed, so that both sides agree on what was said.

use std::sync::Arc;
use std::time::Instant;

use dimpl::crypto::{
    Buf, HashAlgorithm, HashContext, HashProvider, KeyProvider, SignatureAlgorithm, SigningKey,
};
use dimpl::{Config, CryptoError as DimplCryptoError, Dtls};
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
    SrtpProfile,
};
use str0m::crypto::{CryptoError, CryptoProvider, from_feature_flags};

/// What dimpl writes: type, lengths, AES-256-GCM, AES-128-GCM, AES-128-CM, no MKI.
const OFFERED: [u8; 13] = [0, 14, 0, 9, 0, 6, 0, 8, 0, 7, 0, 1, 0];
/// The same length with one profile named three times.
const WANTED: [u8; 13] = [0, 14, 0, 9, 0, 6, 0, 1, 0, 1, 0, 1, 0];

/// Overwrites the offer of SRTP profiles, if there is one.
pub(crate) fn overwrite(message: &mut [u8]) {
    let found = message
        .windows(OFFERED.len())
        .position(|part| part == OFFERED);
    if let Some(at) = found {
        message[at..at + WANTED.len()].copy_from_slice(&WANTED);
    }
}

fn overwritten(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    overwrite(&mut message);
    message
}

/// The crypto of str0m with this DTLS in it. What it sends must go through [`overwrite`].
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static DTLS: CounterModeDtls = CounterModeDtls;
    Arc::new(CryptoProvider {
        dtls_provider: &DTLS,
        ..from_feature_flags()
    })
}

#[derive(Debug)]
struct CounterModeDtls;

impl DtlsProvider for CounterModeDtls {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        _version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        static HASHES: Hashes = Hashes;
        static KEYS: Keys = Keys;
        let provider = dimpl::crypto::CryptoProvider {
            hash_provider: &HASHES,
            key_provider: &KEYS,
            ..dimpl::crypto::aws_lc_rs::default_provider()
        };
        let mut builder = Config::builder()
            .use_server_cookie(false)
            .with_crypto_provider(provider);
        if let Some(mtu) = mtu {
            builder = builder.mtu(mtu);
        }
        let config = builder
            .build()
            .map_err(|e| CryptoError::Other(e.to_string()))?;
        // DTLS 1.2 only: in 1.3 more is bound to the first message.
        Ok(Box::new(Instance(Dtls::new_12(
            Arc::new(config),
            cert.clone(),
            now,
        ))))
    }
}

struct Instance(Dtls);

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.0.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(_, profile) = &output {
            assert_eq!(
                *profile,
                SrtpProfile::AES128_CM_SHA1_80,
                "the only profile offered"
            );
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}

#[derive(Debug)]
struct Hashes;

impl HashProvider for Hashes {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        let inner = dimpl::crypto::aws_lc_rs::default_provider()
            .hash_provider
            .create_hash(algorithm);
        Box::new(Hash(inner))
    }
}

#[derive(Debug)]
struct Hash(Box<dyn HashContext>);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(&overwritten(data));
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        self.0.clone_and_finalize(out);
    }
}

#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key_der: &[u8]) -> Result<Box<dyn SigningKey>, DimplCryptoError> {
        let inner = dimpl::crypto::aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(key_der)?;
        Ok(Box::new(Key(inner)))
    }
}

#[derive(Debug)]
struct Key(Box<dyn SigningKey>);

impl SigningKey for Key {
    fn sign(
        &mut self,
        data: &[u8],
        hash_alg: HashAlgorithm,
        out: &mut Buf,
    ) -> Result<(), DimplCryptoError> {
        self.0.sign(&overwritten(data), hash_alg, out)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.0.hash_algorithm()
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        self.0.supported_hash_algorithms()
    }
}
