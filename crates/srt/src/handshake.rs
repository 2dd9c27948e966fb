//! Handshakes and their extensions (draft-sharabayko-srt sections 3.2.1 and 4.3).

use crate::packet::{PacketError, put, word};
use crate::reject::RejectReason;
use crate::seq::Seq;
use crate::stream_id::MAX_STREAM_ID;
use std::net::IpAddr;

/// Length of a handshake without extensions.
pub(crate) const BODY_LEN: usize = 48;
/// What stands in the extension field of an induction response.
pub(crate) const MAGIC: u16 = 0x4a17;
/// The version that this library says to be: the first whose form of GCM is that of the draft.
pub(crate) const LIBRARY_VERSION: u32 = 0x0001_0504;
/// The oldest library that speaks version 5 of the handshake.
pub(crate) const OLDEST_LIBRARY: u32 = 0x0001_0300;
/// Longest name of a congestion controller or filter that is looked at; longer is malformed.
const MAX_CONFIG: usize = 512;

const HAS_HS: u16 = 1;
const HAS_KM: u16 = 2;
const HAS_CONFIG: u16 = 4;

pub(crate) const HS_REQUEST: u16 = 1;
pub(crate) const HS_RESPONSE: u16 = 2;
pub(crate) const KM_REQUEST: u16 = 3;
pub(crate) const KM_RESPONSE: u16 = 4;
const STREAM_ID: u16 = 5;
const CONGESTION: u16 = 6;
const FILTER: u16 = 7;
const GROUP: u16 = 8;

/// Flags of the handshake extension (section 3.2.1.1.1).
pub(crate) mod flags {
    pub(crate) const TSBPD_SEND: u32 = 1;
    pub(crate) const TSBPD_RECEIVE: u32 = 2;
    pub(crate) const CRYPT: u32 = 4;
    pub(crate) const TOO_LATE_DROP: u32 = 8;
    pub(crate) const PERIODIC_NAK: u32 = 0x10;
    pub(crate) const RETRANSMIT_MARK: u32 = 0x20;
    pub(crate) const STREAM: u32 = 0x40;
}

/// What a handshake is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WaveAHand,
    Induction,
    Conclusion,
    Agreement,
    Done,
    Rejected(RejectReason),
    /// A number that means nothing.
    Other(u32),
}

impl Phase {
    fn from_wire(value: u32) -> Self {
        match value {
            0 => Self::WaveAHand,
            1 => Self::Induction,
            0xffff_ffff => Self::Conclusion,
            0xffff_fffe => Self::Agreement,
            0xffff_fffd => Self::Done,
            other => RejectReason::from_wire(other).map_or(Self::Other(other), Self::Rejected),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::WaveAHand => 0,
            Self::Induction => 1,
            Self::Conclusion => 0xffff_ffff,
            Self::Agreement => 0xffff_fffe,
            Self::Done => 0xffff_fffd,
            Self::Rejected(reason) => reason.to_wire(),
            Self::Other(value) => value,
        }
    }
}

/// The handshake itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) version: u32,
    /// Key length advertised, in units of eight bytes; zero advertises nothing.
    pub(crate) encryption: u16,
    /// Magic, socket type of old or extensions, by phase.
    pub(crate) extension: u16,
    pub(crate) first: Seq,
    pub(crate) mtu: u32,
    /// Packets that may be in flight towards the sender of this.
    pub(crate) window: u32,
    pub(crate) phase: Phase,
    pub(crate) socket: u32,
    pub(crate) cookie: u32,
    /// The address that this is sent to.
    pub(crate) address: IpAddr,
}

/// The extension that every handshake of version 5 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HsExtension {
    pub(crate) version: u32,
    pub(crate) flags: u32,
    /// Milliseconds that the sender of this holds back what it receives.
    pub(crate) receive_delay: u16,
    /// Milliseconds that it wishes its peer to hold back.
    pub(crate) send_delay: u16,
}

/// The extensions of a conclusion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) request: Option<HsExtension>,
    pub(crate) response: Option<HsExtension>,
    pub(crate) km_request: Option<Vec<u8>>,
    pub(crate) km_response: Option<Vec<u8>>,
    pub(crate) stream_id: Option<String>,
    pub(crate) congestion: Option<String>,
    /// A packet filter is asked for.
    pub(crate) filter: bool,
    /// Bonding is asked for.
    pub(crate) group: bool,
}

