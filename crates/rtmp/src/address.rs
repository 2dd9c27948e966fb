//! What a stream is called: `rtmp://HOST/APP/NAME?token=...`, whole or in the parts that encoders send.

use std::fmt;

use thiserror::Error;

/// Bytes of a name and its query, taken at most.
pub const MAX_NAME_BYTES: usize = 2048;
/// Parameters of a query that are read.
const MAX_PARAMETERS: usize = 16;

/// With what an encoder shows that it may publish.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing was given.
    None,
    /// `?token=` or `?key=`.
    Token(String),
    /// `?user=...&pass=...`.
    Login {
        /// Whose.
        user: String,
        /// The secret.
        pass: String,
    },
}

impl fmt::Debug for Credential {
    /// Secrets are not written to logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Login { user, .. } => write!(f, "Login {{ user: {user:?}, .. }}"),
        }
    }
}

/// Where a stream goes on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The application, without its query: `live`.
    pub app: String,
    /// The stream, without its query.
    pub name: String,
    /// Parameters of both, in their order, decoded.
    pub query: Vec<(String, String)>,
}

impl fmt::Debug for Address {
    /// Values of parameters may be secrets and are not written to logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Address")
            .field("app", &self.app)
            .field("name", &self.name)
            .field("query", &names)
            .finish()
    }
}

impl Address {
    /// Of what `connect` and `publish` say. Either may have a query: encoders differ in where they put it.
    pub fn of(app: &str, name: &str) -> Self {
        let (app, of_app) = split_query(app);
        let (name, of_name) = split_query(name);
        Self {
            app: decoded(app.trim_matches('/'), false),
            name: decoded(name.trim_matches('/'), false),
            query: parameters(of_name)
                .chain(parameters(of_app))
                .take(MAX_PARAMETERS)
                .collect(),
        }
    }

    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// What it shows of who publishes.
    pub fn credential(&self) -> Credential {
        if let Some(token) = self.parameter("token").or_else(|| self.parameter("key")) {
            return Credential::Token(token.to_owned());
        }
        match (self.parameter("user"), self.parameter("pass")) {
            (Some(user), Some(pass)) => Credential::Login {
                user: user.to_owned(),
                pass: pass.to_owned(),
            },
            _ => Credential::None,
        }
    }
}

/// Why a URL is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Neither `rtmp://` nor `rtmps://`.
    #[error("a target begins with rtmp:// or rtmps://")]
    Scheme,
    /// No host, or no number behind its colon.
    #[error("a target names a host and perhaps a port")]
    Host,
    /// No application or no stream.
    #[error("a target names an application and a stream: rtmp://HOST/APP/NAME")]
    Path,
}

/// Another server's stream, as a URL names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether TLS lies around it.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// 1935, or 443 with TLS, where none is said.
    pub port: u16,
    /// The application, as it is sent.
    pub app: String,
    /// The stream with its query, as it is sent.
    pub name: String,
}

impl fmt::Debug for Target {
    /// The stream is often a secret and is not written to logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/..)", self.tc_url())
    }
}

impl Target {
    /// Read a URL. All but the last part of its path is the application.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let (tls, rest) = if let Some(rest) = url.strip_prefix("rtmp://") {
            (false, rest)
        } else if let Some(rest) = url.strip_prefix("rtmps://") {
            (true, rest)
        } else {
            return Err(TargetError::Scheme);
        };
        let (authority, path) = rest.split_once('/').ok_or(TargetError::Path)?;
        let (host, port) = host_and_port(authority).ok_or(TargetError::Host)?;
        // A slash may stand in the query.
        let end = path.find('?').unwrap_or(path.len());
        let cut = path[..end].rfind('/').ok_or(TargetError::Path)?;
        let (app, name) = (&path[..cut], &path[cut + 1..]);
        if app.is_empty() || name.is_empty() || name.starts_with('?') {
            return Err(TargetError::Path);
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 443 } else { 1935 }),
            app: app.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The URL of the application, as `connect` says it.
    pub fn tc_url(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        format!(
            "{scheme}://{open}{}{close}:{}/{}",
            self.host, self.port, self.app
        )
    }
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port.parse().ok()?),
        None if rest.is_empty() => None,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name, true), decoded(value, true))
        })
}

/// Undo percent-encoding; what is not well formed stays as it is.
fn decoded(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |at: usize| {
            bytes
                .get(at)
                .and_then(|&digit| char::from(digit).to_digit(16))
        };
        if let (b'%', Some(high), Some(low)) = (byte, hex(at + 1), hex(at + 2)) {
            out.push((high << 4 | low) as u8);
            at += 3;
        } else {
            out.push(if byte == b'+' && plus_is_space {
                b' '
            } else {
                byte
            });
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_query_is_read_wherever_an_encoder_puts_it() {
        for (app, name) in [
            ("live", "cam?token=a%2Fb"),
            ("live/", "/cam?token=a%2Fb"),
            ("live?token=a%2Fb", "cam"),
        ] {
            let address = Address::of(app, name);
            assert_eq!((&*address.app, &*address.name), ("live", "cam"));
            assert_eq!(address.credential(), Credential::Token("a/b".to_owned()));
        }
    }

    #[test]
    fn a_login_is_both_its_parts() {
        let login = Address::of("live", "cam?user=ann&pass=x+y").credential();
        assert_eq!(
            login,
            Credential::Login {
                user: "ann".to_owned(),
                pass: "x y".to_owned()
            }
        );
        assert_eq!(
            Address::of("live", "cam?user=ann").credential(),
            Credential::None
        );
    }

    #[test]
    fn secrets_are_not_written_out() {
        let address = Address::of("live", "cam?token=verysecret");
        let text = format!("{address:?} {:?}", address.credential());
        assert!(
            text.contains("token") && !text.contains("verysecret"),
            "{text}"
        );
        let target = Target::parse("rtmp://h/live/verysecret").unwrap();
        assert!(!format!("{target:?}").contains("verysecret"));
    }

    #[test]
    fn a_url_names_host_application_and_stream() {
        let target = Target::parse("rtmps://[::1]:1936/live/inner/cam?token=a/b").unwrap();
        assert_eq!(
            (&*target.host, target.port, target.tls),
            ("::1", 1936, true)
        );
        assert_eq!(
            (&*target.app, &*target.name),
            ("live/inner", "cam?token=a/b")
        );
        assert_eq!(target.tc_url(), "rtmps://[::1]:1936/live/inner");
        let target = Target::parse("rtmp://example.org/live/cam").unwrap();
        assert_eq!((target.port, target.tls), (1935, false));
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (url, error) in [
            ("http://h/live/cam", TargetError::Scheme),
            ("rtmp://:1/live/cam", TargetError::Host),
            ("rtmp://h:x/live/cam", TargetError::Host),
            ("rtmp://h/live", TargetError::Path),
            ("rtmp://h/live/?token=1", TargetError::Path),
        ] {
            assert_eq!(Target::parse(url), Err(error), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_it(app in "\\PC{0,40}", name in "\\PC{0,80}") {
            let address = Address::of(&app, &name);
            prop_assert!(address.query.len() <= MAX_PARAMETERS);
            let _ = Target::parse(&format!("rtmp://{app}/{name}"));
        }
    }
}
