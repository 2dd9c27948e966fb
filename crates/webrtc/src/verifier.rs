//! Signatures of peers' certificates: what the DTLS library knows (P-256, P-384), and P-224, which FFmpeg makes.

use ::aws_lc_rs::digest;
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
            Some(x509::PublicKey::Rsa) => Err(CryptoError::UnsupportedPublicKeyAlgorithm),
            _ => aws_lc_rs::default_provider()
                .signature_verification
                .verify_signature(cert_der, data, signature, hash_alg, sig_alg),
        }
    }
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
