//! Questions that wait for their answers: may this be published, or played?

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::connection::Asker;
use crate::values::{IngestProtocol, Outbound};

/// Questions that may wait at a time; one more is refused as too many.
pub(super) const MAX_QUESTIONS: usize = 256;
/// So long an answer may take. An encoder waits about so long for its handshake.
const DEADLINE: Duration = Duration::from_secs(3);

/// Somebody who wants to publish, or to have a stream played out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Whether it is to be played.
    pub(super) plays: bool,
    pub(super) protocol: IngestProtocol,
    pub(super) listener: u64,
    pub(super) remote: SocketAddr,
    pub(super) name: String,
    pub(super) user: Option<String>,
    /// A password, a key or a token.
    pub(super) credential: Option<String>,
    /// What the encoder calls itself, where it does.
    pub(super) encoder: String,
}

impl Wish {
    /// Whether another comes from the same place with the same credential: an encoder that was killed and is back.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.remote.ip() == other.remote.ip()
            && self.user == other.user
            && self.credential == other.credential
    }
}

/// A name as it may stand in a URL: `[A-Za-z0-9._-]{1,64}`.
pub(super) fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_fine) && name != "." && name != ".."
}

struct Asked {
    asker: Asker,
    wish: Wish,
    until: Instant,
}

/// Questions under way.
#[derive(Default)]
pub(super) struct Questions {
    open: FxHashMap<u64, Asked>,
    next: u64,
}

impl Questions {
    /// Ask; none where too many wait already.
    pub(super) fn ask(&mut self, asker: Asker, wish: Wish, now: Instant) -> Option<Outbound> {
        if self.open.len() >= MAX_QUESTIONS {
            return None;
        }
        self.next += 1;
        let question = Outbound::Question {
            id: self.next,
            deadline_ms: DEADLINE.as_millis() as u64,
            topic: if wish.plays { "play" } else { "publish" }.to_owned(),
            subject: wish.name.clone(),
            credential: wish.credential.clone(),
            user: wish.user.clone(),
            protocol: Some(wish.protocol),
            remote: Some(wish.remote.to_string()),
        };
        let until = now + DEADLINE;
        self.open.insert(self.next, Asked { asker, wish, until });
        Some(question)
    }

    /// Who asked, and for what; none where nobody waits for this answer.
    pub(super) fn answered(&mut self, id: u64) -> Option<(Asker, Wish)> {
        self.open.remove(&id).map(|asked| (asked.asker, asked.wish))
    }

    /// Those that nobody answered in time.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<(Asker, Wish)> {
        self.open
            .extract_if(|_, asked| asked.until <= now)
            .map(|(_, asked)| (asked.asker, asked.wish))
            .collect()
    }

    /// All who asked through a listener are gone.
    pub(super) fn forget_listener(&mut self, listener: u64) {
        self.open.retain(|_, asked| asked.wish.listener != listener);
    }

    /// Who asked is gone.
    pub(super) fn forget(&mut self, asker: Asker) {
        self.open.retain(|_, asked| asked.asker != asker);
    }
}
