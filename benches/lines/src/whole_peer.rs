//! str0m's estimator, which cannot be had alone: two whole peers with ICE, DTLS and SRTP, joined by
//! the same line. One sends what its estimator believes, up to a limit; its own pacer paces, its own
//! probes probe; the other reports as str0m does.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use roomtone_netem::Link;
use str0m::bwe::{Bitrate, BweKind};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::lines::closed_loop::figures::{Journey, Record, Sample, seconds};
use crate::lines::closed_loop::flow::Source;
use crate::lines::closed_loop::line::{Change, rate_at};
use crate::lines::closed_loop::table::{Outcome, Scenario};
use crate::lines::closed_loop::tag::{Tag, earliest, micros};

/// Headers of UDP and IPv4.
const HEADERS: usize = 28;
/// RTP header, extensions and cipher's tag about a payload.
const AROUND: usize = 40;
const PACKET: usize = 1_200;
const FRAME: Duration = Duration::from_nanos(33_333_333);
/// Peers that have not met by then never will.
const MEETING: Duration = Duration::from_secs(20);

struct Peer {
    rtc: Rtc,
    address: SocketAddr,
    wake: Instant,
    out: VecDeque<Vec<u8>>,
    estimate: u64,
    connected: bool,
}

impl Peer {
    fn new(last: u8, sends: bool, start_bps: u64, now: Instant) -> Self {
        let config = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_vp8(true);
        let start = Bitrate::bps(start_bps);
        let config = config.enable_bwe(sends.then_some(start));
        let mut rtc = config.build(now);
        let address = SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 5_000));
        let candidate = Candidate::host(address, "udp").expect("a host candidate");
        rtc.add_local_candidate(candidate);
        Self {
            rtc,
            address,
            wake: now,
            out: VecDeque::new(),
            estimate: start_bps,
            connected: false,
        }
    }

    fn poll(&mut self) {
        loop {
            match self.rtc.poll_output().expect("the peer lives") {
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                Output::Transmit(packet) => self.out.push_back(packet.contents.into()),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. })) => {
                    self.estimate = estimate.as_u64();
                }
                Output::Event(_) => {}
            }
        }
    }

    fn wait(&mut self, now: Instant) {
        if self.wake <= now {
            self.rtc
                .handle_input(Input::Timeout(now))
                .expect("the peer lives");
        }
        self.poll();
    }

    fn take(&mut self, data: &[u8], source: SocketAddr, now: Instant) {
        let contents = data.try_into().expect("str0m's own datagram");
        let receive = Receive {
            proto: Protocol::Udp,
            source,
            destination: self.address,
            contents,
        };
        self.rtc
            .handle_input(Input::Receive(now, receive))
            .expect("the peer lives");
        self.poll();
    }
}

struct Pair {
    left: Peer,
    right: Peer,
    mid: Mid,
    now: Instant,
    base: Instant,
    down: Link,
    up: Link,
    record: Record,
    sequence: u64,
    sent_bytes: u64,
    received_bytes: u64,
}

/// One run of a row with one flow.
pub(crate) fn play(row: &Scenario, source: &Source, start_bps: u64, seed: u64) -> Outcome {
    let mut pair = Pair::meet(row, start_bps, seed);
    pair.run(row, source);
    Outcome {
        records: vec![pair.record],
        ..Outcome::default()
    }
}

impl Pair {
    /// Two peers that have met, over the line as it is at first but without its flaws.
    fn meet(row: &Scenario, start_bps: u64, seed: u64) -> Self {
        let now = Instant::now() + Duration::from_micros(seed * 3_331);
        let mut left = Peer::new(1, true, start_bps, now);
        let mut right = Peer::new(2, false, start_bps, now);
        let mut api = left.rtc.sdp_api();
        let mid = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().expect("there is a change");
        let answer = right.rtc.sdp_api().accept_offer(offer).expect("our offer");
        left.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("our answer");
        let clean = crate::lines::closed_loop::line::Line {
            loss: 0.0,
            jitter_ms: 0,
            reorder: 0.0,
            ..row.line.clone()
        };
        let fits = "the line's shares are shares";
        let mut pair = Self {
            left,
            right,
            mid,
            now,
            base: now,
            down: Link::new(clean.down(true), seed).expect(fits),
            up: Link::new(clean.up(true), seed + 1).expect(fits),
            record: Record::default(),
            sequence: 0,
            sent_bytes: 0,
            received_bytes: 0,
        };
        while !(pair.left.connected && pair.right.connected) {
            pair.pass();
            assert!(pair.now < now + MEETING, "the peers do not meet");
            pair.now = pair.next().max(pair.now + Duration::from_micros(1));
        }
        pair.base = pair.now;
        pair.record = Record::default();
        (pair.sent_bytes, pair.received_bytes) = (0, 0);
        pair.down
            .set_config(pair.now, row.line.down(true))
            .expect(fits);
        pair
    }

