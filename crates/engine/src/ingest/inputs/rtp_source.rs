//! A source of RTP that a description tells about: its packets put together, on one timeline.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::Timeline;
use roomtone_rtp::RtpPacket;
use roomtone_rtp::rtcp::{
    CompoundWriter, Pli, ReceiverReport, RtcpPacket, SdesChunk, SdesItem, SdesKind,
    SourceDescription, parse_compound,
};

use super::reception::Reception;
use crate::ingest::publisher::Sent;
use crate::live::{AacConfig, Coding, NewTrack, Step, Track, unix_us};
use crate::values::IngestRtpTrack;

/// So long others are waited for, and reports that tie them together, once one can begin.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Between two reports to a sender.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// Between two requests for a keyframe.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A stream of which nothing came for so long is given up for another of its payload type.
const SILENT: Duration = Duration::from_secs(2);

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum Taken {
    Yes,
    /// Its payload type is known, and not carried.
    Unused,
    /// Another source sends this payload type.
    Stranger,
    /// The sources before are gone, and these packets are of new ones: begin anew.
    Anew,
}

/// Who sends a stream.
#[derive(Debug)]
struct Sender {
    from: SocketAddr,
    ssrc: u32,
    last: Instant,
    /// Where its reports come from.
    rtcp: Option<SocketAddr>,
    reception: Reception,
    gone: bool,
}

/// A stream of the description.
struct Stream {
    described: IngestRtpTrack,
    /// None where it is not carried.
    track: Option<Track>,
    told: bool,
    sender: Option<Sender>,
    asked: Option<Instant>,
}

/// Datagrams to send, each to where.
pub(in crate::ingest) type Reports = Vec<(SocketAddr, Vec<u8>)>;

/// A source of RTP. Keys of its tracks count them as they are described.
pub(in crate::ingest) struct RtpSource {
    streams: Vec<Stream>,
    timeline: Timeline,
    /// When a track could begin first.
    ready: Option<Instant>,
    begun: bool,
    ssrc: u32,
    report_at: Instant,
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
            ssrc,
            report_at: now + REPORT_EVERY,
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
        *self = Self::new(&described, self.ssrc, now);
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
        let is_over = |sender: &Sender| sender.gone || sender.last + SILENT <= now;
        let senders = self.streams.iter().filter_map(|one| one.sender.as_ref());
        let all_over = senders.clone().all(is_over) && senders.count() > 0;
        let Some(stream) = self.streams.get_mut(key) else {
            return Taken::Stranger;
        };
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence());
        match &stream.sender {
            Some(sender) if (sender.from, sender.ssrc) == (from, ssrc) && !sender.gone => {}
            _ if all_over => return Taken::Anew,
            Some(_) => return Taken::Stranger,
            None => {
                stream.sender = Some(Sender {
                    from,
                    ssrc,
                    last: now,
                    rtcp: None,
                    reception: Reception::new(ssrc, sequence, stream.described.clock_rate),
                    gone: false,
                });
            }
        }
        if let Some(sender) = &mut stream.sender {
            sender.last = now;
            sender
                .reception
                .handle_packet(sequence, packet.timestamp(), now);
        }
        match &mut stream.track {
            Some(track) => {
                track.handle_rtp(packet, now);
                Taken::Yes
            }
            None => Taken::Unused,
        }
    }

    /// Take reports; whether all who sent have said goodbye.
    pub(in crate::ingest) fn handle_rtcp(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> bool {
        for packet in parse_compound(datagram) {
            match packet {
                Ok(RtcpPacket::SenderReport(report)) => {
                    let timeline = &mut self.timeline;
                    for stream in &mut self.streams {
                        let Some(sender) = &mut stream.sender else {
                            continue;
                        };
                        if sender.ssrc != report.ssrc || sender.from.ip() != from.ip() {
                            continue;
                        }
                        sender.rtcp = Some(from);
                        sender.reception.handle_report(report.ntp.compact(), now);
                        if let Some(track) = &mut stream.track {
                            let wall_us = unix_us(report.ntp.0);
                            track.handle_report(wall_us, report.rtp_timestamp, timeline);
                        }
                    }
                }
                Ok(RtcpPacket::Goodbye(goodbye)) => {
                    for stream in &mut self.streams {
                        if let Some(sender) = &mut stream.sender
                            && sender.from.ip() == from.ip()
                            && goodbye.ssrcs.iter().any(|ssrc| ssrc == sender.ssrc)
                        {
                            sender.gone = true;
                        }
                    }
                }
                _ => {}
            }
        }
        let senders = self.streams.iter().filter_map(|one| one.sender.as_ref());
        senders.clone().all(|sender| sender.gone) && senders.count() > 0
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
        self.report(now, reports);
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
                    // Its units lie behind those before, which the program sees for itself.
                    Step::Broken => {}
                }
            }
        }
    }

    fn report(&mut self, now: Instant, reports: &mut Reports) {
        let is_due = self.report_at <= now;
        if is_due {
            self.report_at = now + REPORT_EVERY;
        }
        for stream in &mut self.streams {
            let Some(sender) = &mut stream.sender else {
                continue;
            };
            let Some(to) = sender.rtcp.filter(|_| !sender.gone) else {
                continue;
            };
            let wants = stream.track.as_ref().is_some_and(Track::wants_keyframe)
                && stream.asked.is_none_or(|asked| asked + ASK_EVERY <= now);
            if wants {
                stream.asked = Some(now);
            }
            if !wants && !is_due {
                continue;
            }
            let ask = wants.then_some(sender.ssrc);
            reports
                .extend(compound(self.ssrc, &mut sender.reception, ask, now).map(|one| (to, one)));
        }
    }
}

