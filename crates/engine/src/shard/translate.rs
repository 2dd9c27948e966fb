//! Values of the boundary and of the transport crate, one into the other.

use std::net::{IpAddr, SocketAddr};

use roomtone_sfu::{ArrivalModel, BandwidthConfig, GccConfig};
use roomtone_webrtc::{
    Candidate, CandidateKind, Certificate, ChannelError, Fingerprint, IceCredentials, IceState,
    Protocol, TcpType, TransportError,
};

use crate::failure::Failure;
use crate::values::{self, CloseReason, DtlsState, ErrorCode, Event};

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let code = match &error {
            TransportError::Closed
            | TransportError::AlreadyConnected
            | TransportError::NotConnected
            | TransportError::NoKeys
            | TransportError::NoSctp
            | TransportError::BothIceLite => ErrorCode::WrongState,
            TransportError::TooManyCandidates => ErrorCode::Limit,
            TransportError::Channel(error) => match error {
                ChannelError::BufferFull => ErrorCode::QueueFull,
                ChannelError::TooMany => ErrorCode::Limit,
                ChannelError::LabelTooLong | ChannelError::MessageTooLarge => ErrorCode::Invalid,
                ChannelError::Unknown | ChannelError::InUse | ChannelError::Closed => {
                    ErrorCode::WrongState
                }
            },
            _ => ErrorCode::Invalid,
        };
        Self::new(code, error.to_string())
    }
}

/// How a router estimates and spares lines.
pub(super) fn bandwidth(config: &values::BandwidthConfig) -> BandwidthConfig {
    BandwidthConfig {
        transport_feedback: config.transport_feedback,
        congestion: GccConfig {
            start_bps: config.start_bps,
            min_bps: config.min_bps,
            max_bps: config.max_bps,
            arrival_model: arrival_model(config.arrival_model),
        },
        pacing: config.pacing,
        probing: config.probing,
        ..BandwidthConfig::default()
    }
}

pub(super) fn arrival_model(model: values::ArrivalModel) -> ArrivalModel {
    match model {
        values::ArrivalModel::Trendline => ArrivalModel::Trendline,
        values::ArrivalModel::Kalman => ArrivalModel::Kalman,
    }
}

pub(super) fn credentials(
    ufrag: Option<String>,
    pwd: Option<String>,
) -> Result<Option<IceCredentials>, Failure> {
    match (ufrag, pwd) {
        (Some(ufrag), Some(pwd)) => Ok(Some(IceCredentials { ufrag, pwd })),
        (None, None) => Ok(None),
        _ => Err(Failure::invalid(
            "ICE user fragment and password come together",
        )),
    }
}

/// Hash functions nobody here knows are left out; one that is known must remain (RFC 8122 section 5).
pub(super) fn usable_fingerprints(
    fingerprints: &[values::Fingerprint],
) -> Result<Vec<Fingerprint>, Failure> {
    if fingerprints.is_empty() {
        return Err(Failure::invalid("no fingerprint"));
    }
    let mut usable = Vec::new();
    let mut wrong = None;
    for fingerprint in fingerprints {
        match Fingerprint::parse(&fingerprint.algorithm, &fingerprint.value) {
            Ok(parsed) => usable.push(parsed),
            Err(error) => wrong = Some(error),
        }
    }
    match wrong {
        Some(error) if usable.is_empty() => {
            Err(Failure::invalid(format!("no usable fingerprint: {error}")))
        }
        _ => Ok(usable),
    }
}

/// The fingerprint of our certificate as signalling has it.
pub(super) fn told_fingerprint(certificate: &Certificate) -> values::Fingerprint {
    let fingerprint = certificate.fingerprint();
    values::Fingerprint {
        algorithm: fingerprint.hash().name().to_owned(),
        value: fingerprint.hex(),
    }
}

