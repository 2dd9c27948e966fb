//! Why a connection is refused: codes of the handshake's type field (draft-sharabayko-srt section 4.3) and of access
//! control, as libsrt gives them to applications.

use thiserror::Error;

/// What is added to a reason on the wire.
const WIRE_BASE: u32 = 1000;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum RejectReason {
    /// The peer said no more than no, or a code nobody has defined.
    #[error("refused by the peer without a known reason (code {0})")]
    Unknown(u16),
    /// No memory, no identifier.
    #[error("no resources")]
    Resource,
    /// A handshake that does not hold together.
    #[error("malformed handshake")]
    Rogue,
    /// Too many requests wait.
    #[error("too many connection requests wait")]
    Backlog,
    /// The listener is going away.
    #[error("the listener is closing")]
    Close,
    /// The peer is older than handshake version 5.
    #[error("the peer's version is too old")]
    Version,
    /// Both ends of a rendezvous have the same cookie.
    #[error("both ends have the same cookie")]
    RendezvousCookie,
    /// The passphrases differ.
    #[error("wrong passphrase")]
    BadSecret,
    /// One side has a passphrase and the other has none.
    #[error("a passphrase is required, or there should be none")]
    Unsecure,
    /// The peer wants the buffer mode of file transfers.
    #[error("the peer wants stream mode, not messages")]
    MessageApi,
    /// A congestion controller other than `live`.
    #[error("incompatible congestion controller")]
    Congestion,
    /// A packet filter is asked for.
    #[error("packet filters are not supported")]
    Filter,
    /// Bonding is asked for.
    #[error("groups are not supported")]
    Group,
    /// Nobody decided in time.
    #[error("timed out")]
    Timeout,
    /// CTR on one side and GCM on the other, or a cipher that there is not.
    #[error("incompatible encryption")]
    Crypto,
    /// The stream id cannot be understood.
    #[error("bad stream id")]
    BadRequest,
    /// Credentials are missing or wrong.
    #[error("unauthorized")]
    Unauthorized,
    /// Too much is going on already.
    #[error("overloaded")]
    Overload,
    /// These credentials may not do this.
    #[error("forbidden")]
    Forbidden,
    /// There is no such stream.
    #[error("no such stream")]
    NotFound,
    /// The mode asked for is not to be had.
    #[error("this mode is not supported")]
    BadMode,
    /// The stream is being published already.
    #[error("the stream is in use")]
    Conflict,
    /// The stream is coded in a way that is not to be had here.
    #[error("this media is not supported")]
    Media,
    /// Something broke here.
    #[error("internal error")]
    Internal,
}

/// Each reason with libsrt's number for it.
const CODES: [(RejectReason, u16); 23] = [
    (RejectReason::Resource, 3),
    (RejectReason::Rogue, 4),
    (RejectReason::Backlog, 5),
    (RejectReason::Close, 7),
    (RejectReason::Version, 8),
    (RejectReason::RendezvousCookie, 9),
    (RejectReason::BadSecret, 10),
    (RejectReason::Unsecure, 11),
    (RejectReason::MessageApi, 12),
    (RejectReason::Congestion, 13),
    (RejectReason::Filter, 14),
    (RejectReason::Group, 15),
    (RejectReason::Timeout, 16),
    (RejectReason::Crypto, 17),
    (RejectReason::BadRequest, 1400),
    (RejectReason::Unauthorized, 1401),
    (RejectReason::Overload, 1402),
    (RejectReason::Forbidden, 1403),
    (RejectReason::NotFound, 1404),
    (RejectReason::BadMode, 1405),
    (RejectReason::Conflict, 1409),
    (RejectReason::Media, 1415),
    (RejectReason::Internal, 1500),
];

impl RejectReason {
    /// libsrt's number for the reason.
    pub fn code(self) -> u16 {
        if let Self::Unknown(code) = self {
            return code;
        }
        CODES
            .iter()
            .find(|(reason, _)| *reason == self)
            .map_or(0, |(_, code)| *code)
    }

    /// The reason with libsrt's number `code`.
    pub fn from_code(code: u16) -> Self {
        CODES
            .iter()
            .find(|(_, known)| *known == code)
            .map_or(Self::Unknown(code), |(reason, _)| *reason)
    }

    /// What stands in the handshake's type field.
    pub(crate) fn to_wire(self) -> u32 {
        WIRE_BASE + u32::from(self.code())
    }

    /// The reason that a handshake's type field stands for, where it stands for one.
    pub(crate) fn from_wire(value: u32) -> Option<Self> {
        let code = value.checked_sub(WIRE_BASE)?;
        u16::try_from(code).ok().map(Self::from_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_draft() {
        assert_eq!(RejectReason::BadSecret.to_wire(), 1010);
        assert_eq!(RejectReason::Unsecure.to_wire(), 1011);
        assert_eq!(RejectReason::Forbidden.to_wire(), 2403);
        for (reason, _) in CODES {
            assert_eq!(RejectReason::from_wire(reason.to_wire()), Some(reason));
        }
        assert_eq!(
            RejectReason::from_wire(1999),
            Some(RejectReason::Unknown(999))
        );
        // A handshake's own types are no reasons.
        assert_eq!(RejectReason::from_wire(1), None);
        assert_eq!(RejectReason::from_wire(0xffff_ffff), None);
    }
}