/// A report, and a request for a keyframe of a source.
fn compound(
    ssrc: u32,
    reception: &mut Reception,
    ask: Option<u32>,
    now: Instant,
) -> Option<Vec<u8>> {
    let blocks = [reception.block(now)];
    let items = [SdesItem {
        kind: SdesKind::Cname,
        value: b"roomtone",
    }];
    let chunks = [SdesChunk::new(ssrc, &items)];
    let mut space = [0; 128];
    let mut writer = CompoundWriter::new(&mut space);
    let report = ReceiverReport {
        ssrc,
        reports: blocks[..].into(),
        extension: &[],
    };
    writer.push(&report).ok()?;
    writer.push(&SourceDescription::new(&chunks)).ok()?;
    if let Some(media_ssrc) = ask {
        let request = Pli {
            sender_ssrc: ssrc,
            media_ssrc,
        };
        writer.push(&request).ok()?;
    }
    let len = writer.finish();
    Some(space[..len].to_vec())
}

/// What puts a stream together; none where it is not carried.
fn track(key: usize, described: &IngestRtpTrack) -> Option<Track> {
    let coding = coding(described)?;
    let mut track = Track::new(NewTrack {
        packager: 0,
        track: key as u64,
        name: String::new(),
        ssrc: 0,
        codings: vec![(described.payload_type, coding)],
        makes_keyframes: false,
    })?;
    let sets = described.parameter_sets.iter();
    let sets: Vec<Bytes> = sets.map(|set| Bytes::copy_from_slice(set)).collect();
    track.handle_parameter_sets(&sets);
    Some(track)
}

