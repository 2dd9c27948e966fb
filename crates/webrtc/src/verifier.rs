//! Signatures of peers' certificates: what the DTLS library knows (P-256, P-384), P-224, which FFmpeg makes, and RSA.
//!
//! The library asks for ECDSA only, and OpenSSL and GnuTLS show nothing then. A client by mbedTLS shows the RSA certificate
//! that it has all the same, and signs with it.

use ::aws_lc_rs::digest;
use ::aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
};
use dimpl::crypto::{CryptoProvider, SignatureVerifier, aws_lc_rs};
use dimpl::{CryptoError, HashAlgorithm, SignatureAlgorithm};
use p224::ecdsa::signature::hazmat::PrehashVerifier;
use p224::ecdsa::{DerSignature, VerifyingKey};

use crate::x509;

/// The provider of the crypto library with our verifier in front.
pub(crate) fn crypto_provider() -> CryptoProvider {
    CryptoProvider {
        signature_verification: &VERIFIER,
        ..aws_lc_rs::default_provider()
    }
}

static VERIFIER: CertificateVerifier = CertificateVerifier;

#[derive(Debug)]
struct CertificateVerifier;

impl SignatureVerifier for CertificateVerifier {
    fn verify_signature(
        &self,
        cert_der: &[u8],
        data: &[u8],
        signature: &[u8],
        hash_alg: HashAlgorithm,
        sig_alg: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        match x509::public_key(cert_der) {
            Some(x509::PublicKey::P224(point)) if sig_alg == SignatureAlgorithm::ECDSA => {
                verify_p224(point, data, signature, hash_alg)
            }
            Some(x509::PublicKey::Rsa(key)) => verify_rsa(key, data, signature, hash_alg, sig_alg),
            _ => aws_lc_rs::default_provider()
                .signature_verification
                .verify_signature(cert_der, data, signature, hash_alg, sig_alg),
        }
    }
}

/// PKCS #1 1.5, as TLS 1.2 signs by RSA (RFC 5246 section 4.7).
fn verify_rsa(
    key: &[u8],
    data: &[u8],
    signature: &[u8],
    hash: HashAlgorithm,
    algorithm: SignatureAlgorithm,
) -> Result<(), CryptoError> {
    let parameters = match (algorithm, hash) {
        (SignatureAlgorithm::RSA, HashAlgorithm::SHA256) => &RSA_PKCS1_2048_8192_SHA256,
        (SignatureAlgorithm::RSA, HashAlgorithm::SHA384) => &RSA_PKCS1_2048_8192_SHA384,
        (SignatureAlgorithm::RSA, hash) => {
            return Err(CryptoError::UnsupportedSignaturePair {
                signature: algorithm,
                hash,
            });
        }
        // A server's, beside a suite of ECDSA; or a client's, which says that it signed otherwise.
        _ => return Err(CryptoError::UnsupportedPublicKeyAlgorithm),
    };
    UnparsedPublicKey::new(parameters, key)
        .verify(data, signature)
        .map_err(|_| CryptoError::OperationFailed(dimpl::CryptoOperation::VerifySignature))
}

fn verify_p224(
    point: &[u8],
    data: &[u8],
    signature: &[u8],
    hash: HashAlgorithm,
) -> Result<(), CryptoError> {
    let algorithm = match hash {
        HashAlgorithm::SHA256 => &digest::SHA256,
        HashAlgorithm::SHA384 => &digest::SHA384,
        _ => {
            return Err(CryptoError::UnsupportedSignaturePair {
                signature: SignatureAlgorithm::ECDSA,
                hash,
            });
        }
    };
    let key =
        VerifyingKey::from_sec1_bytes(point).map_err(|_| CryptoError::InvalidSubjectPublicKey)?;
    let signature =
        DerSignature::try_from(signature).map_err(|_| CryptoError::InvalidSignatureFormat)?;
    let hashed = digest::digest(algorithm, data);
    key.verify_prehash(hashed.as_ref(), &signature)
        .map_err(|_| CryptoError::OperationFailed(dimpl::CryptoOperation::VerifySignature))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../tests/vectors/rsa_signer.der");
    const SHORT: &[u8] = include_bytes!("../tests/vectors/rsa_1024_signer.der");
    const BY_SHA256: &[u8] = include_bytes!("../tests/vectors/rsa_signer_sha256.bin");
    const BY_SHA384: &[u8] = include_bytes!("../tests/vectors/rsa_signer_sha384.bin");
    const SHORT_BY_SHA256: &[u8] = include_bytes!("../tests/vectors/rsa_1024_signer_sha256.bin");
    const SIGNED: &[u8] = b"all messages of the handshake so far";

    fn verify(
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        VERIFIER.verify_signature(certificate, data, signature, hash, algorithm)
    }

    #[test]
    fn rsa_signatures_of_either_hash_are_verified_and_no_others() {
        let (sha256, sha384) = (HashAlgorithm::SHA256, HashAlgorithm::SHA384);
        let rsa = SignatureAlgorithm::RSA;
        assert_eq!(verify(CERTIFICATE, SIGNED, BY_SHA256, sha256, rsa), Ok(()));
        assert_eq!(verify(CERTIFICATE, SIGNED, BY_SHA384, sha384, rsa), Ok(()));
        assert!(verify(CERTIFICATE, SIGNED, BY_SHA256, sha384, rsa).is_err());
        assert!(verify(CERTIFICATE, &SIGNED[1..], BY_SHA256, sha256, rsa).is_err());
        for at in [0, 100, BY_SHA256.len() - 1] {
            let mut forged = BY_SHA256.to_vec();
            forged[at] ^= 1;
            assert!(verify(CERTIFICATE, SIGNED, &forged, sha256, rsa).is_err());
        }
        for length in [0, 1, BY_SHA256.len() - 1] {
            let cut = &BY_SHA256[..length];
            assert!(verify(CERTIFICATE, SIGNED, cut, sha256, rsa).is_err());
        }
    }

    #[test]
    fn an_rsa_key_signs_as_one_and_has_2048_bits() {
        let (sha256, rsa) = (HashAlgorithm::SHA256, SignatureAlgorithm::RSA);
        let named_wrong = verify(
            CERTIFICATE,
            SIGNED,
            BY_SHA256,
            sha256,
            SignatureAlgorithm::ECDSA,
        );
        assert_eq!(named_wrong, Err(CryptoError::UnsupportedPublicKeyAlgorithm));
        assert!(verify(SHORT, SIGNED, SHORT_BY_SHA256, sha256, rsa).is_err());
    }
}
