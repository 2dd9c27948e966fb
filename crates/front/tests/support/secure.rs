//! Clients over TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Client, bounded};

/// Settings with the certificate in `trusted` as the only authority.
pub(crate) fn client_config(
    trusted: &Path,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[u8],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

pub(crate) async fn tls(
    address: SocketAddr,
    trusted: &Path,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let config = client_config(trusted, rustls::DEFAULT_VERSIONS, alpn);
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    bounded(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

pub(crate) async fn over_tls(address: SocketAddr, trusted: &Path, alpn: &[u8]) -> Client {
    let stream = tls(address, trusted, alpn).await.unwrap();
    if alpn == b"h2" {
        Client::http2_over(stream).await
    } else {
        Client::http1_over(stream).await
    }
}