impl Handshake {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, PacketError> {
        if body.len() < BODY_LEN {
            return Err(PacketError::Body);
        }
        let mut ip = [0; 16];
        // Words of an address stand in the byte order of libsrt's own machine; nobody acts on them.
        ip.copy_from_slice(&body[32..48]);
        Ok(Self {
            version: word(body, 0),
            encryption: (word(body, 4) >> 16) as u16,
            extension: word(body, 4) as u16,
            first: Seq::new(word(body, 8)),
            mtu: word(body, 12),
            window: word(body, 16),
            phase: Phase::from_wire(word(body, 20)),
            socket: word(body, 24),
            cookie: word(body, 28),
            address: IpAddr::from(ip),
        })
    }

    /// The body with its extensions.
    pub(crate) fn write(&self, extensions: &Extensions) -> Vec<u8> {
        let mut out = vec![0; BODY_LEN];
        put(&mut out, 0, self.version);
        put(
            &mut out,
            4,
            u32::from(self.encryption) << 16 | u32::from(self.extension | extensions.field()),
        );
        put(&mut out, 8, self.first.value());
        put(&mut out, 12, self.mtu);
        put(&mut out, 16, self.window);
        put(&mut out, 20, self.phase.to_wire());
        put(&mut out, 24, self.socket);
        put(&mut out, 28, self.cookie);
        match self.address {
            IpAddr::V4(ip) => {
                let mut octets = ip.octets();
                octets.reverse();
                out[32..36].copy_from_slice(&octets);
            }
            IpAddr::V6(ip) => {
                out[32..48].copy_from_slice(&reversed_words(&ip.octets()));
            }
        }
        extensions.write(&mut out);
        out
    }
}

impl HsExtension {
    fn parse(body: &[u8]) -> Result<Self, RejectReason> {
        if body.len() < 8 {
            return Err(RejectReason::Rogue);
        }
        let flags = word(body, 4);
        if body.len() < 12 && flags & (flags::TSBPD_SEND | flags::TSBPD_RECEIVE) != 0 {
            return Err(RejectReason::Rogue);
        }
        Ok(Self {
            version: word(body, 0),
            flags,
            receive_delay: (word(body, 8) >> 16) as u16,
            send_delay: word(body, 8) as u16,
        })
    }

    fn bytes(&self) -> [u8; 12] {
        let mut out = [0; 12];
        put(&mut out, 0, self.version);
        put(&mut out, 4, self.flags);
        let delays = u32::from(self.receive_delay) << 16 | u32::from(self.send_delay);
        put(&mut out, 8, delays);
        out
    }
}

impl Extensions {
    /// Reads what stands behind a handshake; unknown extensions are left alone.
    pub(crate) fn parse(mut rest: &[u8]) -> Result<Self, RejectReason> {
        let mut found = Self::default();
        while rest.len() >= 4 {
            let (kind, words) = ((word(rest, 0) >> 16) as u16, word(rest, 0) as u16);
            // Padding of zeros ends the list.
            if kind == 0 {
                break;
            }
            let end = 4 + usize::from(words) * 4;
            let body = rest.get(4..end).ok_or(RejectReason::Rogue)?;
            rest = &rest[end..];
            let twice = match kind {
                HS_REQUEST => found.request.replace(HsExtension::parse(body)?).is_some(),
                HS_RESPONSE => found.response.replace(HsExtension::parse(body)?).is_some(),
                // A caller with two live keys sends both; one message that names both is what is made today.
                KM_REQUEST => found.km_request.replace(body.to_vec()).is_some(),
                KM_RESPONSE => found.km_response.replace(body.to_vec()).is_some(),
                STREAM_ID => found
                    .stream_id
                    .replace(text(body, MAX_STREAM_ID)?)
                    .is_some(),
                CONGESTION => found.congestion.replace(text(body, MAX_CONFIG)?).is_some(),
                FILTER => std::mem::replace(&mut found.filter, true),
                GROUP => std::mem::replace(&mut found.group, true),
                _ => false,
            };
            if twice {
                return Err(RejectReason::Rogue);
            }
        }
        Ok(found)
    }

