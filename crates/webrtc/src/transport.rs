//! The transport of one peer: who gets which datagram, and what follows.

mod channels;
mod handshake;

use std::collections::VecDeque;
use std::time::Instant;

use roomtone_srtp::{Opener, Profile, Sealer};

use crate::address::{DatagramKind, FiveTuple, classify};
use crate::candidate::{Candidate, IceCredentials};
use crate::config::{IceMode, RemoteParameters, TransportConfig};
use crate::dtls::DtlsSession;
use crate::error::TransportError;
use crate::event::{CloseReason, DtlsState, IceState, TransportEvent};
use crate::ice::{FullAgent, Ice, IceOutput, LiteAgent};
use crate::random::Random;
use crate::sctp::{Association, ChannelParameters};
use crate::stats::{TransportCounters, TransportStats};
use crate::stun::StunMessage;

/// Size of the buffer `poll_transmit` wants.
pub const MAX_TRANSMIT_LEN: usize = 1500;

/// What came of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Taken in; poll for what follows from it.
    Handled,
    /// An RTP packet, decrypted in place.
    Rtp(&'a mut [u8]),
    /// An RTCP packet, decrypted in place.
    Rtcp(&'a mut [u8]),
}

/// A datagram to send; its bytes are in the buffer given to `poll_transmit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Where from and to.
    pub tuple: FiveTuple,
    /// How many bytes of the buffer.
    pub len: usize,
}

/// One peer's transport.
///
/// Inputs: `handle_datagram`, `handle_timeout`, and the commands, each with the time. Outputs: `poll_transmit` and
/// `poll_event`, both until empty after each input, then `next_timeout`. Order: events come in the order they came
/// about, `Closed` last. Limits: [`crate::TransportLimits`]. A transport stays on the thread that made it.
pub struct Transport {
    config: TransportConfig,
    ice: Ice,
    dtls: Option<DtlsSession>,
    sealer: Option<Sealer>,
    opener: Option<Opener>,
    sctp: Option<Association>,
    /// Channels on agreed streams that wait for the handshake. Limit: `Limits::channels`.
    early_channels: Vec<ChannelParameters>,
    transmit: VecDeque<(FiveTuple, Vec<u8>)>,
    events: VecDeque<TransportEvent>,
    /// DTLS that came before `connect`: the peer's first flight may overtake its answer.
    early_dtls: Vec<Vec<u8>>,
    /// Where DTLS goes: the selected pair, before that the validated pair heard last.
    dtls_tuple: Option<FiveTuple>,
    /// Whether the handshake has been set going.
    dtls_started: bool,
    ice_state: IceState,
    dtls_state: DtlsState,
    /// Both handshakes must be done by then.
    deadline: Option<Instant>,
    now: Instant,
    closed: Option<CloseReason>,
    counters: TransportCounters,
}

impl Transport {
    /// Makes a transport that answers checks at once; `connect` tells it about the peer.
    pub fn new(config: TransportConfig, now: Instant, mut random: Box<dyn Random>) -> Self {
        let ice = match config.ice_mode {
            IceMode::Lite => Ice::Lite(LiteAgent::new(&config)),
            IceMode::Full => Ice::Full(Box::new(FullAgent::new(&config, random.as_mut()))),
        };
        Self {
            config,
            ice,
            dtls: None,
            sealer: None,
            opener: None,
            sctp: None,
            early_channels: Vec::new(),
            transmit: VecDeque::new(),
            events: VecDeque::new(),
            early_dtls: Vec::new(),
            dtls_tuple: None,
            dtls_started: false,
            ice_state: IceState::New,
            dtls_state: DtlsState::New,
            deadline: None,
            now,
            closed: None,
            counters: TransportCounters::default(),
        }
    }

