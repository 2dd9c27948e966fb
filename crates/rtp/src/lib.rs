//! RTP, RTCP, header extensions, payload descriptors, payload formats: wire types without I/O.
//!
//! Everything here is a value over borrowed bytes: nothing opens a socket, reads a clock or draws
//! a random number, and nothing on the packet path allocates.
#![forbid(unsafe_code)]

pub mod descriptors;
pub mod extensions;
pub mod red;
pub mod rtcp;

mod demux;
mod error;
mod packet;
mod payload_types;
mod rewrite;
mod time;
mod unwrap;
mod wire;

pub use demux::{is_rtcp, is_rtp};
pub use error::RtpError;
pub use extensions::{ExtensionKind, ExtensionMap};
pub use packet::{ExtensionElements, FIXED_HEADER_LEN, RtpPacket, header_len};
pub use payload_types::{Codec, MediaKind};
pub use rewrite::{
    ExtensionForm, ExtensionWriter, RtpHeader, set_extension, set_marker, set_payload_type,
    set_sequence, set_ssrc, set_timestamp, strip_padding, write_header,
};
pub use time::NtpTime;
pub use unwrap::{RolloverCounter, SequenceUnwrapper, TimestampUnwrapper, seq_newer, ts_newer};
