//! Requests, and the login that goes with them.

use std::fmt::Write as _;
use std::time::Instant;

use super::end::ClientEnd;
use crate::auth::{Challenge, Credentials, hex};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Options,
    Describe,
    Setup,
    Play,
    GetParameter,
    Teardown,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Options => "OPTIONS",
            Self::Describe => "DESCRIBE",
            Self::Setup => "SETUP",
            Self::Play => "PLAY",
            Self::GetParameter => "GET_PARAMETER",
            Self::Teardown => "TEARDOWN",
        }
    }
}

/// A request that was not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) number: u32,
    /// Whether a login went with it.
    pub(super) shown: bool,
    pub(super) until: Instant,
}

/// What stands in a request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) uri: &'a str,
    pub(super) number: u32,
    pub(super) agent: &'a str,
    pub(super) session: Option<&'a str>,
    pub(super) authorization: Option<&'a str>,
}

pub(super) fn write(request: &Request<'_>, headers: &[(&'static str, String)]) -> String {
    let mut text = format!(
        "{} {} RTSP/1.0\r\nCSeq: {}\r\nUser-Agent: {}\r\n",
        request.method.name(),
        request.uri,
        request.number,
        request.agent
    );
    let session = request.session.map(|value| ("Session", value));
    let authorization = request.authorization.map(|value| ("Authorization", value));
    let given = headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in given.chain(session).chain(authorization) {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text
}

/// How this side shows who it is.
#[derive(Debug)]
pub(super) struct Login {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    count: u32,
    cnonce: String,
}

impl Login {
    pub(super) fn new(credentials: Option<Credentials>, seed: &[u8; 32]) -> Self {
        Self {
            credentials,
            challenge: None,
            count: 0,
            cnonce: hex(&seed[..16]),
        }
    }

    /// Take what a server asks for; an error where there is nothing to be shown, or it was shown and is wrong.
    pub(super) fn handle_challenge<'a>(
        &mut self,
        offered: impl Iterator<Item = &'a str>,
        shown: bool,
    ) -> Result<(), ClientEnd> {
        if self.credentials.is_none() {
            return Err(ClientEnd::Unauthorized { shown: false });
        }
        let challenge = Challenge::choose(offered).ok_or(ClientEnd::UnknownChallenge)?;
        if shown && !challenge.is_stale() {
            return Err(ClientEnd::Unauthorized { shown: true });
        }
        (self.challenge, self.count) = (Some(challenge), 0);
        Ok(())
    }

    /// What a request says of it; none before anybody has asked.
    pub(super) fn answer(&mut self, method: Method, uri: &str) -> Option<String> {
        let (challenge, login) = (self.challenge.as_ref()?, self.credentials.as_ref()?);
        self.count += 1;
        Some(challenge.answer(login, method.name(), uri, self.count, &self.cnonce))
    }
}
