//! SRTP and SRTCP: AES in counter mode, f8 mode and GCM, in place.
//!
//! A [`Sealer`] protects what goes out, an [`Opener`] takes in what comes; both work on the
//! caller's buffer and allocate nothing per packet. Keys come from DTLS ([`dtls_keys`]) or from
//! signalling ([`MasterKey::from_concatenated`]). RFC 3711, RFC 6188 (AES-192 and
//! AES-256), RFC 7714 (GCM).
#![forbid(unsafe_code)]

mod cipher;
mod counters;
mod error;
mod index;
mod key;
mod keystream;
mod opener;
mod packet;
mod profile;
mod sealer;
mod signed;
mod streams;
#[cfg(test)]
mod vectors;

pub use counters::{OpenCounters, SealCounters};
pub use error::SrtpError;
pub use key::{MasterKey, dtls_keys};
pub use opener::{OPENER_STREAMS, Opener, PREVIOUS_KEY_PACKETS};
pub use profile::Profile;
pub use sealer::{Repeats, SEALER_STREAMS, Sealer};
