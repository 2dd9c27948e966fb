//! RTCP: reports, descriptions, feedback (RFC 3550, 3611, 4585, 5104, 5506, REMB, transport-wide
//! feedback).
//!
//! Packets are views. Their lists are [`Entries`]: over the bytes of a received packet or over a
//! caller's slice, so that one type serves reading and writing and neither allocates.

mod app;
mod codec_control;
mod compound;
mod entries;
mod feedback;
mod frame;
mod goodbye;
mod nack;
mod remb;
mod reports;
mod sdes;
mod transport_feedback;
mod xr;

pub use app::{App, Unknown};
pub use codec_control::{TemporalTradeOff, Tmmb, Tmmbn, Tmmbr, Tstn, Tstr};
pub use compound::{Compound, CompoundWriter, is_reduced_size, parse_compound};
pub use entries::{Entries, EntriesIter, WireEntry};
pub use feedback::{Fir, FirEntry, Pli, Sli, SliEntry};
pub use frame::RtcpWrite;
pub use goodbye::Goodbye;
pub use nack::{Nack, NackPair, NackPairs};
pub use remb::Remb;
pub use reports::{ReceiverReport, ReportBlock, SenderReport};
pub use sdes::{SdesChunk, SdesChunks, SdesItem, SdesItems, SdesKind, SourceDescription};
pub use transport_feedback::{
    FeedbackStatuses, FeedbackTarget, PacketStatus, TransportFeedback, WrittenFeedback,
    write_transport_feedback,
};
pub use xr::{DlrrEntry, ExtendedReport, VoipMetrics, XrBlock, XrBlocks};

/// What is wrong with an RTCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtcpError {
    /// Fewer bytes than a packet or one of its fields announces.
    #[error("the packet ends early")]
    Truncated,
    /// The version field is not 2.
    #[error("the RTCP version is not 2")]
    Version,
    /// The padding count does not fit the packet.
    #[error("the padding count does not fit the packet")]
    Padding,
    /// A length that its field cannot have.
    #[error("a field has a wrong length")]
    Length,
    /// A value that its field cannot have.
    #[error("a field is out of range")]
    Value,
    /// More entries than the count field can say.
    #[error("too many entries for one packet")]
    TooMany,
    /// The caller's buffer is too small.
    #[error("the output buffer is too small")]
    NoSpace,
}

/// The largest count that the five bits of the common header can say.
pub const MAX_COUNT: usize = 31;

macro_rules! packets {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// One RTCP packet of a datagram.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum RtcpPacket<'a> {
            $($(#[$doc])* $variant($type),)*
        }

        impl RtcpWrite for RtcpPacket<'_> {
            fn wire_len(&self) -> usize {
                match self { $(Self::$variant(packet) => packet.wire_len(),)* }
            }

            fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
                match self { $(Self::$variant(packet) => packet.write(out),)* }
            }
        }

        $(impl<'a> From<$type> for RtcpPacket<'a> {
            fn from(packet: $type) -> Self {
                Self::$variant(packet)
            }
        })*
    };
}

packets! {
    /// What was sent, and what was received (RFC 3550 section 6.4.1).
    SenderReport(SenderReport<'a>),
    /// What was received (RFC 3550 section 6.4.2).
    ReceiverReport(ReceiverReport<'a>),
    /// Who is behind a source (RFC 3550 section 6.5).
    SourceDescription(SourceDescription<'a>),
    /// Sources that end (RFC 3550 section 6.6).
    Goodbye(Goodbye<'a>),
    /// Application-defined (RFC 3550 section 6.7).
    App(App<'a>),
    /// Extended reports (RFC 3611).
    ExtendedReport(ExtendedReport<'a>),
    /// Packets wanted again (RFC 4585 section 6.2.1).
    Nack(Nack<'a>),
    /// A picture was lost (RFC 4585 section 6.3.1).
    Pli(Pli),
    /// A keyframe is wanted (RFC 5104 section 4.3.1).
    Fir(Fir<'a>),
    /// Part of a picture was lost (RFC 4585 section 6.3.2).
    Sli(Sli<'a>),
    /// A limit to the bit rate is asked for (RFC 5104 section 4.2.1).
    Tmmbr(Tmmbr<'a>),
    /// The limits in force (RFC 5104 section 4.2.2).
    Tmmbn(Tmmbn<'a>),
    /// A trade-off of sharpness against frame rate is asked for (RFC 5104 section 4.3.2).
    Tstr(Tstr<'a>),
    /// The trade-off in force (RFC 5104 section 4.3.3).
    Tstn(Tstn<'a>),
    /// The receiver's estimate of the bandwidth (draft-alvestrand-rmcat-remb-03).
    Remb(Remb<'a>),
    /// Arrival times of all packets of a transport
    /// (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportFeedback(TransportFeedback<'a>),
    /// A packet type or feedback format that this crate does not read.
    Unknown(Unknown<'a>),
}

#[cfg(test)]
mod tests;
