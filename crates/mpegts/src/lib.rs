//! MPEG transport streams (ITU-T H.222.0) without I/O.
//!
//! A [`Demuxer`] takes bytes as they come and gives access units, timed events and what became of all else; a [`Muxer`] writes
//! access units. Both open nothing and read no clock. Where the stream comes in datagrams, a [`DatagramReader`] is before it.
//!
//! ```
//! use roomtone_mpegts::{Demuxer, Event};
//!
//! let mut demuxer = Demuxer::default();
//! for datagram in [&[0x47; 1316][..]] {
//!     demuxer.handle_bytes(datagram);
//!     while let Some(event) = demuxer.poll_event() {
//!         match event {
//!             Event::Format { track, format } => println!("{track:?} is {}", format.name()),
//!             Event::Unit { track, unit } => println!("{track:?}: {} bytes", unit.data.len()),
//!             Event::Dropped { track, reason } => println!("{track:?}: {}", reason.name()),
//!             _ => {}
//!         }
//!     }
//! }
//! demuxer.finish();
//! ```

#![forbid(unsafe_code)]

mod adts;
mod alignment;
mod bits;
mod carried;
mod clock;
mod codec;
mod crc;
mod datagram;
mod demux;
mod elementary;
mod event;
mod framing;
mod latm;
mod mux;
mod opus;
mod packet;
mod packetize;
mod pes;
mod program;
mod psi;
mod queue;
mod section;
mod splice;
mod track;
mod video;

pub use alignment::ForeignSize;
pub use clock::CLOCK_RATE;
pub use codec::{Codec, Stream, StreamRefusal, stream_type_name};
pub use datagram::{DatagramReader, DatagramStats, MAX_WAITING_DATAGRAMS, PATIENCE, RtpWriter};
pub use demux::{Demuxer, Limits};
pub use event::{DropReason, Event, Stats, TrackId};
pub use mux::{DATAGRAM_PACKETS, MuxError, MuxTrack, Muxer, MuxerConfig};
pub use packet::{PACKET_BYTES, Pid};
pub use splice::{Segmentation, Splice, SpliceCommand, SpliceInsert};
