//! One RTP stream out of a mixer.

use roomtone_audio::dtmf::{Digit, EventSender, OutgoingEvent};
use roomtone_audio::{DiscontinuousSender, Sending};
use roomtone_rtp::RtpHeader;

use super::NewOutput;
use crate::shard::Batch;

/// Between two keys.
const PAUSE_MS: u32 = 60;

/// Numbers what is sent, and packs it.
pub(super) struct Stream {
    /// The producer it becomes.
    pub(super) id: u64,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    /// The next packet is the first after silence (RFC 3551 section 4.1).
    marker: bool,
    /// Payload type of telephone events, and those to be sent.
    events: Option<(u8, EventSender)>,
    quiet: Option<Quiet>,
}

/// Silence that is described instead of sent (RFC 3389).
struct Quiet {
    payload_type: u8,
    sender: DiscontinuousSender,
    /// The last description.
    payload: Vec<u8>,
}

impl Stream {
    pub(super) fn new(output: &NewOutput) -> Self {
        Self {
            id: output.output,
            ssrc: output.ssrc,
            payload_type: output.payload_type,
            sequence: 0,
            timestamp: 0,
            marker: true,
            events: output.events.map(|payload_type| {
                let clock_hz = output.codec.clock_hz();
                let sender = EventSender::new(clock_hz, output.ptime_ms, PAUSE_MS);
                (payload_type, sender)
            }),
            quiet: output.noise.map(|payload_type| Quiet {
                payload_type,
                sender: DiscontinuousSender::new(output.codec.full_rate_hz()),
                payload: Vec::new(),
            }),
        }
    }

    /// Packs a payload; an empty one is silence that is not sent. `pcm` is what it was made of, `step` how far the
    /// timestamp moves on behind it. While a key is sent, its events take the place of sound, and where comfort noise is
    /// sent, descriptions that of silence.
    pub(super) fn write(&mut self, payload: &[u8], pcm: &[i16], step: u32, batch: &mut Batch) {
        let sending = match &mut self.quiet {
            Some(quiet) => quiet.sender.handle(pcm, &mut quiet.payload),
            None => Sending::Sound,
        };
        if let Some(event) = self.next_event() {
            let (payload_type, event) = event;
            self.pack(
                payload_type,
                event.marker,
                event.timestamp,
                &event.payload.to_bytes(),
                batch,
            );
            self.marker = true;
        } else if sending == Sending::Noise {
            self.describe(batch);
        } else if payload.is_empty() || sending == Sending::Nothing {
            self.marker = true;
        } else {
            let marker = std::mem::take(&mut self.marker);
            self.pack(self.payload_type, marker, self.timestamp, payload, batch);
        }
        self.timestamp = self.timestamp.wrapping_add(step);
    }

    fn describe(&mut self, batch: &mut Batch) {
        if let Some(quiet) = self.quiet.take() {
            let (number, timestamp) = (quiet.payload_type, self.timestamp);
            self.pack(number, false, timestamp, &quiet.payload, batch);
            self.quiet = Some(quiet);
        }
        self.marker = true;
    }

    fn next_event(&mut self) -> Option<(u8, OutgoingEvent)> {
        let (payload_type, sender) = self.events.as_mut()?;
        Some((*payload_type, sender.tick(self.timestamp)?))
    }

    /// Whether the key will be sent.
    pub(super) fn press(&mut self, digit: Digit, duration_ms: u32) -> bool {
        let Some((_, sender)) = &mut self.events else {
            return false;
        };
        sender.push(digit, duration_ms).is_ok()
    }

    fn pack(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
        batch: &mut Batch,
    ) {
        let header = RtpHeader {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        batch.push_rtp(&header, payload);
        self.sequence = self.sequence.wrapping_add(1);
    }
}
