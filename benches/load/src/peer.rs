//! One WebRTC peer (str0m) on a UDP socket of its own.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use crate::receive::{enable_gro, receive};
use crate::traffic::RIDS;
use crate::{counter_mode, http};

/// A stream as a viewer sees it in the clear RTP headers.
#[derive(Default, Clone, Copy)]
pub(crate) struct Seen {
    first: u64,
    highest: u64,
    /// Packets that arrived.
    pub(crate) got: u64,
    /// UDP payload bytes that arrived.
    pub(crate) bytes: u64,
}

impl Seen {
    fn add(&mut self, sequence: u16, bytes: usize) {
        if self.got == 0 {
            self.first = 0x1_0000 + u64::from(sequence);
            self.highest = self.first;
        } else {
            let forward = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
            self.highest = self
                .highest
                .max(self.highest.saturating_add_signed(forward));
        }
        self.got += 1;
        self.bytes += bytes as u64;
    }

    /// Packets that should have come since `before`.
    pub(crate) fn expected_since(&self, before: &Self) -> u64 {
        if before.got == 0 {
            self.highest - self.first + u64::from(self.got > 0)
        } else {
            self.highest - before.highest
        }
    }
}

/// How a peer joins.
pub(crate) struct Joining<'a> {
    /// WHIP or WHEP endpoint.
    pub(crate) url: &'a str,
    /// Bearer token.
    pub(crate) bearer: &'a str,
    /// Address of its socket.
    pub(crate) ip: IpAddr,
    /// It sends; otherwise it receives.
    pub(crate) publish: bool,
    /// There is audio.
    pub(crate) sound: bool,
    /// Lines of video.
    pub(crate) pictures: usize,
    /// Its video is sent in several encodings.
    pub(crate) simulcast: bool,
    /// False counts by the clear header and drops the packet.
    pub(crate) decrypt: bool,
    /// Offer AES-CM with HMAC-SHA1 only.
    pub(crate) counter_mode: bool,
    /// Take runs of datagrams whole.
    pub(crate) gro: bool,
}

/// A peer: publisher or viewer.
pub(crate) struct Peer {
    rtc: Rtc,
    /// Its socket.
    pub(crate) socket: UdpSocket,
    local: SocketAddr,
    /// ICE and DTLS are up.
    pub(crate) connected: bool,
    /// Why it ended, once it has.
    pub(crate) failure: Option<String>,
    /// Streams by SSRC.
    pub(crate) seen: HashMap<u32, Seen>,
    /// Packets that str0m decrypted.
    pub(crate) decrypted: u64,
    /// Encodings that a keyframe was asked of.
    pub(crate) keyframe_wanted: [bool; RIDS.len()],
    /// Its audio line, if it has one.
    pub(crate) audio_mid: Option<Mid>,
    /// Its first video line, if it has one.
    pub(crate) video_mid: Option<Mid>,
    wake: Instant,
    decrypt: bool,
    counter_mode: bool,
    resource: String,
    bearer: String,
}

impl Peer {
    /// Offers to the endpoint and applies the answer.
    pub(crate) fn join(joining: &Joining<'_>) -> Result<Self, String> {
        let Joining {
            url,
            bearer,
            ip,
            publish,
            sound,
            pictures,
            simulcast,
            ..
        } = *joining;
        let text = |what: &str, e: &dyn std::fmt::Display| format!("{what}: {e}");
        let socket = UdpSocket::bind((ip, 0)).map_err(|e| text("bind", &e))?;
        socket
            .set_nonblocking(true)
            .map_err(|e| text("socket", &e))?;
        if joining.gro {
            enable_gro(&socket).map_err(|e| text("UDP_GRO", &e))?;
        }
        let local = socket.local_addr().map_err(|e| text("socket", &e))?;
        let now = Instant::now();
        let mut config = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
            .set_rtp_mode(true);
        if joining.counter_mode {
            config = config.set_crypto_provider(counter_mode::provider());
        }
        let mut rtc = config.build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").map_err(|e| text("candidate", &e))?);
        let direction = if publish {
            Direction::SendOnly
        } else {
            Direction::RecvOnly
        };
        let mut api = rtc.sdp_api();
        let audio_mid = sound.then(|| api.add_media(MediaKind::Audio, direction, None, None, None));
        let encodings = simulcast.then(|| Simulcast {
            send: RIDS.map(SimulcastLayer::new).into(),
            recv: vec![],
        });
        let mids: Vec<_> = (0..pictures)
            .map(|_| api.add_media(MediaKind::Video, direction, None, None, encodings.clone()))
            .collect();
        let (offer, pending) = api.apply().ok_or("str0m made no offer")?;
        let answer = http::request("POST", url, bearer, &offer.to_sdp_string())?;
        if answer.status != 201 {
            return Err(format!(
                "{url} answered {}: {}",
                answer.status,
                answer.body.trim()
            ));
        }
        let sdp = SdpAnswer::from_sdp_string(&answer.body).map_err(|e| text("answer", &e))?;
        rtc.sdp_api()
            .accept_answer(pending, sdp)
            .map_err(|e| text("answer", &e))?;
        let resource = absolute(url, &answer.location);
        Ok(Self {
            rtc,
            socket,
            local,
            resource,
            decrypt: joining.decrypt,
            counter_mode: joining.counter_mode,
            audio_mid,
            video_mid: mids.first().copied(),
            wake: now,
            connected: false,
            failure: None,
            decrypted: 0,
            seen: HashMap::new(),
            keyframe_wanted: [false; RIDS.len()],
            bearer: bearer.to_owned(),
        })
    }

