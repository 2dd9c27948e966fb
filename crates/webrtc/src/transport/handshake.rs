//! The DTLS part of a transport: when it starts, where it goes, what its keys become.

use super::Transport;
use crate::address::FiveTuple;
use crate::certificate::{Fingerprint, Proven};
use crate::config::DtlsRole;
use crate::dtls::{DtlsFailure, DtlsOutput, DtlsSession, srtp_contexts};
use crate::error::TransportError;
use crate::event::{CloseReason, DtlsState, TransportEvent};
use crate::sctp::Association;

/// DTLS datagrams kept from before `connect`; later ones are dropped, the peer repeats its flight.
const EARLY_DATAGRAMS: usize = 4;

impl Transport {
    pub(super) fn make_dtls(&mut self, role: DtlsRole, fingerprints: Vec<Fingerprint>) {
        let active = role == DtlsRole::Active;
        self.dtls = Some(DtlsSession::new(
            &self.config.certificate,
            Proven::ByIce,
            active,
            fingerprints,
            self.now,
        ));
        self.start_dtls();
    }

    /// Sets the handshake going as soon as there is a peer to shake hands with and a way to it: the library repeats a
    /// lost flight late, so none is sent before.
    pub(super) fn start_dtls(&mut self) {
        if self.dtls_started || self.dtls_tuple.is_none() {
            return;
        }
        let Some(session) = self.dtls.as_mut() else {
            return;
        };
        self.dtls_started = true;
        let mut result = session.handle_timeout(self.now);
        for datagram in std::mem::take(&mut self.early_dtls) {
            if result.is_ok() {
                result = session.handle_packet(&datagram, self.now);
            }
        }
        self.set_dtls_state(DtlsState::Connecting);
        self.take_dtls_result(result);
    }

    pub(super) fn handle_dtls(
        &mut self,
        tuple: FiveTuple,
        data: &[u8],
    ) -> Result<(), TransportError> {
        if !self.ice.is_validated(tuple) {
            self.counters.dtls_dropped += 1;
            return Err(TransportError::UnvalidatedSource);
        }
        let Some(session) = self.dtls.as_mut() else {
            if self.early_dtls.len() >= EARLY_DATAGRAMS {
                self.counters.dtls_dropped += 1;
                return Err(TransportError::NotConnected);
            }
            self.early_dtls.push(data.to_vec());
            return Ok(());
        };
        self.counters.dtls_received += 1;
        // Browsers shake hands before they nominate: answer where the question came from.
        if self.ice.selected().is_none() {
            self.dtls_tuple = Some(tuple);
        }
        let result = session.handle_packet(data, self.now);
        self.dtls_started = true;
        self.take_dtls_result(result);
        match self.closed {
            Some(reason) if reason != CloseReason::PeerClosed => {
                Err(TransportError::Dtls(reason.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn run_dtls_timer(&mut self) {
        if !self.dtls_started {
            return;
        }
        let Some(session) = self.dtls.as_mut() else {
            return;
        };
        if session.next_timeout().is_none_or(|next| next > self.now) {
            return;
        }
        let result = session.handle_timeout(self.now);
        self.take_dtls_result(result);
    }

    /// Takes the outputs first: an error may leave an alert for the peer.
    pub(super) fn take_dtls_result(&mut self, result: Result<(), DtlsFailure>) {
        self.pump_dtls();
        if let Err(failure) = result
            && self.closed.is_none()
        {
            self.fail_dtls(&failure);
        }
    }

    fn fail_dtls(&mut self, failure: &DtlsFailure) {
        self.set_dtls_state(DtlsState::Failed);
        self.end(
            failure.reason,
            format!("{}; {}", failure.detail, self.ice.report()),
        );
    }

    pub(super) fn pump_dtls(&mut self) {
        while let Some(output) = self.dtls.as_mut().and_then(DtlsSession::poll_output) {
            match output {
                DtlsOutput::Packet(packet) => {
                    if let Some(tuple) = self.dtls_tuple {
                        self.queue(tuple, packet);
                    }
                }
                DtlsOutput::Connected => self.on_dtls_connected(),
                DtlsOutput::Keys(profile, material) => {
                    let active = self.dtls.as_ref().is_some_and(DtlsSession::is_active);
                    if let Err(detail) = self.install_keys(profile, &material, active) {
                        self.fail_dtls(&DtlsFailure {
                            reason: CloseReason::DtlsFailed,
                            detail,
                        });
                    }
                }
                DtlsOutput::Data(data) => {
                    if self.config.media_keeps_consent
                        && let Some(tuple) = self.dtls_tuple
                    {
                        self.ice.on_authenticated(tuple, self.now);
                    }
                    if let Some(association) = self.sctp.as_mut() {
                        association.handle_packet(&data, self.now);
                    } else {
                        self.counters.unknown_dropped += 1;
                    }
                }
                DtlsOutput::Closed => {
                    self.set_dtls_state(DtlsState::Closed);
                    self.end(CloseReason::PeerClosed, String::new());
                }
            }
        }
        self.check_profile();
    }

    fn on_dtls_connected(&mut self) {
        self.set_dtls_state(DtlsState::Connected);
        if self.config.sctp {
            let client = self.dtls.as_ref().is_some_and(DtlsSession::is_active);
            self.sctp = Some(Association::new(&self.config, client, self.now));
            self.open_waiting();
        }
    }

    fn install_keys(
        &mut self,
        profile: roomtone_srtp::Profile,
        material: &[u8],
        active: bool,
    ) -> Result<(), String> {
        let (sealer, opener) = srtp_contexts(profile, material, active)?;
        (self.sealer, self.opener) = (Some(sealer), Some(opener));
        self.events.push_back(TransportEvent::SrtpReady(profile));
        Ok(())
    }

    /// A finished handshake without keys is of use to data channels only. Once it is settled, so is the deadline.
    fn check_profile(&mut self) {
        if self.dtls_state != DtlsState::Connected || self.closed.is_some() {
            return;
        }
        if self.sealer.is_none() && !self.config.sctp {
            self.fail_dtls(&DtlsFailure {
                reason: CloseReason::DtlsNoSrtpProfile,
                detail: "the peer offered no SRTP profile we know".to_owned(),
            });
        } else if self.ice.selected().is_some() {
            self.deadline = None;
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        if let Some(association) = self.sctp.as_mut() {
            association.shut();
        }
        self.pump_sctp();
        if let Some(session) = self.dtls.as_mut() {
            session.close(self.now);
        }
        while let Some(output) = self.dtls.as_mut().and_then(DtlsSession::poll_output) {
            if let (DtlsOutput::Packet(packet), Some(tuple)) = (output, self.dtls_tuple) {
                self.queue(tuple, packet);
            }
        }
    }
}
