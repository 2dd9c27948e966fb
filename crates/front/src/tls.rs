//! The TLS side of a listener: one configuration, a certificate that can be replaced while it serves.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::certificate;
use crate::config::TlsConfig;
use crate::error::FrontError;

/// The certificate in use. Handshakes under way keep the one they began with.
#[derive(Debug)]
pub(crate) struct Certificate {
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    pub(crate) fn load(config: &TlsConfig) -> Result<Arc<Self>, FrontError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = RwLock::new(Arc::new(certificate::load(config, &provider)?));
        Ok(Arc::new(Self {
            config: config.clone(),
            provider,
            current,
        }))
    }

    /// Reads the files again; on error the certificate in use stays.
    pub(crate) fn reload(&self) -> Result<(), FrontError> {
        let fresh = Arc::new(certificate::load(&self.config, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// A server configuration that offers HTTP/2 and HTTP/1.1.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, FrontError> {
        self.offering(rustls::DEFAULT_VERSIONS, &[b"h2", b"http/1.1"])
    }

    /// A server configuration that offers HTTP/3, without early data.
    pub(crate) fn quic_config(self: &Arc<Self>) -> Result<ServerConfig, FrontError> {
        self.offering(&[&rustls::version::TLS13], &[b"h3"])
    }

    fn offering(
        self: &Arc<Self>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Result<ServerConfig, FrontError> {
        let refused = |error: rustls::Error| FrontError::BadConfig(format!("TLS: {error}"));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(refused)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(refused)?;
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}