    /// Takes what signalling said about the peer and starts.
    pub fn connect(
        &mut self,
        remote: RemoteParameters,
        now: Instant,
    ) -> Result<(), TransportError> {
        self.begin(now)?;
        if self.dtls.is_some() {
            return Err(TransportError::AlreadyConnected);
        }
        if remote.fingerprints.is_empty() {
            return Err(TransportError::MissingFingerprint);
        }
        self.ice.connect(&remote, now)?;
        self.counters.candidates_refused += remote
            .candidates
            .len()
            .saturating_sub(self.config.limits.remote_candidates)
            as u64;
        self.deadline = Some(now + self.config.connect_timeout);
        self.make_dtls(remote.dtls_role, remote.fingerprints);
        self.ice.handle_timeout(now, &mut self.counters);
        self.pump();
        Ok(())
    }

    /// Takes a trickled candidate. A lite transport needs none: it learns addresses from checks.
    pub fn add_remote_candidate(
        &mut self,
        candidate: &Candidate,
        now: Instant,
    ) -> Result<(), TransportError> {
        self.begin(now)?;
        let added = self.ice.add_remote_candidate(candidate, now);
        if added.is_err() {
            self.counters.candidates_refused += 1;
        }
        self.pump();
        added
    }

    /// Takes a candidate of our own that was found late. Signalling has to tell the peer of it.
    pub fn add_local_candidate(
        &mut self,
        candidate: Candidate,
        now: Instant,
    ) -> Result<(), TransportError> {
        self.begin(now)?;
        let added = self.ice.add_local_candidate(candidate, now);
        self.pump();
        added
    }

    /// The peer has no more candidates (RFC 8838 section 14): once every pair has failed the transport ends, where it
    /// otherwise waits for another candidate until its time is over. A lite transport judges no pairs.
    pub fn end_of_candidates(&mut self, now: Instant) -> Result<(), TransportError> {
        self.begin(now)?;
        self.ice.end_of_candidates();
        self.pump();
        Ok(())
    }

    /// Starts an ICE restart with new local credentials. The old ones stay valid until a pair is selected with the
    /// new; media keeps flowing meanwhile.
    pub fn restart_ice(&mut self, new: IceCredentials, now: Instant) -> Result<(), TransportError> {
        self.begin(now)?;
        self.ice.restart(new);
        self.pump();
        Ok(())
    }

    /// Takes the peer's credentials for our newest ones.
    pub fn set_remote_ice(
        &mut self,
        remote: IceCredentials,
        now: Instant,
    ) -> Result<(), TransportError> {
        self.begin(now)?;
        self.ice.set_remote(remote, now);
        self.ice.handle_timeout(now, &mut self.counters);
        self.pump();
        Ok(())
    }

