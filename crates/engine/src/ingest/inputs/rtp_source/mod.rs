//! A source of RTP that a description tells about: its packets put together, on one timeline.
//!
//! Each of its streams has one sender, by address and SSRC. Another with the same payload type is a stranger, until the
//! sender has said goodbye or is silent; an encoder that begins anew goes on in its place, behind a break. Once all
//! senders are over, whoever comes is another source.

mod described;
mod reception;
mod reports;
mod sender;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roomtone_frames::Timeline;
use roomtone_rtp::RtpPacket;
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};

use self::described::{coding, parameter_sets, track};
use self::reports::Reporter;
pub(in crate::ingest) use self::reports::Reports;
use self::sender::{Judged, Kept, Sender};
use crate::ingest::publisher::Sent;
use crate::live::{Step, Track, unix_us};
use crate::values::IngestRtpTrack;

/// So long others are waited for, and reports that tie them together, once one can begin.
const SETTLE: Duration = Duration::from_millis(1_500);

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum Taken {
    Yes,
    /// Its payload type is known, and not carried.
    Unused,
    /// Of one who may take over, when it is known whether that is so.
    Kept,
    /// Another source sends this payload type.
    Stranger,
    /// The sources before are gone, and these packets are of new ones: begin anew.
    Anew,
}

/// What became of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum Reported {
    Fine,
    /// They are of another source with the same SSRC.
    Stranger,
    /// All who sent have said goodbye.
    Over,
}

/// A stream of the description.
struct Stream {
    described: IngestRtpTrack,
    /// None where it is not carried.
    track: Option<Track>,
    told: bool,
    sender: Option<Sender>,
    /// When a keyframe was asked for last.
    asked: Option<Instant>,
}

impl Stream {
    /// Take a packet of its sender.
    fn take(&mut self, from: SocketAddr, packet: &RtpPacket<'_>, now: Instant) -> Taken {
        let rate = self.described.clock_rate;
        let sender = self
            .sender
            .get_or_insert_with(|| Sender::new(from, packet, rate, now));
        sender.handle_packet(packet, now);
        match &mut self.track {
            Some(track) => {
                track.handle_rtp(packet, now);
                Taken::Yes
            }
            None => Taken::Unused,
        }
    }

    /// Another sender goes on with it, whose first packets these are.
    fn take_over(&mut self, from: SocketAddr, packets: &[Kept]) -> Taken {
        self.sender = None;
        if let Some(track) = &mut self.track {
            track.restart(&parameter_sets(&self.described));
        }
        let mut taken = Taken::Unused;
        for (bytes, at) in packets {
            if let Ok(packet) = RtpPacket::parse(bytes) {
                taken = self.take(from, &packet, *at);
            }
        }
        taken
    }
}

/// A source of RTP. Keys of its tracks count them as they are described.
pub(in crate::ingest) struct RtpSource {
    streams: Vec<Stream>,
    timeline: Timeline,
    /// When a track could begin first.
    ready: Option<Instant>,
    begun: bool,
    reporter: Reporter,
    /// Packets that were kept of others, in vain.
    refused: u64,
}

impl RtpSource {
    /// For what is described; `ssrc` is ours.
    pub(in crate::ingest) fn new(described: &[IngestRtpTrack], ssrc: u32, now: Instant) -> Self {
        let streams = described.iter().enumerate();
        Self {
            streams: streams
                .map(|(key, described)| Stream {
                    track: track(key, described),
                    described: described.clone(),
                    told: false,
                    sender: None,
                    asked: None,
                })
                .collect(),
            timeline: Timeline::new(now),
            ready: None,
            begun: false,
            reporter: Reporter::new(ssrc, now),
            refused: 0,
        }
    }

    /// Whether a stream that is described so can be carried.
    pub(in crate::ingest) fn carries(described: &IngestRtpTrack) -> bool {
        coding(described).is_some()
    }

    /// Forget who sent; the description stays.
    pub(super) fn renew(&mut self, now: Instant) {
        let described: Vec<IngestRtpTrack> = self
            .streams
            .iter()
            .map(|one| one.described.clone())
            .collect();
        *self = Self::new(&described, self.reporter.ssrc, now);
    }

    /// Whether the description has this payload type.
    pub(super) fn knows(&self, payload_type: u8) -> bool {
        let mut all = self.streams.iter();
        all.any(|one| one.described.payload_type == payload_type)
    }

    /// Take a packet.
    pub(super) fn handle_packet(
        &mut self,
        from: SocketAddr,
        packet: &RtpPacket<'_>,
        now: Instant,
    ) -> Taken {
        let payload_type = packet.payload_type();
        let mut all = self.streams.iter();
        all.position(|one| one.described.payload_type == payload_type)
            .map_or(Taken::Stranger, |key| {
                self.handle_packet_of(key, from, packet, now)
            })
    }