fn coding(described: &IngestRtpTrack) -> Option<Coding> {
    let clock_rate = described.clock_rate;
    match (described.codec.to_ascii_lowercase().as_str(), clock_rate) {
        ("h264", 90_000) => Some(Coding::H264),
        ("h265", 90_000) => Some(Coding::Hevc),
        ("av1", 90_000) => Some(Coding::Av1),
        ("opus", 48_000) => Some(Coding::Opus {
            channels: described.channels.clamp(1, 2),
        }),
        ("mpeg4-generic", 1..) => Some(Coding::Aac {
            config: AacConfig::new(&described.config)?,
            clock_rate,
            channels: described.channels.max(1),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use roomtone_rtp::rtcp::Goodbye;
    use roomtone_rtp::{RtpHeader, write_header};

    use super::*;

    const SPS: &[u8] = &[
        0x67, 0x4d, 0x40, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80,
    ];
    const PPS: &[u8] = &[0x68, 0xeb, 0xc3, 0xcb, 0x20];
    const VIDEO: u8 = 96;
    const XS: u8 = 97;

    fn described(payload_type: u8, codec: &str) -> IngestRtpTrack {
        IngestRtpTrack {
            payload_type,
            codec: codec.to_owned(),
            is_video: true,
            clock_rate: 90_000,
            channels: 0,
            config: Vec::new(),
            parameter_sets: [SPS, PPS].map(|set| set.to_vec().into()).to_vec(),
        }
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn packet(payload_type: u8, ssrc: u32, number: u16) -> Vec<u8> {
        let header = RtpHeader {
            marker: true,
            payload_type,
            sequence: number,
            timestamp: u32::from(number) * 3_600,
            ssrc,
        };
        let mut bytes = vec![0; 12];
        write_header(&mut bytes, &header);
        bytes.extend([0x65, 1, 2, 3]);
        bytes
    }

    fn take(source: &mut RtpSource, from: u16, bytes: &[u8], now: Instant) -> Taken {
        source.handle_packet(address(from), &RtpPacket::parse(bytes).unwrap(), now)
    }

    fn sent(source: &mut RtpSource, now: Instant) -> Vec<Sent> {
        let (mut sent, mut reports) = (Vec::new(), Vec::new());
        source.drain(now, &mut sent, &mut reports);
        sent
    }

    #[test]
    fn parameter_sets_of_the_description_are_enough_to_begin() {
        let now = Instant::now();
        let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, now);
        assert_eq!(
            take(&mut source, 5000, &packet(VIDEO, 7, 0), now),
            Taken::Yes
        );
        let sent = sent(&mut source, now);
        let [
            Sent::Track(0, true),
            Sent::Format(0, format),
            Sent::Unit(0, unit),
        ] = &sent[..]
        else {
            panic!("{sent:?}")
        };
        assert_eq!(format.size(), Some((1280, 720)));
        assert!(unit.keyframe);
    }

    #[test]
    fn what_is_not_carried_is_named_once_and_counted_each_time() {
        let now = Instant::now();
        let mut source = RtpSource::new(&[described(XS, "jxsv")], 1, now);
        for number in 0..2 {
            assert_eq!(
                take(&mut source, 5000, &packet(XS, 7, number), now),
                Taken::Unused
            );
        }
        let first = sent(&mut source, now);
        assert!(matches!(&first[..], [Sent::Refused(0, name)] if name == "jxsv"));
        assert!(sent(&mut source, now).is_empty());
    }

    #[test]
    fn another_source_is_a_stranger_until_the_first_is_silent_or_gone() {
        let begun = Instant::now();
        let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, begun);
        take(&mut source, 5000, &packet(VIDEO, 7, 0), begun);
        let other = packet(VIDEO, 8, 0);
        assert_eq!(take(&mut source, 5002, &other, begun), Taken::Stranger);
        assert_eq!(take(&mut source, 5002, &other, begun + SILENT), Taken::Anew);
        source.renew(begun + SILENT);
        assert_eq!(take(&mut source, 5002, &other, begun + SILENT), Taken::Yes);
    }

    #[test]
    fn a_goodbye_counts_from_where_its_source_is() {
        let now = Instant::now();
        let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, now);
        take(&mut source, 5000, &packet(VIDEO, 7, 0), now);
        let mut space = [0; 64];
        let mut writer = CompoundWriter::new(&mut space);
        let goodbye = Goodbye {
            ssrcs: [7][..].into(),
            reason: &[],
        };
        writer.push(&goodbye).unwrap();
        let len = writer.finish();
        let elsewhere = SocketAddr::from(([192, 0, 2, 2], 5001));
        assert!(!source.handle_rtcp(elsewhere, &space[..len], now));
        assert!(source.handle_rtcp(address(5001), &space[..len], now));
    }
}
