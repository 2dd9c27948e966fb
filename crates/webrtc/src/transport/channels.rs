//! The data channel part of a transport.

use std::time::Instant;

use super::Transport;
use crate::error::{ChannelError, TransportError};
use crate::sctp::{Association, ChannelId, ChannelParameters, LAST_STREAM, SctpOutput};
use crate::stats::{ChannelCounters, ChannelStats, ChannelStatus};

impl Transport {
    /// Opens a data channel. Messages may be sent at once; `ChannelOpened` tells when the peer has it.
    ///
    /// One on an agreed stream may be opened before the handshake, so that the peer's first message finds it.
    pub fn open_channel(
        &mut self,
        parameters: ChannelParameters,
        now: Instant,
    ) -> Result<ChannelId, TransportError> {
        if let (Some(stream), None) = (parameters.negotiated, &self.sctp) {
            self.begin(now)?;
            return self.open_early(stream, parameters);
        }
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
        let sent = self.association(now)?.send(id, binary, data, now);
        match sent {
            Ok(()) => self.counters.messages_sent += 1,
            Err(error) => {
                self.counters.messages_refused += u64::from(error.is_for_want_of_space());
            }
        }
        self.pump();
        Ok(sent?)
    }

    /// Closes a data channel; `ChannelClosed` follows when the peer has closed its half.
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) -> Result<(), TransportError> {
        let early = self.early_channels.len();
        self.early_channels
            .retain(|parameters| parameters.negotiated != Some(id.0));
        if self.early_channels.len() < early {
            return Ok(());
        }
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

    /// A snapshot of a channel that is open, opening or closing.
    pub fn channel_stats(&self, id: ChannelId) -> Option<ChannelStats> {
        if let Some(association) = &self.sctp {
            return association.channel_stats(id);
        }
        let waiting = self
            .early_channels
            .iter()
            .find(|one| one.negotiated == Some(id.0))?;
        Some(ChannelStats {
            parameters: waiting.clone(),
            status: ChannelStatus::Connecting,
            buffered_amount: 0,
            counters: ChannelCounters::default(),
        })
    }

    fn open_early(
        &mut self,
        stream: u16,
        parameters: ChannelParameters,
    ) -> Result<ChannelId, TransportError> {
        if !self.config.sctp {
            return Err(TransportError::NoSctp);
        }
        let taken = |other: &ChannelParameters| other.negotiated == Some(stream);
        if stream > LAST_STREAM || self.early_channels.iter().any(taken) {
            return Err(ChannelError::InUse.into());
        }
        if self.early_channels.len() >= self.config.limits.channels {
            return Err(ChannelError::TooMany.into());
        }
        let limit = self
            .config
            .limits
            .channel_label_bytes
            .min(usize::from(u16::MAX));
        if parameters.label.len() > limit || parameters.protocol.len() > limit {
            return Err(ChannelError::LabelTooLong.into());
        }
        self.early_channels.push(parameters);
        Ok(ChannelId(stream))
    }

    /// Opens what waited for the handshake. All of it was checked when it was handed in.
    pub(super) fn open_waiting(&mut self) {
        let (early, now) = (std::mem::take(&mut self.early_channels), self.now);
        if let Some(association) = self.sctp.as_mut() {
            for parameters in early {
                let opened = association.open(parameters, now);
                debug_assert!(opened.is_ok(), "{opened:?}");
            }
        }
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
