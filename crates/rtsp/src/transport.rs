//! The `Transport` header (RFC 2326 section 12.39).

use std::net::IpAddr;

/// What a server answers to how a media is to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Channels of RTP and RTCP in the connection.
    pub channels: Option<(u8, u8)>,
    /// Ports that it sends RTP and RTCP from.
    pub server_ports: Option<(u16, u16)>,
    /// The address that it sends from, where it says one. Nobody checks it here.
    pub source: Option<IpAddr>,
}

impl Answered {
    /// Read the first of what is answered; what is not known is passed over.
    pub fn parse(header: &str) -> Self {
        let mut read = Self::default();
        let first = header.split(',').next().unwrap_or_default();
        for part in first.split(';') {
            let Some((name, value)) = part.trim().split_once('=') else {
                continue;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "interleaved" => read.channels = pair(value),
                "server_port" => read.server_ports = pair(value),
                "source" => read.source = value.trim_matches(['[', ']', '"']).parse().ok(),
                _ => {}
            }
        }
        read
    }
}

/// Of `A-B`, or of `A`, whose other is the next.
fn pair<T>(text: &str) -> Option<(T, T)>
where
    T: std::str::FromStr + TryFrom<u32> + Copy,
    u32: From<T>,
{
    let (one, two) = text
        .split_once('-')
        .map_or((text, None), |(one, two)| (one, Some(two)));
    let one: T = one.trim().parse().ok()?;
    let two = match two {
        Some(two) => two.trim().parse().ok()?,
        None => T::try_from(u32::from(one) + 1).ok()?,
    };
    Some((one, two))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_read() {
        let read = Answered::parse("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=1");
        assert_eq!(read.channels, Some((2, 3)));
        let udp = "RTP/AVP;unicast;client_port=5000-5001; Server_Port=6970 ;source=10.0.0.9";
        let read = Answered::parse(udp);
        assert_eq!(read.server_ports, Some((6970, 6971)));
        assert_eq!(read.source, Some(IpAddr::from([10, 0, 0, 9])));
    }

    #[test]
    fn what_is_no_number_is_none() {
        let wrong = "interleaved=256-257;server_port=65535;source=cam.example";
        assert_eq!(Answered::parse(wrong), Answered::default());
    }
}
