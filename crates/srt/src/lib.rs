//! SRT (draft-sharabayko-srt) in live mode, without I/O.
//!
//! A [`Listener`] serves many connections on one socket, a [`Dialer`] opens one. They open no sockets and read no clock:
//! whoever drives them hands them datagrams with the time at which they came, and sends what they have to send.

#![forbid(unsafe_code)]

mod cipher;
mod config;
mod connection;
mod crypto;
mod dialer;
mod handshake;
mod keys;
mod listener;
mod losses;
mod negotiation;
mod pacing;
mod packet;
mod receiving;
mod reject;
mod rtt;
mod sending;
mod seq;
mod source;
mod stats;
mod stream_id;
mod time;
mod tsbpd;

pub use config::{Bandwidth, ConnectionConfig, DEFAULT_WINDOW, LIVE_PAYLOAD, MAX_WINDOW};
pub use connection::{CloseReason, Encryption, Message, SendError};
pub use crypto::{ANNOUNCE_BEFORE, KeyRefresh, REFRESH_AFTER};
pub use dialer::{DialConfig, DialError, DialEvent, Dialer};
pub use keys::{CipherMode, KeyLength, PASSPHRASE_LEN, Passphrase, PassphraseLength};
pub use listener::{
    Acceptance, ConnectionId, Listener, ListenerConfig, ListenerEvent, MAX_ANSWERS, MAX_EVENTS,
    Request, RequestId, Transmit,
};
pub use packet::{MAX_DATAGRAM, MAX_PAYLOAD, PacketError};
pub use reject::RejectReason;
pub use seq::Seq;
pub use stats::{ListenerStats, Stats};
pub use stream_id::{MAX_STREAM_ID, StreamId, StreamIdError, StreamMode};
