//! Low-latency HLS (RFC 8216bis, draft-pantos-hls-rfc8216bis) without I/O.
//!
//! A [`Packager`] takes access units of the tracks of one program and answers for playlists, segments and parts. It
//! opens nothing and reads no clock; whoever serves it keeps the requests that have to wait, and asks again after each
//! change.

#![forbid(unsafe_code)]

mod answers;
mod beside;
mod boxes;
mod cadence;
mod channel;
mod ciphers;
mod cutting;
mod date_ranges;
mod directives;
mod encryption;
mod gathering;
mod herald;
mod lateness;
mod list;
mod master;
mod packager;
mod playlist;
mod protection;
mod rendition;
mod rows;
mod script;
mod segment;
mod squeezed;
mod stored;
mod subtitles;
mod tags;
mod waiting;
mod window;

pub use answers::{MediaAnswer, PlaylistAnswer};
pub use beside::TextFigures;
pub use boxes::{BoxError, carries};
pub use cadence::{Cadence, Observed};
pub use channel::{Channel, Shelf};
pub use date_ranges::{Cue, DateRange};
pub use directives::{DirectiveError, Directives, Wanted};
pub use encryption::{EncryptionConfig, EncryptionMethod, KEY_BYTES, SECRET_BYTES};
pub use herald::Herald;
pub use packager::{Held, Packager, PackagerConfig, Track};
pub use playlist::Playlist;
pub use script::{TextCue, TextRefused};
pub use stored::{Discard, Holding, Leaving, Stored};
pub use subtitles::is_language;
pub use tags::TagFigures;
pub use waiting::{Changed, MAX_WAITING, TooManyWait};