/// A candidate as signalling has it.
pub(super) fn told(candidate: &Candidate) -> values::Candidate {
    let kind = match candidate.kind {
        CandidateKind::Host => "host",
        CandidateKind::ServerReflexive => "srflx",
        CandidateKind::PeerReflexive => "prflx",
        CandidateKind::Relayed => "relay",
    };
    values::Candidate {
        foundation: candidate.foundation.clone(),
        component: 1,
        protocol: candidate.protocol.to_string(),
        priority: candidate.priority,
        ip: candidate.address.ip().to_string(),
        port: candidate.address.port(),
        kind: kind.to_owned(),
        tcp_type: candidate.tcp_type.map(|tcp_type| {
            match tcp_type {
                TcpType::Active => "active",
                TcpType::Passive => "passive",
                TcpType::SimultaneousOpen => "so",
            }
            .to_owned()
        }),
    }
}

/// A candidate of the peer; `None` for those we cannot use: names instead of addresses (mDNS), other components,
/// other protocols. The peer's checks reach us without them.
pub(super) fn heard(candidate: &values::Candidate) -> Option<Candidate> {
    let ip: IpAddr = candidate.ip.parse().ok()?;
    let protocol = match candidate.protocol.to_ascii_lowercase().as_str() {
        "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        _ => return None,
    };
    let kind = match candidate.kind.as_str() {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::ServerReflexive,
        "prflx" => CandidateKind::PeerReflexive,
        "relay" => CandidateKind::Relayed,
        _ => return None,
    };
    let tcp_type = match candidate.tcp_type.as_deref() {
        Some("active") => Some(TcpType::Active),
        Some("passive") => Some(TcpType::Passive),
        Some("so") => Some(TcpType::SimultaneousOpen),
        _ => None,
    };
    (candidate.component == 1).then(|| Candidate {
        foundation: candidate.foundation.clone(),
        protocol,
        priority: candidate.priority,
        address: SocketAddr::new(ip, candidate.port),
        kind,
        related: None,
        tcp_type,
        base: None,
    })
}

pub(super) fn ice_event(
    transport: u64,
    state: IceState,
    pair: Option<roomtone_webrtc::FiveTuple>,
) -> Event {
    let state = match state {
        IceState::New => values::IceState::New,
        IceState::Checking => values::IceState::Checking,
        IceState::Connected => values::IceState::Connected,
        IceState::Disconnected => values::IceState::Disconnected,
        IceState::Failed => values::IceState::Failed,
        IceState::Closed => values::IceState::Closed,
    };
    Event::IceStateChanged {
        transport,
        state,
        protocol: pair.map(|tuple| tuple.protocol.to_string()),
        local: pair.map(|tuple| tuple.local.to_string()),
        remote: pair.map(|tuple| tuple.remote.to_string()),
    }
}

pub(super) fn dtls_state(state: roomtone_webrtc::DtlsState) -> DtlsState {
    match state {
        roomtone_webrtc::DtlsState::New => DtlsState::New,
        roomtone_webrtc::DtlsState::Connecting => DtlsState::Connecting,
        roomtone_webrtc::DtlsState::Connected => DtlsState::Connected,
        roomtone_webrtc::DtlsState::Failed => DtlsState::Failed,
        roomtone_webrtc::DtlsState::Closed => DtlsState::Closed,
    }
}

pub(super) fn close_reason(reason: roomtone_webrtc::CloseReason) -> CloseReason {
    use roomtone_webrtc::CloseReason as Reason;
    match reason {
        Reason::Local => CloseReason::Requested,
        Reason::PeerClosed => CloseReason::DtlsClosed,
        Reason::IceTimeout => CloseReason::IceTimeout,
        Reason::ConsentExpired => CloseReason::ConsentExpired,
        Reason::DtlsTimeout | Reason::DtlsFailed | Reason::DtlsNoSrtpProfile => {
            CloseReason::DtlsFailed
        }
        Reason::DtlsRsaUnsupported => CloseReason::DtlsRsaUnsupported,
        Reason::DtlsFingerprintMismatch => CloseReason::FingerprintMismatch,
    }
}
