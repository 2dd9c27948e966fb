//! What a mixer gives out: one encoder for all outputs of one mix, codec and packet time, one RTP stream each.

use roomtone_audio::codec::{Codec, CodecError, Encode, Encoded, EncoderSetting};
use roomtone_rtp::{RtpHeader, write_header};

use super::{Mix, NewOutput, TICK_MS};
use crate::shard::Batch;
use crate::values::Report;

/// Bytes of a fixed RTP header.
const HEADER: usize = 12;

/// One RTP stream out of a mixer.
struct Stream {
    id: u64,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    /// The next packet is the first after silence (RFC 3551 section 4.1).
    marker: bool,
}

/// Outputs that sound alike, and their encoder.
pub(super) struct Group {
    pub(super) mix: Mix,
    codec: Codec,
    ptime_ms: u32,
    encoder: Box<dyn Encode>,
    /// Samples that wait for a whole packet.
    pcm: Vec<i16>,
    payload: Vec<u8>,
    streams: Vec<Stream>,
    failed: u64,
}

impl Group {
    pub(super) fn new(output: &NewOutput) -> Result<Self, CodecError> {
        let codec = output.codec;
        let mut encoder = codec.encoder(codec.full_rate_hz())?;
        if codec == Codec::Opus {
            encoder.set(EncoderSetting::Fec(true))?;
            encoder.set(EncoderSetting::ExpectedLossPercent(5))?;
        }
        Ok(Self {
            mix: output.mix.clone(),
            codec,
            ptime_ms: output.ptime_ms,
            encoder,
            pcm: Vec::new(),
            payload: Vec::new(),
            streams: Vec::new(),
            failed: 0,
        })
    }

    pub(super) fn takes(&self, output: &NewOutput) -> bool {
        self.mix == output.mix && self.codec == output.codec && self.ptime_ms == output.ptime_ms
    }

    pub(super) fn add(&mut self, output: &NewOutput) {
        self.streams.push(Stream {
            id: output.output,
            ssrc: output.ssrc,
            payload_type: output.payload_type,
            sequence: 0,
            timestamp: 0,
            marker: true,
        });
    }

    /// Whether outputs are left.
    pub(super) fn remove(&mut self, output: u64) -> bool {
        self.streams.retain(|stream| stream.id != output);
        !self.streams.is_empty()
    }

    pub(super) fn report(&self, complexity: u64) -> Report {
        Report::from([
            ("type".to_owned(), "mixer-encoder".into()),
            ("codec".to_owned(), self.codec.name().into()),
            ("ptimeMs".to_owned(), self.ptime_ms.into()),
            ("outputs".to_owned(), self.streams.len().into()),
            ("framesFailed".to_owned(), self.failed.into()),
            ("complexity".to_owned(), complexity.into()),
        ])
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.encoder.rate_hz()
    }

    pub(super) fn set_complexity(&mut self, complexity: u8) {
        // G.711 and its like have none.
        let _ = self.encoder.set(EncoderSetting::Complexity(complexity));
    }

    /// Takes the sound of a tick, and writes packets once there is enough for one.
    pub(super) fn handle_sound(&mut self, pcm: &[i16], batch: &mut Batch) {
        self.pcm.extend_from_slice(pcm);
        let samples = (self.rate_hz() / 1000 * self.ptime_ms) as usize;
        while self.pcm.len() >= samples {
            self.payload.clear();
            let encoded = self.encoder.encode(&self.pcm[..samples], &mut self.payload);
            self.pcm.drain(..samples);
            let sent = match encoded {
                Ok(Encoded::Payload(_)) => true,
                Ok(Encoded::Nothing) => false,
                Err(_) => {
                    self.failed += 1;
                    false
                }
            };
            let step = self.codec.clock_hz() / 1000 * self.ptime_ms;
            for stream in &mut self.streams {
                if sent {
                    stream.write(&self.payload, batch);
                } else {
                    stream.marker = true;
                }
                stream.timestamp = stream.timestamp.wrapping_add(step);
            }
        }
        debug_assert!(self.ptime_ms.is_multiple_of(TICK_MS) || self.ptime_ms < TICK_MS);
    }
}

impl Stream {
    fn write(&mut self, payload: &[u8], batch: &mut Batch) {
        let at = batch.bytes.len();
        batch.bytes.resize(at + HEADER, 0);
        let header = RtpHeader {
            marker: self.marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        write_header(&mut batch.bytes[at..], &header);
        batch.bytes.extend_from_slice(payload);
        batch.packets.push(((HEADER + payload.len()) as u32, false));
        self.sequence = self.sequence.wrapping_add(1);
        self.marker = false;
    }
}
