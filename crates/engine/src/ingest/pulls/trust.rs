//! How servers behind TLS are trusted that streams are fetched from.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::values::IngestTrust;

/// What a call of a host begins with.
pub(super) fn client(
    trusted: &IngestTrust,
    host: &str,
) -> io::Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| io::Error::other("the host cannot stand in a certificate"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let verifier: Arc<dyn ServerCertVerifier> = match trusted {
        IngestTrust::Authorities => {
            let roots = Arc::clone(authorities()?);
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(io::Error::other)?
        }
        IngestTrust::Fingerprint { sha256 } => {
            let wanted: Result<[u8; 32], _> = sha256.as_slice().try_into();
            let wanted = wanted.map_err(|_| io::Error::other("a SHA-256 has 32 bytes"))?;
            Arc::new(Pinned {
                wanted: Some(wanted),
                provider,
            })
        }
        IngestTrust::Unchecked => Arc::new(Pinned {
            wanted: None,
            provider,
        }),
    };
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok((Arc::new(config), name))
}

/// Those that this machine trusts, read once; `SSL_CERT_FILE` and `SSL_CERT_DIR` say others.
fn authorities() -> io::Result<&'static Arc<RootCertStore>> {
    static READ: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = READ.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // Some of them are of forms that are not taken.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(io::Error::other(
            "this machine has no certificates of authorities",
        ));
    }
    Ok(roots)
}

/// Takes one certificate, or any, whoever made it. That the server has its key is proved all the same.
#[derive(Debug)]
struct Pinned {
    wanted: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.wanted {
            Some(wanted) if wanted != <[u8; 32]>::from(Sha256::digest(end_entity)) => {
                let unknown = CertificateError::ApplicationVerificationFailure;
                Err(Error::InvalidCertificate(unknown))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What went wrong, for who has to do something about it.
pub(super) fn sentence(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            "its certificate is not the one that is expected (certificate)".to_owned()
        }
        Error::InvalidCertificate(why) => {
            format!("its certificate is not trusted: {why}")
        }
        error => format!("TLS: {error}"),
    }
}
