//! Datagrams in on the ports of plain transports: how they are read, whose they are, and to the router with them.

use std::net::SocketAddr;
use std::time::Instant;

use roomtone_rtp::{is_rtcp, is_rtp};
use roomtone_sfu::{RtpDrop, TransportId};
use roomtone_webrtc::is_dtls;

use super::ingress::{PACKETS_A_BURST, ROUNDS, feed_rtcp};
use super::latch::{Place, Source};
use super::objects::{Carrier, Object, Plain, Port};
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::sys::{Datagrams, datagrams_of, enable_gro};

/// Packets of sound are no longer: 40 ms of G.711, sealed.
const SOUND_BYTES: usize = 400;
/// Rounds in which what came before a lane was opened is read; more than a socket's buffer holds.
const OLDER_ROUNDS: usize = 128;

impl Shard {
    /// Takes in what waits on a port of a plain transport.
    pub(super) fn read_plain(&mut self, slot: usize, port: Port) {
        if port == Port::Lane && self.is_lane_new(slot) {
            self.read_older(slot);
        }
        let Some(mut datagrams) = self.datagrams.take() else {
            return;
        };
        let mut most = self.plain_messages(slot, port);
        for _ in 0..ROUNDS {
            let Some((count, longest)) = self.read_round(slot, port, most, &mut datagrams) else {
                break;
            };
            if count < most || (most == 1 && longest <= SOUND_BYTES) {
                break;
            }
            self.take_runs(slot, port);
            most = Datagrams::capacity();
        }
        self.datagrams = Some(datagrams);
    }

    /// What came before a lane was opened waits on the first port, and goes before what comes by the lane.
    fn read_older(&mut self, slot: usize) {
        let Some(mut datagrams) = self.datagrams.take() else {
            return;
        };
        let most = Datagrams::capacity();
        for _ in 0..OLDER_ROUNDS {
            let round = self.read_round(slot, Port::Rtp, most, &mut datagrams);
            if round.is_none_or(|(count, _)| count < most) {
                break;
            }
        }
        self.datagrams = Some(datagrams);
    }

    /// Whether nothing has been read from a lane yet; from now on it has.
    fn is_lane_new(&mut self, slot: usize) -> bool {
        let entry = self.transports.get_mut(slot);
        let Some(Carrier::Plain(plain)) = entry.map(|entry| &mut entry.carrier) else {
            return false;
        };
        let lane = plain.lane.as_mut();
        lane.is_some_and(|lane| std::mem::take(&mut lane.is_new))
    }

    /// Takes in at most so many messages of a port: how many there were, and bytes of the longest. None where the port is
    /// gone.
    fn read_round(
        &mut self,
        slot: usize,
        port: Port,
        most: usize,
        datagrams: &mut Datagrams,
    ) -> Option<(usize, usize)> {
        let entry = self.transports.get(slot);
        let Some(Carrier::Plain(plain)) = entry.map(|entry| &entry.carrier) else {
            return None;
        };
        let socket = plain.socket(port)?;
        self.counters.receive_calls.up();
        let received = if most == 1 && !plain.takes_runs[port as usize] {
            datagrams.receive_alone(socket)
        } else {
            datagrams.receive_some(socket, most)
        };
        let count = received.unwrap_or(0);
        self.now = std::time::Instant::now();
        let (mut pending, mut longest) = (0, 0);
        for index in 0..count {
            let Some((remote, segment, bytes)) = datagrams.message(index) else {
                continue;
            };
            longest = longest.max(bytes.len());
            for datagram in datagrams_of(bytes, segment) {
                self.on_plain_datagram(slot, remote, port == Port::Rtcp, datagram);
                pending += 1;
            }
            if pending >= PACKETS_A_BURST {
                self.settle();
                pending = 0;
            }
        }
        self.settle();
        Some((count, longest))
    }

    /// Pictures have come, or much at once: the kernel may hand over runs of them from now on.
    fn take_runs(&mut self, slot: usize, port: Port) {
        let Some(Carrier::Plain(plain)) = self
            .transports
            .get_mut(slot)
            .map(|entry| &mut entry.carrier)
        else {
            return;
        };
        if let Some(socket) = plain.socket(port)
            && !plain.takes_runs[port as usize]
        {
            // Kernels before 5.0 cannot; datagrams then come one by one.
            let _ = enable_gro(socket);
            plain.takes_runs[port as usize] = true;
        }
    }

    /// How many messages to ask a plain socket for at first. Sound comes a packet at a time, pictures in runs; what is left
    /// is told of again. Where turns rest, a socket that has something in two of them one after the other may be behind.
    fn plain_messages(&mut self, slot: usize, port: Port) -> usize {
        let turn = self.counters.turns.get();
        let Some(Carrier::Plain(plain)) = self
            .transports
            .get_mut(slot)
            .map(|entry| &mut entry.carrier)
        else {
            return 1;
        };
        let last = std::mem::replace(&mut plain.read_in[port as usize], turn);
        if self.gather.is_dense() && last + 1 == turn {
            Datagrams::capacity()
        } else {
            1
        }
    }

