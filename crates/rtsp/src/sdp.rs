//! What a server says that it sends (RFC 8866, and RFC 2326 appendix C).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Media of a description; more are not read.
pub const MAX_MEDIA: usize = 16;
/// Where parameter sets stand (RFC 6184 section 8.1, RFC 7798 section 7.1).
const SETS: [&str; 4] = [
    "sprop-vps",
    "sprop-sps",
    "sprop-pps",
    "sprop-parameter-sets",
];

/// What a media is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Something else.
    Other,
}

/// One media, by the first of its formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// What it is of.
    pub kind: MediaKind,
    /// What its packets of RTP have.
    pub payload_type: u8,
    /// Its encoding name; empty where nothing says it.
    pub codec: String,
    /// Ticks of its timestamps a second; 0 where nothing says it.
    pub clock_rate: u32,
    /// Of sound; 1 where nothing says it.
    pub channels: u8,
    parameters: Vec<(String, String)>,
    /// Where it is set up, as it stands there.
    pub(crate) control: Option<String>,
}

impl Media {
    /// A parameter of its format, in whatever case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter();
        all.find(|(one, _)| one.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The `AudioSpecificConfig` of AAC in the mode of high rates (RFC 3640 section 4.1); empty where it is none.
    pub fn aac_config(&self) -> Vec<u8> {
        let is = |name, value| self.parameter(name) == Some(value);
        let mode = self.parameter("mode").unwrap_or_default();
        let is_high = mode.eq_ignore_ascii_case("aac-hbr")
            && is("sizelength", "13")
            && is("indexlength", "3")
            && is("indexdeltalength", "3");
        let config = self.parameter("config").filter(|_| is_high);
        config.and_then(from_hex).unwrap_or_default()
    }

    /// NAL units that are said beforehand; what is no base64 is left out.
    pub fn parameter_sets(&self) -> Vec<Vec<u8>> {
        let values = SETS.iter().filter_map(|name| self.parameter(name));
        let parts = values.flat_map(|value| value.split(','));
        parts
            .filter_map(|part| STANDARD.decode(part.trim()).ok())
            .filter(|set| !set.is_empty())
            .collect()
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Where all are controlled, as it stands there.
    pub(crate) control: Option<String>,
    /// In their order.
    pub media: Vec<Media>,
}

impl Description {
    /// Read what can be read. What a line is not understood of is passed over, as cameras need.
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        let mut passed_over = false;
        for line in text.lines() {
            match line.trim_end().split_once('=') {
                Some(("m", value)) => {
                    let media = media(value).filter(|_| read.media.len() < MAX_MEDIA);
                    passed_over = media.is_none();
                    read.media.extend(media);
                }
                Some(("a", value)) if !passed_over => read.handle_attribute(value),
                _ => {}
            }
        }
        read
    }

    fn handle_attribute(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let value = value.trim();
        let Some(media) = self.media.last_mut() else {
            if name == "control" {
                self.control = Some(value.to_owned());
            }
            return;
        };
        match name {
            "control" => media.control = Some(value.to_owned()),
            "rtpmap" => {
                if let Some(coding) = of_format(value, media.payload_type) {
                    media.handle_coding(coding);
                }
            }
            "fmtp" => {
                if let Some(given) = of_format(value, media.payload_type) {
                    media.parameters = given.split(';').filter_map(parameter).collect();
                }
            }
            _ => {}
        }
    }
}

impl Media {
    /// Of `NAME/RATE[/CHANNELS]`.
    fn handle_coding(&mut self, coding: &str) {
        let mut parts = coding.split('/');
        let name = parts.next().unwrap_or_default();
        name.trim().clone_into(&mut self.codec);
        let mut number = || parts.next().and_then(|part| part.trim().parse().ok());
        self.clock_rate = number().unwrap_or(0);
        self.channels = number().map_or(1, |channels| channels.clamp(1, 255) as u8);
    }
}

/// Of `KIND PORT[/N] PROTOCOL FORMAT ...`; none where it is no RTP.
fn media(value: &str) -> Option<Media> {
    let mut words = value.split_ascii_whitespace();
    let kind = match words.next()? {
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        _ => MediaKind::Other,
    };
    let (_port, protocol) = (words.next()?, words.next()?);
    if !protocol.starts_with("RTP/") {
        return None;
    }
    let payload_type = words.next()?.parse().ok().filter(|number| *number < 128)?;
    // RFC 3551 tables 4 and 5.
    let (codec, clock_rate) = match payload_type {
        0 => ("PCMU", 8_000),
        8 => ("PCMA", 8_000),
        9 => ("G722", 8_000),
        14 => ("MPA", 90_000),
        26 => ("JPEG", 90_000),
        33 => ("MP2T", 90_000),
        _ => ("", 0),
    };
    Some(Media {
        kind,
        payload_type,
        codec: codec.to_owned(),
        clock_rate,
        channels: 1,
        parameters: Vec::new(),
        control: None,
    })
}

/// What stands behind the number of a format.
fn of_format(value: &str, payload_type: u8) -> Option<&str> {
    let (number, rest) = value.split_once(' ')?;
    (number.parse() == Ok(payload_type)).then_some(rest.trim())
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let pairs = text.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=Media\r\nc=IN IP4 10.0.0.9\r\na=control:*\r\n\
        m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1;profile-level-id=4D401F; sprop-parameter-sets=Z01AHw==,aOvDyyA=\r\n\
        a=control:trackID=1\r\n\
        m=application 0 TCP/X 5\r\na=control:trackID=9\r\n\
        m=audio 0 RTP/AVP 97 0\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n\
        a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1190;SizeLength=13;IndexLength=3;IndexDeltaLength=3\r\n\
        a=control:rtsp://10.0.0.9/a/trackID=2\r\nm=audio 0 RTP/AVP 8\r\n";

    #[test]
    fn what_a_camera_sends_is_read() {
        let read = Description::parse(CAMERA);
        assert_eq!(read.control.as_deref(), Some("*"));
        let [video, sound, law] = &read.media[..] else {
            panic!("{read:?}")
        };
        assert_eq!((video.kind, video.payload_type), (MediaKind::Video, 96));
        assert_eq!((video.codec.as_str(), video.clock_rate), ("H264", 90_000));
        assert_eq!(video.control.as_deref(), Some("trackID=1"));
        assert_eq!(video.parameter_sets()[1], [0x68, 0xeb, 0xc3, 0xcb, 0x20]);
        assert_eq!((sound.codec.as_str(), sound.channels), ("MPEG4-GENERIC", 2));
        assert_eq!(sound.aac_config(), [0x11, 0x90]);
        assert_eq!(
            sound.control.as_deref(),
            Some("rtsp://10.0.0.9/a/trackID=2")
        );
        assert_eq!((law.codec.as_str(), law.clock_rate), ("PCMA", 8_000));
    }

    #[test]
    fn no_more_media_are_kept_than_are_taken() {
        let many = "m=audio 0 RTP/AVP 8\n".repeat(MAX_MEDIA + 1) + "a=control:over\n";
        let read = Description::parse(&many);
        assert_eq!(read.media.len(), MAX_MEDIA);
        assert!(read.media.iter().all(|media| media.control.is_none()));
    }
}
