//! What is taken of what a server of RTSP has.

use std::net::{SocketAddr, UdpSocket};

use roomtone_rtsp::{Media, MediaKind, Ports};

use crate::ingest::inputs::RtpSource;
use crate::values::IngestRtpTrack;

/// Keys of what is not taken begin here.
const LEFT_OUT: u32 = 1 << 16;

/// One media that is taken.
pub(super) struct Part {
    /// Its place in the description.
    pub(super) media: usize,
    pub(super) payload_type: u8,
    /// Of RTP and RTCP, where they come in datagrams.
    pub(super) sockets: Option<(UdpSocket, UdpSocket)>,
    /// Where reports about it go, where they go in datagrams.
    pub(super) rtcp: Option<SocketAddr>,
}

impl Part {
    pub(super) fn new(
        media: usize,
        payload_type: u8,
        sockets: Option<(UdpSocket, UdpSocket)>,
    ) -> Self {
        Self {
            media,
            payload_type,
            sockets,
            rtcp: None,
        }
    }

    /// Its ports on this side; none where it comes in the connection.
    pub(super) fn ports(&self) -> Option<Ports> {
        let (rtp, rtcp) = self.sockets.as_ref()?;
        Some((
            rtp.local_addr().ok()?.port(),
            rtcp.local_addr().ok()?.port(),
        ))
    }
}

/// What is taken, by its place.
type Taken = Vec<(usize, IngestRtpTrack)>;
/// The names of what is not, by key.
type LeftOut = Vec<(u32, String)>;

/// The first of pictures and the first of sound that can be carried are taken.
pub(super) fn choose(media: &[Media]) -> (Taken, LeftOut) {
    let (mut taken, mut left_out) = (Taken::new(), LeftOut::new());
    for (at, one) in media.iter().enumerate() {
        let track = described(one);
        let is_new = taken
            .iter()
            .all(|(_, other)| other.is_video != track.is_video);
        if one.kind != MediaKind::Other && is_new && RtpSource::carries(&track) {
            taken.push((at, track));
        } else {
            left_out.push((LEFT_OUT + at as u32, name(one)));
        }
    }
    (taken, left_out)
}

fn name(media: &Media) -> String {
    if media.codec.is_empty() {
        format!("a format without a name ({})", media.payload_type)
    } else {
        media.codec.clone()
    }
}

fn described(media: &Media) -> IngestRtpTrack {
    let sets = media.parameter_sets().into_iter();
    IngestRtpTrack {
        payload_type: media.payload_type,
        codec: media.codec.clone(),
        is_video: media.kind == MediaKind::Video,
        clock_rate: media.clock_rate,
        channels: media.channels,
        config: media.aac_config(),
        parameter_sets: sets.map(Into::into).collect(),
    }
}

#[cfg(test)]
mod tests {
    use roomtone_rtsp::Description;

    use super::*;

    #[test]
    fn the_first_of_each_kind_that_can_be_carried_is_taken_and_the_rest_named() {
        let text = "m=video 0 RTP/AVP 26\nm=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\n\
            m=video 0 RTP/AVP 97\na=rtpmap:97 H264/90000\nm=audio 0 RTP/AVP 9\nm=audio 0 RTP/AVP 8\n\
            m=audio 0 RTP/AVP 98\na=rtpmap:98 opus/48000/2\nm=application 0 RTP/AVP 107\n";
        let (taken, left_out) = choose(&Description::parse(text).media);
        let places: Vec<_> = taken
            .iter()
            .map(|(at, track)| (*at, track.is_video))
            .collect();
        assert_eq!(places, [(1, true), (4, false)]);
        let names: Vec<&str> = left_out.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "JPEG",
                "H264",
                "G722",
                "opus",
                "a format without a name (107)"
            ]
        );
    }
}