    /// Take a packet of the stream with this key, where something else than payload types tells them apart.
    pub(in crate::ingest) fn handle_packet_of(
        &mut self,
        key: usize,
        from: SocketAddr,
        packet: &RtpPacket<'_>,
        now: Instant,
    ) -> Taken {
        let senders = self.streams.iter().filter_map(|one| one.sender.as_ref());
        let all_over = senders.clone().all(|sender| sender.is_over(now)) && senders.count() > 0;
        let Some(stream) = self.streams.get_mut(key) else {
            return Taken::Stranger;
        };
        let Some(sender) = &mut stream.sender else {
            return if all_over {
                Taken::Anew
            } else {
                stream.take(from, packet, now)
            };
        };
        match sender.judge(from, packet, now, &mut self.refused) {
            Judged::Own => stream.take(from, packet, now),
            _ if all_over => Taken::Anew,
            Judged::Kept => Taken::Kept,
            Judged::Stranger => Taken::Stranger,
            Judged::TakesOver(packets) => stream.take_over(from, &packets),
        }
    }

    /// How many packets were kept of others since last asked, who did not take over.
    pub(in crate::ingest) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Take reports.
    pub(in crate::ingest) fn handle_rtcp(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Reported {
        let (mut own, mut strange) = (false, false);
        for packet in parse_compound(datagram) {
            match packet {
                Ok(RtcpPacket::SenderReport(report)) => {
                    let timeline = &mut self.timeline;
                    for stream in &mut self.streams {
                        let sender = stream.sender.as_mut();
                        let Some(sender) = sender.filter(|one| one.ssrc == report.ssrc) else {
                            continue;
                        };
                        if !sender.handle_report(from, report.ntp.compact(), now) {
                            strange = true;
                            continue;
                        }
                        own = true;
                        if let Some(track) = &mut stream.track {
                            let wall_us = unix_us(report.ntp.0);
                            track.handle_report(wall_us, report.rtp_timestamp, timeline);
                        }
                    }
                }
                Ok(RtcpPacket::Goodbye(goodbye)) => {
                    let senders = self.streams.iter_mut();
                    for sender in senders.filter_map(|one| one.sender.as_mut()) {
                        if goodbye.ssrcs.iter().any(|ssrc| ssrc == sender.ssrc) {
                            let is_own = sender.handle_goodbye(from);
                            own |= is_own;
                            strange |= !is_own;
                        }
                    }
                }
                _ => {}
            }
        }
        let senders = self.streams.iter().filter_map(|one| one.sender.as_ref());
        let mut gone = senders.map(Sender::is_gone).peekable();
        if gone.peek().is_some() && gone.all(|gone| gone) {
            Reported::Over
        } else if strange && !own {
            Reported::Stranger
        } else {
            Reported::Fine
        }
    }

    /// What has come, and reports that are due.
    pub(in crate::ingest) fn drain(
        &mut self,
        now: Instant,
        sent: &mut Vec<Sent>,
        reports: &mut Reports,
    ) {
        for (key, stream) in self.streams.iter_mut().enumerate() {
            if let Some(track) = &mut stream.track {
                track.handle_timeout(now);
                if !stream.told {
                    stream.told = true;
                    sent.push(Sent::Track(key as u32, stream.described.is_video));
                }
            } else if stream.sender.is_some() && !stream.told {
                stream.told = true;
                sent.push(Sent::Refused(key as u32, stream.described.codec.clone()));
            }
        }
        self.begun = self.begun || self.is_ready(now);
        if self.begun {
            self.give(sent);
        }
        self.reporter.report(&mut self.streams, now, reports);
    }

    fn is_ready(&mut self, now: Instant) -> bool {
        let tracks = self.streams.iter().filter_map(|one| one.track.as_ref());
        let speaks = |track: &Track| track.format.is_some() && track.has_units();
        if !tracks.clone().any(speaks) {
            return false;
        }
        let ready = *self.ready.get_or_insert(now);
        let is_alone = tracks.clone().count() == 1;
        let mut all = tracks;
        all.all(|track| speaks(track) && (is_alone || track.is_tied())) || ready + SETTLE <= now
    }

    fn give(&mut self, sent: &mut Vec<Sent>) {
        let timeline = &mut self.timeline;
        for (key, stream) in self.streams.iter_mut().enumerate() {
            let (key, Some(track)) = (key as u32, &mut stream.track) else {
                continue;
            };
            let Some(format) = track.format.clone() else {
                continue;
            };
            if track.place.is_none() {
                track.begin(0, timeline);
                sent.push(Sent::Format(key, format));
            }
            while let Some(step) = track.next_step(timeline) {
                match step {
                    Step::Format(format) => sent.push(Sent::Format(key, format)),
                    Step::Unit(unit) => sent.push(Sent::Unit(key, unit)),
                    Step::Broken => sent.push(Sent::Break(key)),
                }
            }
        }
    }
}