    /// Takes a datagram; media is decrypted in place. Each error is counted.
    pub fn handle_datagram<'a>(
        &mut self,
        tuple: FiveTuple,
        data: &'a mut [u8],
        now: Instant,
    ) -> Result<Received<'a>, TransportError> {
        self.begin(now)?;
        match classify(data) {
            DatagramKind::Rtp => self.open(tuple, data, false),
            DatagramKind::Rtcp => self.open(tuple, data, true),
            DatagramKind::Stun => {
                let handled = self.handle_stun(tuple, data);
                self.pump();
                handled.inspect_err(|_| self.counters.stun_dropped += 1)
            }
            DatagramKind::Dtls => {
                let handled = self.handle_dtls(tuple, data);
                self.pump();
                handled.map(|()| Received::Handled)
            }
            DatagramKind::Other => {
                self.counters.unknown_dropped += 1;
                Err(TransportError::UnknownDatagram)
            }
        }
    }

    fn handle_stun(
        &mut self,
        tuple: FiveTuple,
        data: &[u8],
    ) -> Result<Received<'static>, TransportError> {
        let message = StunMessage::parse(data)?;
        self.ice
            .handle_stun(tuple, &message, data, self.now, &mut self.counters)?;
        Ok(Received::Handled)
    }

    fn open<'a>(
        &mut self,
        tuple: FiveTuple,
        data: &'a mut [u8],
        rtcp: bool,
    ) -> Result<Received<'a>, TransportError> {
        let Some(opener) = self.opener.as_mut() else {
            self.counters.early_media_dropped += 1;
            return Err(TransportError::NoKeys);
        };
        let opened = if rtcp {
            opener.open_rtcp(data)
        } else {
            opener.open_rtp(data)
        };
        let len = opened.inspect_err(|_| self.counters.srtp_dropped += 1)?;
        if self.config.media_keeps_consent {
            self.ice.on_authenticated(tuple, self.now);
        }
        let data = &mut data[..len];
        if rtcp {
            self.counters.rtcp_opened += 1;
            Ok(Received::Rtcp(data))
        } else {
            self.counters.rtp_opened += 1;
            Ok(Received::Rtp(data))
        }
    }

    /// Seals the RTP packet in `buf[..len]`; the buffer has room for the tag. Returns the new length.
    pub fn seal_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, TransportError> {
        let sealer = self.sealer.as_mut().ok_or(TransportError::NoKeys)?;
        Ok(sealer.seal_rtp(buf, len)?)
    }

    /// Seals the RTCP packet in `buf[..len]`.
    pub fn seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, TransportError> {
        let sealer = self.sealer.as_mut().ok_or(TransportError::NoKeys)?;
        Ok(sealer.seal_rtcp(buf, len)?)
    }

    /// What sealing reads, for a driver that fetches it ahead; present once the keys are there.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    /// Drops the SRTP state of a closed outbound stream. Its SSRC must not be used again on this transport.
    pub fn forget_outbound(&mut self, ssrc: u32) {
        if let Some(sealer) = self.sealer.as_mut() {
            sealer.forget(ssrc);
        }
    }

    /// Drops the SRTP state of a closed inbound stream.
    pub fn forget_inbound(&mut self, ssrc: u32) {
        if let Some(opener) = self.opener.as_mut() {
            opener.forget(ssrc);
        }
    }

    /// Bytes `seal_rtp` adds.
    pub fn rtp_overhead(&self) -> usize {
        self.srtp_profile().map_or(0, Profile::rtp_tag_len)
    }

    /// The pair to send media on.
    pub fn selected(&self) -> Option<FiveTuple> {
        self.ice.selected()
    }

    /// Whether media can be sealed and sent: the keys are there and a pair is selected.
    pub fn is_writable(&self) -> bool {
        self.sealer.is_some() && self.ice.selected().is_some()
    }

    /// Why the transport ended, when it has.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether the transport has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// The negotiated protection profile.
    pub fn srtp_profile(&self) -> Option<Profile> {
        self.sealer.as_ref().map(Sealer::profile)
    }

    /// The next datagram of our own, written to `out` ([`MAX_TRANSMIT_LEN`] bytes at least).
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<Transmit> {
        while let Some((tuple, bytes)) = self.transmit.pop_front() {
            if let Some(space) = out.get_mut(..bytes.len()) {
                space.copy_from_slice(&bytes);
                return Some(Transmit {
                    tuple,
                    len: bytes.len(),
                });
            }
            self.counters.transmit_dropped += 1;
        }
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        if self.events.is_empty() && self.sctp.is_some() {
            // Messages wait in SCTP while the queue is full.
            self.pump();
        }
        self.events.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.closed.is_some() {
            return None;
        }
        let handshake = self
            .dtls
            .as_ref()
            .filter(|_| self.dtls_started)
            .and_then(DtlsSession::next_timeout);
        let association = self.sctp.as_ref().and_then(Association::next_timeout);
        [
            self.ice.next_timeout(self.now),
            handshake,
            association,
            self.deadline,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.begin(now).is_err() {
            return;
        }
        self.ice.handle_timeout(now, &mut self.counters);
        self.run_dtls_timer();
        if let Some(association) = self.sctp.as_mut() {
            association.handle_timeout(now);
        }
        self.pump();
        self.check_deadline();
    }

    /// Ends the transport; a DTLS close_notify is left for `poll_transmit`.
    pub fn close(&mut self, now: Instant) {
        if self.begin(now).is_err() {
            return;
        }
        self.say_goodbye();
        self.end(CloseReason::Local, String::new());
    }

    /// The username fragment of our newest credentials.
    pub fn local_ufrag(&self) -> &str {
        self.ice.local_ufrag()
    }

    /// Which pairs were tried and what answered, one line.
    pub fn ice_report(&self) -> String {
        self.ice.report()
    }

    /// A snapshot.
    pub fn stats(&self) -> TransportStats {
        TransportStats {
            ice_state: self.ice_state,
            dtls_state: self.dtls_state,
            selected: self.ice.selected(),
            srtp_profile: self.srtp_profile(),
            channels: self.sctp.as_ref().map_or(0, Association::channel_count),
            counters: self.counters,
        }
    }

    /// Every input begins so: nothing works after the end, and time never goes back.
    fn begin(&mut self, now: Instant) -> Result<(), TransportError> {
        self.now = self.now.max(now);
        if self.closed.is_some() {
            Err(TransportError::Closed)
        } else {
            Ok(())
        }
    }

    /// Carries outputs of the parts to each other and to the owner until nothing moves.
    fn pump(&mut self) {
        if self.closed.is_some() {
            return;
        }
        self.pump_ice();
        self.pump_dtls();
        self.pump_sctp();
        let state = self.ice.state(self.now);
        self.set_ice_state(state);
        if state != IceState::Failed || self.closed.is_some() {
            return;
        }
        if self.ice.selected().is_none() {
            let report = self.ice.report();
            self.end(
                CloseReason::IceTimeout,
                format!("no pair is left to try; {report}"),
            );
        } else {
            let silence = self.config.consent_timeout.as_secs();
            self.end(
                CloseReason::ConsentExpired,
                format!("silent for {silence} s; {}", self.ice.report()),
            );
        }
    }

    fn pump_ice(&mut self) {
        while let Some(output) = self.ice.output().pop_front() {
            match output {
                IceOutput::Transmit(tuple, bytes) => self.queue(tuple, bytes),
                IceOutput::Validated(tuple) => {
                    self.dtls_tuple.get_or_insert(tuple);
                    self.events.push_back(TransportEvent::Validated(tuple));
                    self.start_dtls();
                }
                IceOutput::Selected(tuple) => {
                    self.dtls_tuple = Some(tuple);
                    self.events.push_back(TransportEvent::Selected(tuple));
                    self.start_dtls();
                }
                IceOutput::Retired(ufrag) => self
                    .events
                    .push_back(TransportEvent::CredentialsRetired { ufrag }),
            }
        }
    }

    fn queue(&mut self, tuple: FiveTuple, bytes: Vec<u8>) {
        if self.transmit.len() >= self.config.limits.transmit_queue {
            self.counters.transmit_dropped += 1;
        } else {
            self.transmit.push_back((tuple, bytes));
        }
    }

    fn check_deadline(&mut self) {
        let Some(deadline) = self.deadline else {
            return;
        };
        if self.closed.is_some() || self.now < deadline {
            return;
        }
        let reason = if self.ice.selected().is_none() {
            CloseReason::IceTimeout
        } else {
            CloseReason::DtlsTimeout
        };
        let detail = format!(
            "not connected in {} s; {}",
            self.config.connect_timeout.as_secs(),
            self.ice.report()
        );
        if reason == CloseReason::IceTimeout {
            self.set_ice_state(IceState::Failed);
        } else {
            self.set_dtls_state(DtlsState::Failed);
        }
        self.end(reason, detail);
    }

    fn set_ice_state(&mut self, state: IceState) {
        if self.ice_state != state {
            self.ice_state = state;
            self.events.push_back(TransportEvent::IceState(state));
        }
    }

    fn set_dtls_state(&mut self, state: DtlsState) {
        if self.dtls_state != state {
            self.dtls_state = state;
            self.events.push_back(TransportEvent::DtlsState(state));
        }
    }

    /// The end: states are final, keys are gone, `Closed` is the last event.
    fn end(&mut self, reason: CloseReason, detail: String) {
        self.closed = Some(reason);
        if self.dtls_state != DtlsState::Failed {
            self.set_dtls_state(DtlsState::Closed);
        }
        if self.ice_state != IceState::Failed {
            self.set_ice_state(IceState::Closed);
        }
        self.sealer = None;
        self.opener = None;
        self.sctp = None;
        self.dtls = None;
        self.early_dtls = Vec::new();
        self.events
            .push_back(TransportEvent::Closed { reason, detail });
    }
}
