//! What lives on a shard.

use std::net::{SocketAddr, UdpSocket};

use roomtone_rtp::MediaKind;
use roomtone_sfu::{AudioLevelConfig, ProducerParams, Router};
use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};
use roomtone_webrtc::{ChannelId, FiveTuple, Protocol, Transport};
use rustc_hash::FxHashMap;

use super::feeding::FeedEnd;
use super::inbox::BatchPool;
use super::lane::Lane;
use super::latch::Latch;
use super::mixing::MixerEnd;
use super::packaging::PackagerEnd;
use super::plain_dtls::PlainDtls;
use crate::timers::Armed;

/// A forwarding domain and what the driver keeps beside it.
pub(crate) struct RouterEntry {
    pub(crate) id: u64,
    pub(crate) router: Router,
    /// Slots of its transports.
    pub(crate) transports: Vec<usize>,
    pub(crate) observers: Vec<u64>,
    #[cfg(test)]
    pub(crate) panics: bool,
    pub(crate) armed: Armed,
    /// Already in the list of those to look after.
    pub(crate) dirty: bool,
    /// Closed by somebody who wants to hear nothing of it.
    pub(crate) quiet: bool,
}

/// A transport and what the driver keeps beside it.
pub(crate) struct TransportEntry {
    pub(crate) id: u64,
    /// Slot of its router.
    pub(crate) router: usize,
    pub(crate) carrier: Carrier,
    /// What the router was told last.
    pub(crate) writable: bool,
    pub(crate) producers: Vec<u64>,
    pub(crate) consumers: Vec<u64>,
    pub(crate) armed: Armed,
    pub(crate) dirty: bool,
    #[cfg(test)]
    pub(crate) panics: bool,
}

/// What carries a transport's packets.
pub(crate) enum Carrier {
    /// ICE, DTLS, SCTP.
    WebRtc(Box<Peer>),
    /// Ports of its own.
    Plain(Box<Plain>),
    /// Another shard.
    Pipe(Box<PipeEnd>),
    /// An audio thread.
    Mixer(Box<MixerEnd>),
    /// The live thread.
    Packager(Box<PackagerEnd>),
    /// Whoever has units.
    Feed(Box<FeedEnd>),
}

/// One WebRTC peer.
pub(crate) struct Peer {
    pub(crate) transport: Transport,
    pub(crate) sctp: bool,
    /// Keys of the address table that lead here; oldest first.
    pub(crate) addresses: Vec<(Protocol, SocketAddr)>,
    /// User fragments that lead here.
    pub(crate) ufrags: Vec<String>,
    /// Slots of TCP connections that carry its packets.
    pub(crate) connections: Vec<usize>,
    pub(crate) channels: FxHashMap<ChannelId, u64>,
    /// Set until the peer is known by command: when to give up.
    pub(crate) give_up: Option<std::time::Instant>,
    pub(crate) selected: Option<FiveTuple>,
}

/// RTP and RTCP on ports of their own.
pub(crate) struct Plain {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtp_local: SocketAddr,
    /// Absent with rtcp-mux.
    pub(crate) rtcp: Option<(UdpSocket, SocketAddr)>,
    pub(crate) lane: Option<Lane>,
    /// Packets that have come from where the peer is known to be since it came there.
    pub(crate) steady: u32,
    pub(crate) latch: Latch,
    /// Turns in which its sockets were read last, by [`Port`].
    pub(crate) read_in: [u64; 3],
    /// Whether its sockets may be given runs of datagrams as one, by [`Port`].
    pub(crate) takes_runs: [bool; 3],
    /// What its packets are marked with.
    pub(crate) dscp: Option<u8>,
    /// SRTP is wanted: nothing passes without keys.
    pub(crate) secure: bool,
    /// What was given by hand, to tell new keys from the same ones again.
    pub(crate) given: GivenKeys,
    pub(crate) sealer: Option<Sealer>,
    pub(crate) opener: Option<Opener>,
    pub(crate) dtls: Option<Box<PlainDtls>>,
    /// Of RTCP, where DTLS has made it keys of its own.
    pub(crate) rtcp_keys: Option<(Sealer, Opener)>,
}

/// The sockets of a plain transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Rtp,
    Rtcp,
    Lane,
}

/// SRTP keys that commands gave.
#[derive(Default)]
pub(crate) struct GivenKeys {
    pub(crate) ours: Option<(Profile, MasterKey)>,
    pub(crate) theirs: Option<(Profile, MasterKey)>,
}

impl Plain {
    /// The socket of a port, while there is one.
    pub(crate) fn socket(&self, port: Port) -> Option<&UdpSocket> {
        match port {
            Port::Rtp => Some(&self.rtp),
            Port::Rtcp => self.rtcp.as_ref().map(|(socket, _)| socket),
            Port::Lane => self.lane.as_ref().map(|lane| &lane.socket),
        }
    }

    /// Whether packets can go out.
    pub(crate) fn can_send(&self) -> bool {
        self.latch.remote().is_some() && (!self.secure || self.sealer.is_some())
    }