    /// When `drive` wants to be called next at the latest.
    pub(crate) fn wake(&self) -> Instant {
        self.wake
    }

    /// Reads all that waits on the socket, by way of `buffer`, then lets str0m act.
    pub(crate) fn drive(&mut self, now: Instant, buffer: &mut [u8]) {
        for _ in 0..256 {
            let Ok((len, segment, source)) = receive(&self.socket, buffer) else {
                break;
            };
            for datagram in buffer[..len].chunks(segment) {
                self.take(datagram, source, now);
            }
        }
        if self.wake <= now {
            self.input(Input::Timeout(now));
        }
        self.output();
    }

    fn take(&mut self, data: &[u8], source: SocketAddr, now: Instant) {
        let is_rtp = data.len() >= 12 && data[0] >> 6 == 2 && !(192..=223).contains(&data[1]);
        if is_rtp {
            let ssrc = u32::from_be_bytes([data[8], data[9], data[10], data[11]]);
            self.seen
                .entry(ssrc)
                .or_default()
                .add(u16::from_be_bytes([data[2], data[3]]), data.len());
            if !self.decrypt {
                return;
            }
        }
        let Ok(contents) = data.try_into() else {
            return;
        };
        self.input(Input::Receive(
            now,
            Receive {
                proto: Protocol::Udp,
                source,
                destination: self.local,
                contents,
            },
        ));
        self.output();
    }

    fn input(&mut self, input: Input<'_>) {
        if let Err(e) = self.rtc.handle_input(input) {
            self.failure.get_or_insert_with(|| e.to_string());
        }
    }

    fn output(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(out)) => {
                    let mut contents: Vec<u8> = out.contents.into();
                    // 22 is a DTLS record with a handshake message (RFC 7983, RFC 6347).
                    if self.counter_mode && contents.first() == Some(&22) {
                        counter_mode::overwrite(&mut contents);
                    }
                    // A full socket buffer loses a packet, as a network does.
                    let _ = self.socket.send_to(&contents, out.destination);
                }
                Ok(Output::Timeout(at)) => {
                    self.wake = at;
                    return;
                }
                Ok(Output::Event(event)) => self.on_event(&event),
                Err(e) => {
                    self.failure.get_or_insert_with(|| e.to_string());
                    self.wake = Instant::now() + Duration::from_hours(1);
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.failure
                    .get_or_insert_with(|| "ICE disconnected".to_owned());
            }
            Event::RtpPacket(_) => self.decrypted += 1,
            Event::KeyframeRequest(asked) => {
                let named = RIDS
                    .iter()
                    .position(|rid| asked.rid == Some(Rid::from(*rid)));
                self.keyframe_wanted[named.unwrap_or(0)] = true;
            }
            _ => {}
        }
    }

    /// Sends one RTP packet on a stream: of a line, and of an encoding in it where there are several.
    pub(crate) fn send(
        &mut self,
        (mid, rid): (Mid, Option<&str>),
        sequence: u64,
        timestamp: u32,
        marker: bool,
        payload: Vec<u8>,
    ) {
        let Some(payload_type) = self
            .rtc
            .media(mid)
            .and_then(|media| media.remote_pts().first().copied())
        else {
            return;
        };
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, rid.map(Rid::from)) else {
            return;
        };
        stream.set_unpaced(true);
        let packet = RtpWrite::new(
            payload_type,
            sequence.into(),
            timestamp,
            Instant::now(),
            payload,
        )
        .marker(marker)
        .nackable(true);
        stream.write_rtp(packet);
        self.input(Input::Timeout(Instant::now()));
        self.output();
    }

    /// Ends the resource on the server.
    pub(crate) fn leave(&self) {
        if !self.resource.is_empty() {
            // The server may be gone already; the load is over either way.
            let _ = http::request("DELETE", &self.resource, &self.bearer, "");
        }
    }
}

fn absolute(url: &str, location: &str) -> String {
    if location.is_empty() || location.starts_with("http") {
        return location.to_owned();
    }
    let host_end = url[7..].find('/').map_or(url.len(), |at| at + 7);
    format!("{}{location}", &url[..host_end])
}
