//! The data channel part of a transport.

use std::time::Instant;

use super::Transport;
use crate::error::TransportError;
use crate::sctp::{Association, ChannelId, ChannelParameters, SctpOutput};

impl Transport {
    /// Opens a data channel. Messages may be sent at once; `ChannelOpened` tells when the peer has it.
    pub fn open_channel(
        &mut self,
        parameters: ChannelParameters,
        now: Instant,
    ) -> Result<ChannelId, TransportError> {
        let id = self.association(now)?.open(parameters, now)?;
        self.pump();
        Ok(id)
    }

    /// Sends a message on a data channel.
    pub fn send_message(
        &mut self,
        id: ChannelId,
        binary: bool,
        data: &[u8],
        now: Instant,
    ) -> Result<(), TransportError> {
        self.association(now)?.send(id, binary, data, now)?;
        self.counters.messages_sent += 1;
        self.pump();
        Ok(())
    }

    /// Closes a data channel; `ChannelClosed` follows when the peer has closed its half.
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) -> Result<(), TransportError> {
        self.association(now)?.close(id, now)?;
        self.pump();
        Ok(())
    }

    /// Bytes waiting to be sent on a channel.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        self.sctp
            .as_ref()
            .map_or(0, |association| association.buffered_amount(id))
    }

    fn association(&mut self, now: Instant) -> Result<&mut Association, TransportError> {
        self.begin(now)?;
        if !self.config.sctp {
            return Err(TransportError::NoSctp);
        }
        // Which streams are ours depends on the DTLS role: before the handshake there is no association.
        self.sctp.as_mut().ok_or(TransportError::NotConnected)
    }

    pub(super) fn pump_sctp(&mut self) {
        let space = self.config.limits.events.saturating_sub(self.events.len());
        let Some(association) = self.sctp.as_mut() else {
            return;
        };
        association.drain(space, &mut self.counters);
        while let Some(output) = self.sctp.as_mut().and_then(Association::poll_output) {
            match output {
                SctpOutput::Event(event) => self.events.push_back(event),
                SctpOutput::Packet(packet) => self.send_sctp(&packet),
            }
        }
    }

    fn send_sctp(&mut self, packet: &[u8]) {
        // Left out under pressure: SCTP repeats it.
        if self.transmit.len() >= self.config.limits.transmit_queue {
            self.counters.transmit_dropped += 1;
            return;
        }
        let Some(session) = self.dtls.as_mut() else {
            return;
        };
        let sent = session.send(packet, self.now);
        self.take_dtls_result(sent);
    }
}
