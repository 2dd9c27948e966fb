//! The DTLS association: the crate `dimpl` does the handshake, this checks who shook hands.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dimpl::{
    CertificateError, CryptoError, Dtls, Error, KeyingMaterial, Output, SecurityError, SrtpProfile,
};
use roomtone_srtp::{Opener, Profile, Sealer, dtls_keys};

use crate::certificate::{Certificate, Fingerprint, Proven};
use crate::event::CloseReason;
use crate::x509;

/// First size of the buffer records are written to; the library says when it needs more.
const OUTPUT_LEN: usize = 2048;
/// A deadline further away than this means that nothing is pending.
const NO_DEADLINE: Duration = Duration::from_hours(7 * 24);
/// A flight is repeated at least this often. The library doubles its timer without end, and at 20 % loss one
/// handshake in a thousand would not be done in half a minute.
const SLOWEST_REPEAT: Duration = Duration::from_secs(2);
/// After the handshake the last flight is repeated for a peer that missed it at most this often.
const LAST_FLIGHT_REPEAT: Duration = Duration::from_millis(100);
/// handshake_failure (RFC 5246 section 7.2).
const ALERT_HANDSHAKE_FAILURE: u8 = 40;

/// What the association puts out.
pub(crate) enum DtlsOutput {
    /// A datagram to send.
    Packet(Vec<u8>),
    /// The handshake is done and the certificate is the signalled one.
    Connected,
    /// SRTP keying material.
    Keys(Profile, KeyingMaterial),
    /// Decrypted application data.
    Data(Vec<u8>),
    /// The peer sent close_notify.
    Closed,
}

/// Why the association is over.
#[derive(Debug)]
pub(crate) struct DtlsFailure {
    pub(crate) reason: CloseReason,
    pub(crate) detail: String,
}

/// An association. The library lives in a time of its own that runs ahead of ours by `ahead`: where its timer is further
/// away than we want to wait, its time jumps to the timer.
pub(crate) struct DtlsSession {
    dtls: Box<Dtls>,
    ahead: Duration,
    /// When a datagram was put out last.
    sent: Instant,
    connected: bool,
    active: bool,
    fingerprints: Vec<Fingerprint>,
    /// The peer's certificate was seen and has a signalled fingerprint.
    trusted: bool,
    /// The library's timer, in its time.
    timer: Option<Instant>,
    output: VecDeque<DtlsOutput>,
}