    fn next(&self) -> Instant {
        let first = earliest([
            Some(self.left.wake),
            Some(self.right.wake),
            self.down.next_timeout(),
            self.up.next_timeout(),
        ]);
        first.expect("two are always there")
    }

    /// Moves what is due at this moment.
    fn pass(&mut self) {
        let now = self.now;
        while let Some(data) = self.down.poll(now) {
            let tag = Tag::read(&data);
            self.received_bytes += data.len() as u64;
            if let Some(way) = self.record.journeys.get_mut(tag.number as usize) {
                let taken = Duration::from_micros(micros(self.base, now)).saturating_sub(way.sent);
                way.queued = Some(taken.saturating_sub(self.down.config().delay));
            }
            let source = self.left.address;
            self.right.take(&data[HEADERS..], source, now);
        }
        while let Some(data) = self.up.poll(now) {
            let source = self.right.address;
            self.left.take(&data[HEADERS..], source, now);
        }
        self.left.wait(now);
        self.right.wait(now);
        for packet in std::mem::take(&mut self.left.out) {
            let sent_us = micros(self.base, now);
            let tag = Tag {
                flow: 0,
                number: self.record.journeys.len() as u64,
                sent_us,
            };
            self.record.journeys.push(Journey {
                sent: Duration::from_micros(sent_us),
                queued: None,
            });
            let mut data = tag.datagram(HEADERS);
            data.extend(packet);
            self.sent_bytes += data.len() as u64;
            self.down.send(now, data);
        }
        for packet in std::mem::take(&mut self.right.out) {
            let tag = Tag {
                flow: 0,
                number: 0,
                sent_us: 0,
            };
            let mut data = tag.datagram(HEADERS);
            data.extend(packet);
            self.up.send(now, data);
        }
    }

    fn run(&mut self, row: &Scenario, source: &Source) {
        let wanted = Bitrate::bps(source.wanted());
        self.left.rtc.bwe().set_bitrate(Bitrate::ZERO, wanted);
        let end = self.base + seconds(row.seconds);
        let mut script: VecDeque<_> = row.script.iter().copied().collect();
        let mut line = row.line.clone();
        let mut next_frame = self.now;
        let mut next_sample = Sample::EVERY;
        let mut counted = (0, 0);
        while self.now < end {
            while script
                .front()
                .is_some_and(|(at, _)| self.base + *at <= self.now)
            {
                let (_, change) = script.pop_front().expect("it was looked at");
                if let Change::Rate(bps) = change {
                    line.bps = bps;
                }
                let flowing = change != Change::Still;
                let fits = "the line's shares are shares";
                self.down
                    .set_config(self.now, line.down(flowing))
                    .expect(fits);
                self.up.set_config(self.now, line.up(flowing)).expect(fits);
            }
            if self.now >= next_frame {
                self.frame(source);
                next_frame += FRAME;
            }
            self.pass();
            while self.base + next_sample <= self.now {
                let per = |bytes: u64| (bytes as f64 * 8.0 / Sample::EVERY.as_secs_f64()) as u64;
                self.record.samples.push(Sample {
                    at: next_sample,
                    line_bps: rate_at(&line, &row.script, next_sample),
                    estimate_bps: self.left.estimate,
                    sent_bps: per(self.sent_bytes - counted.0),
                    received_bps: per(self.received_bytes - counted.1),
                    layer: 0,
                });
                counted = (self.sent_bytes, self.received_bytes);
                next_sample += Sample::EVERY;
            }
            let next = earliest([
                Some(self.next()),
                Some(next_frame),
                Some(self.base + next_sample),
                script.front().map(|(at, _)| self.base + *at),
            ]);
            let next = next.expect("a sample is always due");
            self.now = next.max(self.now + Duration::from_micros(1));
        }
    }

    fn frame(&mut self, source: &Source) {
        let bits = source.rate(self.left.estimate) as f64 * FRAME.as_secs_f64();
        let mut bytes = (bits / 8.0) as usize;
        let pt: Pt = {
            let params = self.left.rtc.codec_config().params();
            let vp8 = params
                .iter()
                .find(|params| params.spec().codec == Codec::Vp8);
            vp8.expect("VP8 was negotiated").pt()
        };
        let timestamp = (micros(self.base, self.now) * 9 / 100) as u32;
        let mut api = self.left.rtc.direct_api();
        let stream = api
            .stream_tx_by_mid(self.mid, None)
            .expect("the stream was negotiated");
        while bytes > 0 {
            let packet = bytes.min(PACKET);
            bytes -= packet;
            let payload = vec![0x10; packet.saturating_sub(HEADERS + AROUND).max(20)];
            self.sequence += 1;
            let write = RtpWrite::new(pt, self.sequence.into(), timestamp, self.now, payload);
            stream.write_rtp(write.marker(bytes == 0).nackable(true));
        }
        let now = self.now;
        self.left
            .rtc
            .handle_input(Input::Timeout(now))
            .expect("the peer lives");
        self.left.poll();
    }
}
