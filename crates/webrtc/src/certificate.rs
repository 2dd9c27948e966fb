//! Our certificate, and the peer's by its fingerprint.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;

use crate::verifier;

/// The first repetition of a DTLS flight; later ones double it. RFC 6347's second is slow for a page that opens.
const FIRST_FLIGHT_RTO: Duration = Duration::from_millis(200);
/// The transport's deadline ends a handshake, not the library: see `dtls` for its own time.
const FLIGHT_RETRIES: usize = 1000;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_hours(30 * 24);
/// Largest DTLS datagram we send: SCTP packets of `sctp::MTU` and a record's 37 bytes fit.
const DTLS_MTU: usize = 1200;

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The crypto library could not make one.
    #[error("cannot generate a certificate")]
    Generate,
    /// The private key does not load: it has to be ECDSA on P-256 or P-384, PKCS#8 or SEC1.
    #[error("the private key is not ECDSA on P-256 or P-384")]
    PrivateKey,
    /// The certificate is empty.
    #[error("empty certificate")]
    Empty,
    /// The DTLS library refused its settings.
    #[error("DTLS settings: {0}")]
    Settings(String),
    /// A fingerprint's hash has no name we know.
    #[error("unknown fingerprint hash")]
    UnknownHash,
    /// A fingerprint is not colon-separated hex of its hash's length.
    #[error("malformed fingerprint")]
    MalformedFingerprint,
}

/// A self-signed certificate with its key, made once and shared by all transports.
pub struct Certificate {
    dtls: dimpl::DtlsCertificate,
    settings: Arc<dimpl::Config>,
    /// For handshakes with addresses that nothing has proven.
    wary_settings: Arc<dimpl::Config>,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// Makes an ECDSA P-256 certificate valid for a year.
    pub fn generate() -> Result<Self, CertificateError> {
        let dtls = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|_| CertificateError::Generate)?;
        Self::assemble(dtls)
    }

    /// Takes a certificate and its ECDSA private key, both DER.
    pub fn from_der(certificate: Vec<u8>, private_key: Vec<u8>) -> Result<Self, CertificateError> {
        Self::assemble(dimpl::DtlsCertificate {
            certificate,
            private_key,
        })
    }

    fn assemble(dtls: dimpl::DtlsCertificate) -> Result<Self, CertificateError> {
        if dtls.certificate.is_empty() {
            return Err(CertificateError::Empty);
        }
        let provider = verifier::crypto_provider();
        // The DTLS library panics on a key it cannot load, so ask first.
        provider
            .key_provider
            .load_private_key(&dtls.private_key)
            .map_err(|_| CertificateError::PrivateKey)?;
        let settings = |cookie| {
            dimpl::Config::builder()
                .mtu(DTLS_MTU)
                .use_server_cookie(cookie)
                .flight_start_rto(FIRST_FLIGHT_RTO)
                .flight_retries(FLIGHT_RETRIES)
                .handshake_timeout(HANDSHAKE_TIMEOUT)
                .with_crypto_provider(verifier::crypto_provider())
                .build()
                .map(Arc::new)
                .map_err(|error| CertificateError::Settings(error.to_string()))
        };
        let fingerprint = Fingerprint::of(FingerprintHash::Sha256, &dtls.certificate);
        Ok(Self {
            dtls,
            // ICE has proven the address, the cookie's round trip would prove it again.
            settings: settings(false)?,
            // A cookie keeps us from repeating long flights to an address that never asked (RFC 6347 section 4.2.1).
            wary_settings: settings(true)?,
            fingerprint,
        })
    }

    /// The SHA-256 fingerprint as SDP has it: upper case hex pairs with colons.
    pub fn fingerprint_sha256(&self) -> String {
        self.fingerprint.hex()
    }

    /// The SHA-256 fingerprint.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.dtls.certificate
    }

    pub(crate) fn dtls(&self) -> dimpl::DtlsCertificate {
        self.dtls.clone()
    }

    pub(crate) fn settings(&self, proven: Proven) -> Arc<dimpl::Config> {
        Arc::clone(match proven {
            Proven::ByIce => &self.settings,
            Proven::ByNothing => &self.wary_settings,
        })
    }
}

/// What has shown that the peer is where its packets seem to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proven {
    /// Connectivity checks.
    ByIce,
    /// Nothing yet.
    ByNothing,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint.hex())
            .finish_non_exhaustive()
    }
}

/// Hash functions of `a=fingerprint` (RFC 8122 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FingerprintHash {
    /// Old; still accepted because the handshake is authenticated by what signalling chose.
    Sha1,
    /// What everybody sends.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl FingerprintHash {
    /// By its name in SDP, any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Its name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// The hash of a certificate, as signalling carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    hash: FingerprintHash,
    value: Vec<u8>,
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(hash: FingerprintHash, certificate: &[u8]) -> Self {
        Self {
            hash,
            value: digest::digest(hash.algorithm(), certificate)
                .as_ref()
                .to_vec(),
        }
    }

    /// From the two words of `a=fingerprint`.
    pub fn parse(hash: &str, value: &str) -> Result<Self, CertificateError> {
        let hash = FingerprintHash::from_name(hash).ok_or(CertificateError::UnknownHash)?;
        let value: Option<Vec<u8>> = value.split(':').map(hex_pair).collect();
        let value = value.ok_or(CertificateError::MalformedFingerprint)?;
        if value.len() != hash.algorithm().output_len() {
            return Err(CertificateError::MalformedFingerprint);
        }
        Ok(Self { hash, value })
    }

    /// The hash function.
    pub fn hash(&self) -> FingerprintHash {
        self.hash
    }

    /// Upper case hex pairs with colons.
    pub fn hex(&self) -> String {
        let pairs: Vec<String> = self
            .value
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        pairs.join(":")
    }

    /// Whether a certificate in DER has this fingerprint.
    pub fn matches(&self, certificate: &[u8]) -> bool {
        digest::digest(self.hash.algorithm(), certificate).as_ref() == self.value
    }
}

fn hex_pair(text: &str) -> Option<u8> {
    let valid = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_survives_its_text() {
        let certificate = Certificate::generate().unwrap();
        for hash in ["sha-1", "SHA-256", "sha-384", "sha-512"] {
            let kind = FingerprintHash::from_name(hash).unwrap();
            let text = Fingerprint::of(kind, certificate.der()).hex();
            let parsed = Fingerprint::parse(hash, &text.to_lowercase()).unwrap();
            assert!(parsed.matches(certificate.der()));
            assert!(!parsed.matches(b"another certificate"));
        }
    }

    #[test]
    fn malformed_fingerprints_are_refused() {
        assert_eq!(
            Fingerprint::parse("md5", "AA"),
            Err(CertificateError::UnknownHash)
        );
        for text in ["", "AA", "GG:00", "+1:00", "AA:BB:"] {
            assert_eq!(
                Fingerprint::parse("sha-256", text),
                Err(CertificateError::MalformedFingerprint),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_that_does_not_load_is_an_error_and_no_panic() {
        let good = Certificate::generate().unwrap();
        assert!(matches!(
            Certificate::from_der(good.der().to_vec(), vec![1, 2]),
            Err(CertificateError::PrivateKey)
        ));
        assert!(matches!(
            Certificate::from_der(Vec::new(), Vec::new()),
            Err(CertificateError::Empty)
        ));
    }
}
