//! Counters of one direction, by outcome.

use crate::SrtpError;

/// What a [`crate::Sealer`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealCounters {
    /// RTP packets sealed.
    pub rtp: u64,
    /// RTCP packets sealed.
    pub rtcp: u64,
    /// Refused: malformed or with no room for the tag.
    pub malformed: u64,
    /// Refused: the index was sealed before, or lies before the window that could tell.
    pub index_reused: u64,
    /// Refused: too many streams.
    pub too_many_streams: u64,
    /// Refused: the key is used up, or the cipher's own limit.
    pub exhausted: u64,
}

impl SealCounters {
    pub(crate) fn refused(&mut self, error: SrtpError) {
        let counter = match error {
            SrtpError::IndexReused | SrtpError::TooOld | SrtpError::Replayed => {
                &mut self.index_reused
            }
            SrtpError::TooManyStreams => &mut self.too_many_streams,
            SrtpError::KeyExhausted | SrtpError::Cipher => &mut self.exhausted,
            _ => &mut self.malformed,
        };
        *counter += 1;
    }
}

/// What an [`crate::Opener`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCounters {
    /// RTP packets opened.
    pub rtp: u64,
    /// RTCP packets opened.
    pub rtcp: u64,
    /// Dropped: too short, or not RTP.
    pub malformed: u64,
    /// Dropped: the tag did not fit.
    pub forged: u64,
    /// Dropped: opened before.
    pub replayed: u64,
    /// Dropped: older than the replay window.
    pub too_old: u64,
    /// Dropped: too many streams.
    pub too_many_streams: u64,
    /// Dropped: unknown master key identifier.
    pub unknown_mki: u64,
    /// Opened with the key that was replaced last.
    pub previous_key: u64,
}

impl OpenCounters {
    pub(crate) fn dropped(&mut self, error: SrtpError) {
        let counter = match error {
            SrtpError::Forged | SrtpError::Cipher => &mut self.forged,
            SrtpError::Replayed => &mut self.replayed,
            SrtpError::TooOld => &mut self.too_old,
            SrtpError::TooManyStreams => &mut self.too_many_streams,
            SrtpError::UnknownMki => &mut self.unknown_mki,
            _ => &mut self.malformed,
        };
        *counter += 1;
    }
}