    fn on_plain_datagram(
        &mut self,
        slot: usize,
        remote: SocketAddr,
        on_rtcp_port: bool,
        data: &mut [u8],
    ) {
        self.counters.datagrams_received.up();
        self.counters.bytes_received.add(data.len() as u64);
        self.gather.note();
        if !self.may_be_taken(slot, remote, data) {
            return;
        }
        let Some(entry) = self.transports.get_mut(slot) else {
            return;
        };
        let (id, router) = (TransportId(entry.id), entry.router);
        let listens = entry.producers.is_empty() && !entry.consumers.is_empty();
        let Carrier::Plain(plain) = &mut entry.carrier else {
            return;
        };
        let (now, counters, router_entry) = (self.now, &self.counters, &mut self.routers[router]);
        #[cfg(test)]
        let panics = std::mem::take(&mut entry.panics);
        if plain.dtls.is_some() && is_dtls(data) {
            match guard(|| plain.handle_dtls(remote, on_rtcp_port, data, now)) {
                Ok(taken) => {
                    if !taken {
                        plain.latch.strays += 1;
                        counters.dropped_wrong_source.up();
                    }
                    self.touch_transport(slot);
                }
                Err(Panicked) => self.transport_panicked(slot),
            }
            return;
        }
        let mut is_steady = false;
        let fed = guard(|| {
            #[cfg(test)]
            assert!(!panics, "injected");
            let opened = plain.open(remote, on_rtcp_port, data, now, counters)?;
            let packet = &data[..opened.len];
            let router = &mut router_entry.router;
            let Some(place) = opened.place else {
                feed_rtcp(router, id, packet, now, counters);
                return Some(false);
            };
            counters.rtp_received.up();
            let taken = router.handle_rtp(id, packet, now);
            if taken.is_err() {
                counters.dropped_rtp.up();
            }
            // Who only listens has nothing that a packet could be known by.
            let is_known = matches!(taken, Ok(()) | Err(RtpDrop::Paused)) || listens;
            let moved =
                is_known && plain.on_valid(remote, opened.is_candidate, place, now, counters);
            is_steady = is_known && !moved && plain.goes_on_steadily();
            Some(moved)
        });
        match fed {
            Ok(Some(moved)) => {
                if moved {
                    self.tell_learnt(slot, remote);
                } else if is_steady {
                    self.open_lane(slot);
                }
                self.touch_router(router);
            }
            Ok(None) => {}
            Err(Panicked) => self.transport_panicked(slot),
        }
    }
}

/// What `Plain::open` finds.
struct Opened {
    /// Of the packet in clear.
    len: usize,
    /// Of RTP; RTCP has none.
    place: Option<Place>,
    /// It comes from where the peer is not known to be.
    is_candidate: bool,
}

impl Shard {
    /// Before the peer is known, where all of its streams were named, others are strays.
    fn may_be_taken(&mut self, slot: usize, remote: SocketAddr, data: &[u8]) -> bool {
        let Some(entry) = self.transports.get(slot) else {
            return false;
        };
        let Carrier::Plain(plain) = &entry.carrier else {
            return false;
        };
        let Some(place) = Place::of(data).filter(|_| is_rtp(data)) else {
            return true;
        };
        if plain.latch.judge(remote, place, self.now) != Source::Candidate {
            return true;
        }
        let mut named = entry.producers.iter().flat_map(|producer| {
            let Some(Object::Producer(producer)) = self.objects.get(producer) else {
                return &[][..];
            };
            &producer.params.encodings[..]
        });
        let mut is_open = entry.producers.iter().filter_map(|id| self.objects.get(id));
        let is_open = is_open.any(|object| match object {
            Object::Producer(producer) => {
                let encodings = &producer.params.encodings;
                encodings.is_empty() || encodings.iter().any(|one| one.ssrc.is_none())
            }
            _ => false,
        });
        let ssrc = Some(place.ssrc());
        if is_open
            || entry.producers.is_empty()
            || named.any(|one| one.ssrc == ssrc || one.rtx_ssrc == ssrc)
        {
            return true;
        }
        if let Some(Carrier::Plain(plain)) = self
            .transports
            .get_mut(slot)
            .map(|entry| &mut entry.carrier)
        {
            plain.latch.strays += 1;
        }
        self.counters.dropped_wrong_source.up();
        false
    }
}

impl Plain {
    /// Checks source and form, takes SRTP off.
    fn open(
        &mut self,
        remote: SocketAddr,
        on_rtcp_port: bool,
        data: &mut [u8],
        now: Instant,
        counters: &Counters,
    ) -> Option<Opened> {
        let rtcp = is_rtcp(data);
        if !rtcp && (on_rtcp_port || !is_rtp(data)) {
            counters.dropped_not_media.up();
            return None;
        }
        let place = Place::of(data).filter(|_| !rtcp);
        let source = match place {
            Some(place) => self.latch.judge(remote, place, now),
            None => self.latch.judge_rtcp(remote, on_rtcp_port),
        };
        if source == Source::Stray {
            self.latch.strays += 1;
            counters.dropped_wrong_source.up();
            return None;
        }
        let opened = self.unseal(data, rtcp, on_rtcp_port);
        let Some(len) = opened else {
            counters.dropped_srtp.up();
            return None;
        };
        if rtcp && on_rtcp_port {
            self.latch.heard_rtcp(remote);
        }
        Some(Opened {
            len,
            place,
            is_candidate: source == Source::Candidate,
        })
    }

    /// Whether the address of the peer is news, now that a packet has proven valid.
    fn on_valid(
        &mut self,
        remote: SocketAddr,
        is_candidate: bool,
        place: Place,
        now: Instant,
        counters: &Counters,
    ) -> bool {
        if !is_candidate {
            self.latch.heard(place, now);
            return false;
        }
        if self.latch.remote().is_some() {
            counters.plain_rebinds.up();
        }
        self.latch.moved(remote, place, now);
        self.check_lane();
        if let Some(dtls) = &mut self.dtls {
            dtls.follow(remote);
        }
        true
    }
}
