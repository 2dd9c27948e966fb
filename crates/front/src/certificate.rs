//! The certificate on disk: the configured one, or a self-signed one made once and kept.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::TlsConfig;
use crate::error::FrontError;

const CERTIFICATE_FILE: &str = "self-signed.crt";
const KEY_FILE: &str = "self-signed.key";
const DAY: Duration = Duration::from_hours(24);
const SELF_SIGNED_DAYS: u32 = 3_650;

/// Reads the certificate and its key, making a self-signed pair first where none is configured or kept.
pub(crate) fn load(
    config: &TlsConfig,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FrontError> {
    match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => read(certificate, key, provider),
        (Some(path), None) | (None, Some(path)) => Err(bad(
            path,
            "a certificate needs its key and a key its certificate; configure both, or neither",
        )),
        (None, None) => load_self_signed(config, provider),
    }
}

fn load_self_signed(
    config: &TlsConfig,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FrontError> {
    let certificate = config.directory.join(CERTIFICATE_FILE);
    let key = config.directory.join(KEY_FILE);
    // The certificate is written last, so where it is there, its key is.
    if !certificate.exists() {
        make(config, &certificate, &key)?;
    }
    read(&certificate, &key, provider).map_err(|error| match error {
        FrontError::BadCertificate { path, reason } => FrontError::BadCertificate {
            path,
            reason: format!("{reason}; delete it to have a new one made"),
        },
        other => other,
    })
}

fn read(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FrontError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(certificate, format!("cannot be read as PEM: {error}")))?;
    if chain.is_empty() {
        return Err(bad(certificate, "holds no CERTIFICATE block"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| bad(key, format!("cannot be read as a PEM private key: {error}")))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => bad(
            certificate,
            format!("does not belong to the key {}", key.display()),
        ),
        other => bad(certificate, format!("cannot be used: {other}")),
    })
}

fn make(config: &TlsConfig, certificate: &Path, key: &Path) -> Result<(), FrontError> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    names.extend(
        config
            .names
            .iter()
            .filter(|name| !names.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let unusable = |error| {
        bad(
            certificate,
            format!("cannot be made for {names:?}: {error}"),
        )
    };
    let mut params = CertificateParams::new(names.clone()).map_err(unusable)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "self-signed");
    // A day back, for clients whose clock is behind.
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch.saturating_sub(DAY);
    params.not_after = params.not_before + DAY * SELF_SIGNED_DAYS;
    let pair = KeyPair::generate().map_err(unusable)?;
    let signed = params.self_signed(&pair).map_err(unusable)?;

    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.directory)
        .map_err(|error| FrontError::io(cannot_write(&config.directory), error))?;
    write_private(key, &pair.serialize_pem())?;
    write_private(certificate, &signed.pem())
}

/// Writes a file that only we can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), FrontError> {
    let partial = path.with_extension("partial");
    let write = || -> std::io::Result<()> {
        // A left-over of a run that was killed keeps its own mode; start afresh.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| FrontError::io(cannot_write(path), error))
}

fn cannot_write(path: &Path) -> String {
    format!(
        "cannot write {}; make it writable, or configure another directory",
        path.display()
    )
}

fn bad(path: &Path, reason: impl Into<String>) -> FrontError {
    FrontError::BadCertificate {
        path: PathBuf::from(path),
        reason: reason.into(),
    }
}