    fn field(&self) -> u16 {
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        flag(self.request.is_some() || self.response.is_some(), HAS_HS)
            | flag(
                self.km_request.is_some() || self.km_response.is_some(),
                HAS_KM,
            )
            | flag(
                self.stream_id.is_some() || self.congestion.is_some(),
                HAS_CONFIG,
            )
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut extension = |kind: u16, body: &[u8]| {
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&(body.len().div_ceil(4) as u16).to_be_bytes());
            out.extend_from_slice(body);
        };
        if let Some(request) = &self.request {
            extension(HS_REQUEST, &request.bytes());
        }
        if let Some(response) = &self.response {
            extension(HS_RESPONSE, &response.bytes());
        }
        if let Some(id) = self.stream_id.as_deref().filter(|id| !id.is_empty()) {
            extension(STREAM_ID, &reversed_words(id.as_bytes()));
        }
        if let Some(congestion) = &self.congestion {
            extension(CONGESTION, &reversed_words(congestion.as_bytes()));
        }
        if let Some(message) = &self.km_request {
            extension(KM_REQUEST, message);
        }
        if let Some(message) = &self.km_response {
            extension(KM_RESPONSE, message);
        }
    }

    /// What makes the extensions of a conclusion impossible, whoever sent it.
    pub(crate) fn check(&self) -> Result<(), RejectReason> {
        if self
            .congestion
            .as_deref()
            .is_some_and(|name| name != "live")
        {
            return Err(RejectReason::Congestion);
        }
        if self.filter {
            return Err(RejectReason::Filter);
        }
        if self.group {
            return Err(RejectReason::Group);
        }
        Ok(())
    }
}

/// Strings are sent as little-endian words (section 3.2.1.3): four characters each, the other way round, padded by zeros.
fn reversed_words(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(4), 0);
    for word in out.chunks_exact_mut(4) {
        word.reverse();
    }
    out
}

fn text(body: &[u8], longest: usize) -> Result<String, RejectReason> {
    if body.len() > longest {
        return Err(RejectReason::Rogue);
    }
    let mut bytes = reversed_words(body);
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| RejectReason::Rogue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::net::Ipv4Addr;

    fn conclusion() -> Handshake {
        Handshake {
            version: 5,
            encryption: 2,
            extension: 0,
            first: Seq::new(17),
            mtu: 1500,
            window: 8192,
            phase: Phase::Conclusion,
            socket: 3,
            cookie: 4,
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }

    #[test]
    fn extensions_are_read_as_they_were_written() {
        let extensions = Extensions {
            request: Some(HsExtension {
                version: LIBRARY_VERSION,
                flags: 0xbf,
                receive_delay: 120,
                send_delay: 60,
            }),
            km_request: Some(vec![1; 56]),
            stream_id: Some("publish:stage".into()),
            ..Extensions::default()
        };
        let body = conclusion().write(&extensions);
        let handshake = Handshake::parse(&body).unwrap();
        assert_eq!(handshake.extension, 7);
        assert_eq!(handshake.phase, Phase::Conclusion);
        assert_eq!(Extensions::parse(&body[BODY_LEN..]), Ok(extensions));
    }

    #[test]
    fn strings_stand_in_words_the_other_way_round() {
        let extensions = Extensions {
            stream_id: Some("abcdef".into()),
            ..Extensions::default()
        };
        let body = conclusion().write(&extensions);
        assert_eq!(body[BODY_LEN..], hex!("00050002 64636261 00006665"));
        assert_eq!(body[32..36], [1, 0, 0, 127]);
    }

    #[test]
    fn what_is_asked_for_and_not_supported_is_refused_with_its_reason() {
        let of = |kind: u8, body: &[u8]| {
            let mut bytes = vec![0, kind, 0, (body.len() / 4) as u8];
            bytes.extend_from_slice(body);
            Extensions::parse(&bytes).and_then(|found| found.check())
        };
        assert_eq!(of(6, b"elif"), Err(RejectReason::Congestion));
        assert_eq!(of(6, b"evil"), Ok(()));
        assert_eq!(of(7, b"cef\0"), Err(RejectReason::Filter));
        assert_eq!(of(8, &[0; 8]), Err(RejectReason::Group));
        assert_eq!(of(5, &[0xff; 4]), Err(RejectReason::Rogue));
        // A length past the end.
        assert_eq!(
            Extensions::parse(&[0, 5, 0, 2, 1, 1, 1, 1]),
            Err(RejectReason::Rogue)
        );
    }
}
