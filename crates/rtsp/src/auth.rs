//! How a client shows who it is: Basic (RFC 7617) and Digest with MD5 or SHA-256 (RFC 7616).

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha256;

/// A login. Its secret is not written to logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whose.
    pub user: String,
    /// The secret.
    pub pass: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials {{ user: {:?}, .. }}", self.user)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// What a server wants to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password as they are.
    Basic,
    /// A hash of them.
    Digest(Box<Digest>),
}

/// A challenge of Digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// As it stood there; some servers want it back only where they said it.
    named: Option<String>,
    qop: bool,
    /// The answer before was right but for its age.
    stale: bool,
}

impl Challenge {
    /// The best of what `WWW-Authenticate` headers offer: SHA-256 before MD5 before Basic; none where nothing is known.
    pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        headers.filter_map(Self::parse).max_by_key(|one| match one {
            Self::Basic => 0,
            Self::Digest(digest) => 1 + u8::from(digest.algorithm == Algorithm::Sha256),
        })
    }

    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let parameters = parameters(rest);
        let find = |name: &str| {
            let mut all = parameters.iter();
            all.find(|(one, _)| one.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        let named = find("algorithm");
        let algorithm = match named.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop = find("qop");
        let has_auth = |qop: &String| qop.split(',').any(|one| one.trim() == "auth");
        if qop.as_ref().is_some_and(|qop| !has_auth(qop)) {
            return None;
        }
        Some(Self::Digest(Box::new(Digest {
            realm: find("realm")?,
            nonce: find("nonce")?,
            opaque: find("opaque"),
            algorithm,
            named,
            qop: qop.is_some(),
            stale: find("stale").is_some_and(|one| one.eq_ignore_ascii_case("true")),
        })))
    }

    /// Whether only the age of the answer before was wrong.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Digest(digest) if digest.stale)
    }

    /// What `Authorization` says for a request; `count` counts those with this challenge, `cnonce` nobody guesses.
    pub(crate) fn answer(
        &self,
        login: &Credentials,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let Credentials { user, pass } = login;
        match self {
            Self::Basic => format!("Basic {}", STANDARD.encode(format!("{user}:{pass}"))),
            Self::Digest(digest) => digest.answer(login, method, uri, count, cnonce),
        }
    }
}

impl Digest {
    fn answer(
        &self,
        login: &Credentials,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let Self { realm, nonce, .. } = self;
        let Credentials { user, pass } = login;
        let hash = |text: String| self.algorithm.hash(&text);
        let secret = hash(format!("{user}:{realm}:{pass}"));
        let what = hash(format!("{method}:{uri}"));
        let mut said = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\"",
            quoted(user),
            quoted(realm),
            quoted(nonce)
        );
        let response = if self.qop {
            let _ = write!(said, ", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\"");
            hash(format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{what}"))
        } else {
            hash(format!("{secret}:{nonce}:{what}"))
        };
        let _ = write!(said, ", response=\"{response}\"");
        if let Some(named) = &self.named {
            let _ = write!(said, ", algorithm={named}");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(said, ", opaque=\"{}\"", quoted(opaque));
        }
        said
    }
}

/// Parameters of a challenge: `name=value` and `name="value"`, between commas.
fn parameters(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = if let Some(after) = after.trim_start().strip_prefix('"') {
            let (value, after) = unquoted(after);
            (value, after.split_once(',').map_or("", |(_, after)| after))
        } else {
            let (value, after) = after.split_once(',').unwrap_or((after, ""));
            (value.trim().to_owned(), after)
        };
        found.push((name.trim().to_owned(), value));
        rest = after;
    }
    found
}

/// What stands before the closing quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, one) in text.char_indices() {
        match one {
            '"' if !escaped => return (value, &text[at + 1..]),
            '\\' if !escaped => escaped = true,
            _ => {
                escaped = false;
                value.push(one);
            }
        }
    }
    (value, "")
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Credentials {
        Credentials {
            user: "Mufasa".to_owned(),
            pass: "Circle of Life".to_owned(),
        }
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn digests_are_those_of_the_rfc() {
        let common = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let offered = [
            format!("Digest {common}, algorithm=MD5"),
            format!("Digest {common}, algorithm=SHA-256"),
        ];
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = |headers: &[String]| {
            let chosen = Challenge::choose(headers.iter().map(String::as_str)).unwrap();
            chosen.answer(&login(), "GET", "/dir/index.html", 1, cnonce)
        };
        assert!(answer(&offered[..1]).contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""));
        let stronger = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        let said = answer(&offered);
        assert!(said.contains(&format!("response=\"{stronger}\"")), "{said}");
        assert!(said.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
        assert!(said.contains("nc=00000001") && said.contains("algorithm=SHA-256"));
    }

    /// RFC 2069's example, with the response of its errata.
    #[test]
    fn a_challenge_without_qop_is_answered_as_cameras_know_it() {
        let header = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", stale=FALSE";
        let chosen = Challenge::choose([header, "Basic realm=\"x\""].into_iter()).unwrap();
        assert!(!chosen.is_stale());
        let login = Credentials {
            user: "Mufasa".to_owned(),
            pass: "CircleOfLife".to_owned(),
        };
        let said = chosen.answer(&login, "GET", "/dir/index.html", 1, "unused");
        assert!(
            said.contains("response=\"1949323746fe6a43ef61f9606e7febea\""),
            "{said}"
        );
        assert!(!said.contains("cnonce") && !said.contains("algorithm"));
    }

    #[test]
    fn basic_is_what_is_left_and_the_rest_is_not_known() {
        let chosen = Challenge::choose(["Negotiate", "Basic realm=\"a, b=c\""].into_iter());
        let said = chosen.unwrap().answer(&login(), "PLAY", "*", 1, "");
        assert_eq!(said, "Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl");
        let unknown = [
            "Negotiate",
            "Digest realm=\"a\", nonce=\"b\", algorithm=MD5-sess",
        ];
        assert_eq!(Challenge::choose(unknown.into_iter()), None);
        assert_eq!(Challenge::choose(["Digest realm=\"a\""].into_iter()), None);
    }

    #[test]
    fn quotes_and_commas_within_quotes_are_part_of_the_value() {
        let read = parameters(r#"realm="a \"b\", c", stale=true"#);
        let expected = [("realm", "a \"b\", c"), ("stale", "true")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, expected);
    }
}
