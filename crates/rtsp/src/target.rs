//! From where a stream is played: `rtsp://[USER:PASS@]HOST[:PORT]/PATH`, or `rtsps://...`, behind TLS.

use thiserror::Error;

use crate::auth::Credentials;

/// Of RTSP (RFC 2326 section 3.2).
const PORT: u16 = 554;
/// Behind TLS (IANA's service name `rtsps`).
const TLS_PORT: u16 = 322;
/// Bytes of a URL, taken at most.
const MAX_URL_BYTES: usize = 2048;

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It begins with neither `rtsp://` nor `rtsps://`.
    #[error("the URL is neither rtsp:// nor rtsps://")]
    Scheme,
    /// It has no host, a port that is no number, or what cannot stand in a request.
    #[error("the URL is not rtsp://HOST/PATH")]
    Malformed,
}

/// A stream of a server. Its login is not part of what is written to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether TLS lies around the connection.
    pub tls: bool,
    /// As the server knows itself.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// The URL without the login, as it stands in requests.
    pub uri: String,
    /// The login, where the URL has one.
    pub credentials: Option<Credentials>,
}

impl Target {
    /// Read a URL.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = url.split_once("://").ok_or(TargetError::Scheme)?;
        let tls = scheme.eq_ignore_ascii_case("rtsps");
        if !tls && !scheme.eq_ignore_ascii_case("rtsp") {
            return Err(TargetError::Scheme);
        }
        if url.len() > MAX_URL_BYTES || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Malformed);
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let usual = if tls { TLS_PORT } else { PORT };
        let (host, port) = split_place(place, usual).ok_or(TargetError::Malformed)?;
        let credentials = login.map(credentials);
        let is_fine =
            |one: &Credentials| !(one.user.contains(is_control) || one.pass.contains(is_control));
        if !credentials.as_ref().is_none_or(is_fine) {
            return Err(TargetError::Malformed);
        }
        let scheme = if tls { "rtsps" } else { "rtsp" };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            uri: format!("{scheme}://{place}{path}"),
            credentials,
        })
    }
}

fn split_place(place: &str, usual: u16) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return None,
        }
    } else {
        place
            .split_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port)))
    };
    let port = port.map_or(Ok(usual), str::parse).ok()?;
    (!host.is_empty()).then_some((host, port))
}

/// What cannot stand in a header.
fn is_control(one: char) -> bool {
    one.is_control()
}

fn credentials(login: &str) -> Credentials {
    let (user, pass) = login.split_once(':').unwrap_or((login, ""));
    Credentials {
        user: decoded(user),
        pass: decoded(pass),
    }
}

/// What stands for it in a URL (RFC 3986 section 2.1).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = digits
            .and_then(|two| std::str::from_utf8(two).ok())
            .filter(|two| two.bytes().all(|one| one.is_ascii_hexdigit()))
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_its_login_kept_out_of_requests() {
        let target = Target::parse("rtsp://me:p%40ss%3a@cam.example:8554/a/b?c=1#d").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("cam.example", 8554));
        assert_eq!(target.uri, "rtsp://cam.example:8554/a/b?c=1");
        let login = target.credentials.clone().unwrap();
        assert_eq!((login.user.as_str(), login.pass.as_str()), ("me", "p@ss:"));
        assert!(!format!("{target:?}").contains("p@ss"));
        let bare = Target::parse("RTSP://[2001:db8::1]").unwrap();
        assert_eq!((bare.host.as_str(), bare.port), ("2001:db8::1", 554));
        assert_eq!(bare.uri, "rtsp://[2001:db8::1]/");
        assert_eq!((bare.credentials, bare.tls), (None, false));
    }

    #[test]
    fn behind_tls_another_port_is_the_usual_and_requests_say_so() {
        let target = Target::parse("rtsps://cam.example").unwrap();
        assert!(target.tls);
        assert_eq!(
            (target.port, target.uri.as_str()),
            (322, "rtsps://cam.example/")
        );
        assert_eq!(Target::parse("RTSPS://cam.example:1/a").unwrap().port, 1);
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        assert_eq!(Target::parse("http://host/"), Err(TargetError::Scheme));
        for url in [
            "rtsp:///a",
            "rtsp://host:x/",
            "rtsp://[::1/",
            "rtsp://h/\r\nX: y",
            "rtsp://a%0d%0aX:y@h/",
        ] {
            assert_eq!(Target::parse(url), Err(TargetError::Malformed), "{url}");
        }
    }
}
