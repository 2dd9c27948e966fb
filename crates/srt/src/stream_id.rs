//! What a caller wants: stream ids in the standard form of access control (draft-sharabayko-srt appendix B) and in the
//! free form `publish:NAME[:USER:PASS]`.

use thiserror::Error;

/// Longest stream id (draft section 3.2.1.3).
pub const MAX_STREAM_ID: usize = 512;

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamMode {
    /// Receive the stream.
    Request,
    /// Send it.
    Publish,
    /// Both.
    Bidirectional,
}

/// A stream id that has been understood.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamId {
    /// The name of the stream; may be empty where the caller gave none.
    pub name: String,
    /// What to do with it.
    pub mode: StreamMode,
    /// Who the caller says to be.
    pub user: Option<String>,
    /// The password that came with the user's name.
    pub password: Option<String>,
    /// A credential by itself: the key `s`.
    pub session: Option<String>,
    /// The host asked for: the key `h`.
    pub host: Option<String>,
}

impl std::fmt::Debug for StreamId {
    /// Credentials are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamId")
            .field("name", &self.name)
            .field("mode", &self.mode)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A stream id that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StreamIdError {
    /// Longer than [`MAX_STREAM_ID`].
    #[error("a stream id of more than {MAX_STREAM_ID} bytes")]
    Long,
    /// Neither `#!::key=value,...` nor `publish:NAME` nor `request:NAME`.
    #[error("a stream id that is neither #!::key=value,... nor publish:NAME")]
    Form,
    /// A part between commas without an equals sign.
    #[error("a part of the stream id is not key=value")]
    Pair,
    /// The same key twice.
    #[error("a key of the stream id stands twice")]
    Twice,
    /// A mode other than request, publish, bidirectional.
    #[error("an unknown mode in the stream id")]
    Mode,
    /// A type other than `stream`.
    #[error("only streams are served, no files")]
    Type,
}

impl StreamId {
    /// Reads a stream id of either form.
    pub fn parse(text: &str) -> Result<Self, StreamIdError> {
        if text.len() > MAX_STREAM_ID {
            return Err(StreamIdError::Long);
        }
        match text.strip_prefix("#!::") {
            Some(pairs) => Self::standard(pairs),
            None => Self::free(text),
        }
    }

    fn of(name: &str, mode: StreamMode) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            user: None,
            password: None,
            session: None,
            host: None,
        }
    }

    fn free(text: &str) -> Result<Self, StreamIdError> {
        let mut parts = text.splitn(4, ':');
        let mode = match parts.next() {
            Some("publish") => StreamMode::Publish,
            Some("request" | "read" | "play") => StreamMode::Request,
            _ => return Err(StreamIdError::Form),
        };
        let name = parts.next().ok_or(StreamIdError::Form)?;
        let owned = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        let mut id = Self::of(name, mode);
        id.user = parts.next().and_then(owned);
        id.password = parts.next().and_then(owned);
        Ok(id)
    }

    fn standard(pairs: &str) -> Result<Self, StreamIdError> {
        let mut id = Self::of("", StreamMode::Request);
        let (mut name, mut mode, mut kind) = (None, None, None);
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(StreamIdError::Pair)?;
            let place = match key {
                "r" => &mut name,
                "m" => &mut mode,
                "t" => &mut kind,
                "u" => &mut id.user,
                "s" => &mut id.session,
                "h" => &mut id.host,
                // Not of the draft, but what callers have for a password beside `u`.
                "p" => &mut id.password,
                // Keys of users and companies are theirs.
                _ => continue,
            };
            if place.replace(value.to_owned()).is_some() {
                return Err(StreamIdError::Twice);
            }
        }
        if kind.is_some_and(|kind| kind != "stream") {
            return Err(StreamIdError::Type);
        }
        id.mode = match mode.as_deref() {
            None | Some("request") => StreamMode::Request,
            Some("publish") => StreamMode::Publish,
            Some("bidirectional") => StreamMode::Bidirectional,
            Some(_) => return Err(StreamIdError::Mode),
        };
        id.name = name.unwrap_or_default();
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_form_is_read_in_any_order() {
        let id = StreamId::parse("#!::m=publish,u=ann,r=stage/1,s=k3y,acme_x=1").unwrap();
        assert_eq!(
            (id.name.as_str(), id.mode),
            ("stage/1", StreamMode::Publish)
        );
        assert_eq!(id.user.as_deref(), Some("ann"));
        assert_eq!(id.session.as_deref(), Some("k3y"));
        // The draft's own example.
        let id = StreamId::parse("#!::u=admin,r=bluesbrothers1_hi").unwrap();
        assert_eq!(id.mode, StreamMode::Request);
        assert_eq!(id.name, "bluesbrothers1_hi");
    }

    #[test]
    fn the_free_form_may_carry_a_user_and_a_password_with_colons() {
        let id = StreamId::parse("publish:stage:ann:se:cret").unwrap();
        assert_eq!((id.name.as_str(), id.mode), ("stage", StreamMode::Publish));
        assert_eq!(id.password.as_deref(), Some("se:cret"));
        assert!(!format!("{id:?}").contains("cret"));
        let id = StreamId::parse("publish:stage").unwrap();
        assert_eq!((id.user, id.password), (None, None));
        assert_eq!(
            StreamId::parse("request:x").unwrap().mode,
            StreamMode::Request
        );
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_its_reason() {
        for (text, error) in [
            ("stage", StreamIdError::Form),
            ("", StreamIdError::Form),
            ("#!::r", StreamIdError::Pair),
            ("#!::r=a,r=b", StreamIdError::Twice),
            ("#!::r=a,m=steal", StreamIdError::Mode),
            ("#!::r=a,t=file", StreamIdError::Type),
            ("#!{r=a}", StreamIdError::Form),
        ] {
            assert_eq!(StreamId::parse(text), Err(error), "{text}");
        }
        assert_eq!(StreamId::parse(&"x".repeat(513)), Err(StreamIdError::Long));
    }
}
