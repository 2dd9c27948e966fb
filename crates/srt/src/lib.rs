//! SRT (draft-sharabayko-srt) in live mode, without I/O.
//!
//! A [`Listener`] serves many connections on one socket, a [`Dialer`] opens one. They open no sockets and read no clock:
//! whoever drives them hands them datagrams with the time at which they came, and sends what they have to send.
//!
//! ```
//! use roomtone_srt::{Acceptance, Dialer, DialConfig, Listener, ListenerConfig, MAX_DATAGRAM, StreamId};
//! use std::time::{Duration, Instant};
//!
//! let (here, there) = ("192.0.2.1:8890".parse()?, "192.0.2.2:5000".parse()?);
//! let mut now = Instant::now();
//! let mut listener = Listener::new(ListenerConfig::default(), &[1; 32], now);
//! let config = DialConfig { stream_id: "publish:stage".into(), ..DialConfig::default() };
//! let mut caller = Dialer::call(here, config, &[2; 32], now)?;
//! let mut datagram = [0; MAX_DATAGRAM];
//! for _ in 0..3 {
//!     while let Some(len) = caller.poll_transmit(now, &mut datagram) {
//!         listener.handle_datagram(there, &mut datagram[..len], now);
//!     }
//!     while let Some(request) = listener.poll_request() {
//!         assert_eq!(StreamId::parse(&request.stream_id)?.name, "stage");
//!         listener.accept(request.id, Acceptance::default(), now)?;
//!     }
//!     while let Some(transmit) = listener.poll_transmit(now, &mut datagram) {
//!         caller.handle_datagram(&mut datagram[..transmit.len], now);
//!     }
//! }
//! caller.send(b"seven packets of MPEG-TS", now)?;
//! while let Some(len) = caller.poll_transmit(now, &mut datagram) {
//!     listener.handle_datagram(there, &mut datagram[..len], now);
//! }
//! now += Duration::from_millis(121);
//! listener.handle_timeout(now);
//! let (_, message) = listener.poll_message(now).expect("what is due");
//! assert_eq!(message.payload, b"seven packets of MPEG-TS");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use packet::{MAX_DATAGRAM, MAX_PAYLOAD};
pub use reject::RejectReason;
pub use stats::{ListenerStats, Stats};
pub use stream_id::{MAX_STREAM_ID, StreamId, StreamIdError, StreamMode};