    /// Protects a packet; `None` where it may not go out.
    pub(crate) fn seal(&mut self, buffer: &mut [u8], len: usize, rtcp: bool) -> Option<usize> {
        if rtcp && let Some((sealer, _)) = &mut self.rtcp_keys {
            return sealer.seal_rtcp(buffer, len).ok();
        }
        match &mut self.sealer {
            // With a port of its own RTCP waits for keys of its own.
            Some(_) if rtcp && self.dtls.is_some() && self.rtcp.is_some() => None,
            Some(sealer) if rtcp => sealer.seal_rtcp(buffer, len).ok(),
            Some(sealer) => sealer.seal_rtp(buffer, len).ok(),
            None => (!self.secure).then_some(len),
        }
    }

    /// Takes the protection off a packet; `None` where it is not genuine.
    pub(crate) fn unseal(
        &mut self,
        data: &mut [u8],
        rtcp: bool,
        on_rtcp_port: bool,
    ) -> Option<usize> {
        if on_rtcp_port && self.dtls.is_some() {
            let (_, opener) = self.rtcp_keys.as_mut()?;
            return opener.open_rtcp(data).ok();
        }
        match &mut self.opener {
            Some(opener) if rtcp => opener.open_rtcp(data).ok(),
            Some(opener) => opener.open_rtp(data).ok(),
            None => (!self.secure).then_some(data.len()),
        }
    }
}

/// One end of a pipe.
pub(crate) struct PipeEnd {
    pub(crate) far_shard: usize,
    pub(crate) far_transport: u64,
    /// The producer that is carried, at the end it is carried from.
    pub(crate) source: Option<u64>,
    pub(crate) pool: BatchPool,
    /// Packets given to the other end.
    pub(crate) packets_handed: u64,
    /// Packets the other end's shard had no room for.
    pub(crate) packets_dropped: u64,
}

/// A producer as the driver knows it.
pub(crate) struct ProducerEntry {
    /// Slot of its transport.
    pub(crate) transport: usize,
    pub(crate) kind: MediaKind,
    /// Kept for pipes.
    pub(crate) params: ProducerParams,
    /// Transports that carry it to other shards.
    pub(crate) pipes: Vec<u64>,
}

/// A consumer as the driver knows it.
pub(crate) struct ConsumerEntry {
    /// Slot of its transport.
    pub(crate) transport: usize,
    pub(crate) kind: MediaKind,
    /// SSRCs that were drawn for it, so that nobody uses them again; their SRTP state goes with it.
    pub(crate) drawn_ssrcs: Vec<u32>,
}

/// What an id stands for.
pub(crate) enum Object {
    Router(usize),
    Transport(usize),
    Producer(Box<ProducerEntry>),
    Consumer(Box<ConsumerEntry>),
    /// Slot of its router, what it is.
    Observer(usize, Box<ObserverEntry>),
    /// Slot of its transport, its stream, whether it is open.
    Channel(usize, ChannelId, bool),
}

/// An observer of audio levels: how it looks, and what it told.
pub(crate) struct ObserverEntry {
    pub(crate) levels: AudioLevelConfig,
    /// Times it told who speaks, or that nobody does.
    pub(crate) reports: u64,
    /// How many spoke when it told last.
    pub(crate) speakers: usize,
    /// The producer of whoever was the loudest then.
    pub(crate) dominant: Option<u64>,
}

/// Deadlines of these are in the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    Router(usize),
    Transport(usize),
    Connection(usize),
}

/// What a descriptor in the poller belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Inbox,
    Udp(usize),
    Listener(usize),
    Connection(usize),
    PlainRtp(usize),
    PlainRtcp(usize),
    PlainLane(usize),
}

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        let (kind, slot) = match token {
            Token::Inbox => (0, 0),
            Token::Udp(slot) => (1, slot),
            Token::Listener(slot) => (2, slot),
            Token::Connection(slot) => (3, slot),
            Token::PlainRtp(slot) => (4, slot),
            Token::PlainRtcp(slot) => (5, slot),
            Token::PlainLane(slot) => (6, slot),
        };
        (kind << 56) | slot as u64
    }
}

impl Token {
    pub(crate) fn from_u64(value: u64) -> Option<Self> {
        let slot = (value & ((1 << 56) - 1)) as usize;
        Some(match value >> 56 {
            0 => Self::Inbox,
            1 => Self::Udp(slot),
            2 => Self::Listener(slot),
            3 => Self::Connection(slot),
            4 => Self::PlainRtp(slot),
            5 => Self::PlainRtcp(slot),
            6 => Self::PlainLane(slot),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        for token in [
            Token::Inbox,
            Token::Udp(3),
            Token::Listener(1),
            Token::Connection(70_000),
            Token::PlainRtp(5),
            Token::PlainRtcp(usize::from(u16::MAX)),
            Token::PlainLane(9),
        ] {
            assert_eq!(Token::from_u64(token.into()), Some(token));
        }
        assert_eq!(Token::from_u64(u64::MAX), None);
    }
}