impl DtlsSession {
    pub(crate) fn new(
        certificate: &Certificate,
        proven: Proven,
        active: bool,
        fingerprints: Vec<Fingerprint>,
        now: Instant,
    ) -> Self {
        let mut dtls = Box::new(Dtls::new_12(
            certificate.settings(proven),
            certificate.dtls(),
            now,
        ));
        dtls.set_active(active);
        Self {
            dtls,
            active,
            fingerprints,
            trusted: false,
            timer: None,
            ahead: Duration::ZERO,
            sent: now,
            connected: false,
            output: VecDeque::new(),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Runs the timers; the first call makes the client's first flight.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        if let Some(timer) = self
            .timer
            .filter(|_| self.next_timeout().is_some_and(|next| next <= now))
        {
            self.ahead += timer.saturating_duration_since(now + self.ahead);
        }
        let result = self.dtls.handle_timeout(now + self.ahead);
        self.settle(result, now)
    }

    /// Takes a datagram.
    pub(crate) fn handle_packet(&mut self, packet: &[u8], now: Instant) -> Result<(), DtlsFailure> {
        let result = self.dtls.handle_timeout(now + self.ahead);
        let result = result.and_then(|()| self.dtls.handle_packet(packet));
        self.settle(result, now)
    }

    /// Encrypts application data.
    pub(crate) fn send(&mut self, data: &[u8], now: Instant) -> Result<(), DtlsFailure> {
        let result = self.dtls.send_application_data(data).map(|_| ());
        self.settle(result, now)
    }

    /// Leaves a close_notify in the output, where the handshake is done.
    pub(crate) fn close(&mut self, now: Instant) {
        let result = self.dtls.close();
        // The association is over either way.
        let _ = self.settle(result, now);
    }

    pub(crate) fn poll_output(&mut self) -> Option<DtlsOutput> {
        self.output.pop_front()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let longest = if self.connected {
            LAST_FLIGHT_REPEAT
        } else {
            SLOWEST_REPEAT
        };
        let timer = self.timer?.checked_sub(self.ahead)?;
        Some(timer.min(self.sent + longest))
    }

    /// Takes what the library put out, also after an error: an alert may be among it.
    fn settle(&mut self, result: Result<(), Error>, now: Instant) -> Result<(), DtlsFailure> {
        let drained = self.drain(now);
        result.map_err(|error| self.failure(&error))?;
        drained
    }

    fn drain(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        let mut buffer = vec![0; OUTPUT_LEN];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    self.sent = now;
                    self.output.push_back(DtlsOutput::Packet(packet.to_vec()));
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => {
                    let wait = at.saturating_duration_since(now + self.ahead);
                    self.timer = (wait < NO_DEADLINE).then_some(at);
                    return Ok(());
                }
                Output::PeerCert(certificate) => {
                    check_certificate(certificate, &self.fingerprints, self.active)?;
                    self.trusted = true;
                }
                Output::Connected if self.trusted => {
                    self.connected = true;
                    self.output.push_back(DtlsOutput::Connected);
                }
                Output::Connected => {
                    return Err(DtlsFailure {
                        reason: CloseReason::DtlsFingerprintMismatch,
                        detail: "the handshake ended without a certificate of the peer".to_owned(),
                    });
                }
                Output::KeyingMaterial(material, profile) => {
                    self.output
                        .push_back(DtlsOutput::Keys(srtp_profile(profile)?, material));
                }
                Output::ApplicationData(data) => {
                    self.output.push_back(DtlsOutput::Data(data.to_vec()));
                }
                Output::CloseNotify => self.output.push_back(DtlsOutput::Closed),
                _ => {}
            }
        }
    }

    fn failure(&self, error: &Error) -> DtlsFailure {
        let reason = match error {
            Error::Timeout(_) => CloseReason::DtlsTimeout,
            Error::CryptoError(CryptoError::UnsupportedPublicKeyAlgorithm)
            // Asked for an ECDSA certificate, a peer that has only RSA sends none.
            | Error::CertificateError(CertificateError::NoClientCertificateReceived) => CloseReason::DtlsRsaUnsupported,
            // Offered only ECDSA suites, a server that has only RSA refuses before its certificate.
            Error::SecurityError(SecurityError::FatalAlert { description: ALERT_HANDSHAKE_FAILURE })
                if self.active && !self.trusted =>
            {
                CloseReason::DtlsRsaUnsupported
            }
            _ => CloseReason::DtlsFailed,
        };
        let role = if self.active { "client" } else { "server" };
        DtlsFailure {
            reason,
            detail: format!("DTLS {role}: {error}"),
        }
    }
}

/// A client may show an RSA certificate though it was asked for another, and is held to its signature; a server that does has
/// chosen no suite of ours.
fn check_certificate(
    certificate: &[u8],
    fingerprints: &[Fingerprint],
    active: bool,
) -> Result<(), DtlsFailure> {
    if !fingerprints
        .iter()
        .any(|fingerprint| fingerprint.matches(certificate))
    {
        return Err(DtlsFailure {
            reason: CloseReason::DtlsFingerprintMismatch,
            detail: "the peer's certificate has none of the signalled fingerprints".to_owned(),
        });
    }
    if active && matches!(x509::public_key(certificate), Some(x509::PublicKey::Rsa(_))) {
        return Err(DtlsFailure {
            reason: CloseReason::DtlsRsaUnsupported,
            detail: "the peer's certificate has an RSA key".to_owned(),
        });
    }
    Ok(())
}

/// What seals and what opens media under the keys of a handshake.
pub(crate) fn srtp_contexts(
    profile: Profile,
    material: &[u8],
    active: bool,
) -> Result<(Sealer, Opener), String> {
    let (client, server) = dtls_keys(profile, material).map_err(|error| error.to_string())?;
    // The DTLS client seals with the client's write key (RFC 5764 section 4.2).
    let (ours, theirs) = if active {
        (client, server)
    } else {
        (server, client)
    };
    let sealer = Sealer::new(profile, &ours).map_err(|error| error.to_string())?;
    let opener = Opener::new(profile, &theirs).map_err(|error| error.to_string())?;
    Ok((sealer, opener))
}

fn srtp_profile(profile: SrtpProfile) -> Result<Profile, DtlsFailure> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Ok(Profile::Aes128CmSha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Ok(Profile::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Ok(Profile::AeadAes256Gcm),
        other => Err(DtlsFailure {
            reason: CloseReason::DtlsNoSrtpProfile,
            detail: format!("the DTLS library chose {other}, which this transport cannot use"),
        }),
    }
}
