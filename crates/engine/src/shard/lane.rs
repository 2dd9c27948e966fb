//! A lane: a second socket on the RTP port of a plain transport, connected to its peer.
//!
//! The kernel looks up the way of each packet that leaves an unconnected socket; a connected one remembers it. What the
//! peer sends comes by the lane, too, and what others send goes on coming by the first socket, so that strays are
//! counted and a peer that moves is followed. Where a lane cannot be had nothing is lost.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::Shard;
use super::objects::{Carrier, Plain, Token};
use crate::bind::{connected_twin, mark};
use crate::sys::open_files_limit;

/// Packets of a peer after which it is taken to stay where it is: a second of sound.
const STEADY: u32 = 50;

/// A socket for one peer.
pub(crate) struct Lane {
    pub(super) socket: UdpSocket,
    /// Where it is connected to.
    pub(super) to: SocketAddr,
    /// Nothing has been read from it yet: what came before waits on the first socket.
    pub(super) is_new: bool,
}

impl Plain {
    /// A packet came from where the peer is known to be; whether it is time to open a lane.
    pub(super) fn goes_on_steadily(&mut self) -> bool {
        self.steady = self.steady.saturating_add(1);
        self.steady == STEADY
    }

    /// The peer may be elsewhere: a lane to another place than that is given up.
    pub(super) fn check_lane(&mut self) {
        let remote = self.latch.remote();
        if self.lane.take_if(|lane| Some(lane.to) != remote).is_some() {
            self.steady = 0;
        }
    }

    /// The lane, if it leads to where the peer is.
    pub(super) fn lane_to(&self, remote: SocketAddr) -> Option<&UdpSocket> {
        let lane = self.lane.as_ref().filter(|lane| lane.to == remote)?;
        Some(&lane.socket)
    }
}

impl Shard {
    /// Opens a lane to the peer of a plain transport.
    pub(super) fn open_lane(&mut self, slot: usize) {
        let Some(Carrier::Plain(plain)) = self
            .transports
            .get_mut(slot)
            .map(|entry| &mut entry.carrier)
        else {
            return;
        };
        let Some(to) = plain.latch.remote() else {
            return;
        };
        let opened = connected_twin(&plain.rtp, plain.rtp_local, to).and_then(|socket| {
            if let Some(dscp) = plain.dscp {
                mark(&socket, plain.rtp_local, dscp)?;
            }
            self.poller.add(&socket, Token::PlainLane(slot).into())?;
            Ok(socket)
        });
        // Descriptors are for those who cannot do without.
        match opened.ok().filter(is_among_first_half) {
            Some(socket) => {
                self.counters.lanes_opened.up();
                plain.lane = Some(Lane {
                    socket,
                    to,
                    is_new: true,
                });
            }
            None => self.counters.lanes_refused.up(),
        }
    }
}

fn is_among_first_half(socket: &UdpSocket) -> bool {
    u64::try_from(socket.as_raw_fd()).is_ok_and(|fd| fd < open_files_limit() / 2)
}
