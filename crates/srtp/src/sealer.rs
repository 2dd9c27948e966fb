//! The outbound direction.

use crate::cipher::{GcmCipher, Position, RTCP_ENCRYPTED, SessionCipher, SessionKeys};
use crate::packet::{RTCP_CLEAR, rtcp_ssrc, rtp_clear};
use crate::streams::{Place, Streams};
use crate::{MasterKey, Profile, SealCounters, SrtpError};

/// Streams (SSRCs) one [`Sealer`] keeps state of; more are refused and counted. A closed stream
/// is given back by [`Sealer::forget`].
pub const SEALER_STREAMS: usize = 4096;

/// Words of the window that keeps an index from being sealed twice: 960 packets for sure.
const WINDOW_WORDS: usize = 16;
/// The last RTCP index (31 bits).
const LAST_RTCP_INDEX: u32 = RTCP_ENCRYPTED - 1;

/// What to do with a packet whose index was sealed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Refuse it. Under GCM one nonce on two different packets (a new header extension is
    /// enough) gives away the authentication key (RFC 7714 section 8.3), so this is the default
    /// there.
    Refuse,
    /// Seal it. Harmless when the packet is the very same; with a stream cipher and HMAC also
    /// when only the header differs, so this is the default there.
    Allow,
}

/// Protects outbound RTP and RTCP of one master key, in place. What an RTP packet reads and writes comes first: a
/// forwarder has many of these, and comes to each when it is in no cache any more.
#[repr(C, align(64))]
pub struct Sealer {
    rtp: SessionCipher,
    profile: Profile,
    repeats: Repeats,
    counters: SealCounters,
    streams: Streams<WINDOW_WORDS>,
    next_rtcp_index: u32,
    rtcp: SessionCipher,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("profile", &self.profile)
            .field("streams", &self.streams.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Sealer {
    /// A context for `master`; every stream begins with roll-over counter zero.
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Self, SrtpError> {
        let keys = SessionKeys::derive(profile, master)?;
        Ok(Self {
            rtp: keys.rtp,
            profile,
            repeats: if profile.is_aead() {
                Repeats::Refuse
            } else {
                Repeats::Allow
            },
            counters: SealCounters::default(),
            streams: Streams::new(SEALER_STREAMS),
            next_rtcp_index: 0,
            rtcp: keys.rtcp,
        })
    }

    /// The protection profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Reads the state of the first streams, so that it is in the caches for their next packets.
    /// The value means nothing.
    pub fn touch(&self) -> u64 {
        self.counters.rtp ^ self.streams.touch()
    }

    /// What has been sealed and refused.
    pub const fn counters(&self) -> SealCounters {
        self.counters
    }

    /// Chooses what happens to packets whose index was sealed before.
    pub const fn set_repeats(&mut self, repeats: Repeats) {
        self.repeats = repeats;
    }

    /// Changes to a new master key. Roll-over counters and the RTCP index go on (RFC 3711
    /// sections 3.3.1 and 3.4).
    pub fn rekey(&mut self, master: &MasterKey) -> Result<(), SrtpError> {
        let keys = SessionKeys::derive(self.profile, master)?;
        (self.rtp, self.rtcp) = (keys.rtp, keys.rtcp);
        Ok(())
    }

    /// Drops the state of a closed stream. The SSRC must not be used again under this key: its
    /// indices would repeat.
    pub fn forget(&mut self, ssrc: u32) {
        self.streams.forget(ssrc);
    }

    /// Protects the RTP packet `buf[..len]` in place and returns its new length,
    /// [`Profile::rtp_tag_len`] longer. The index is the nearest to the highest sealed, so
    /// packets late by up to half the sequence space keep their roll-over counter.
    pub fn seal_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let sealed = self.try_seal_rtp(buf, len);
        match sealed {
            Ok(_) => self.counters.rtp += 1,
            Err(error) => self.counters.refused(error),
        }
        sealed
    }

    /// Protects the RTCP compound `buf[..len]` in place and returns its new length,
    /// [`Profile::rtcp_overhead`] longer.
    pub fn seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let sealed = self.try_seal_rtcp(buf, len);
        match sealed {
            Ok(_) => self.counters.rtcp += 1,
            Err(error) => self.counters.refused(error),
        }
        sealed
    }

    fn try_seal_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = buf.get(..len).ok_or(SrtpError::NoSpace {
            space: buf.len(),
            need: len,
        })?;
        let clear = rtp_clear(packet)?;
        let sealed_len = with_space(buf, len, self.profile.rtp_tag_len())?;
        let place = self.streams.find(clear.ssrc)?;
        let index = self.next_index(place, clear.sequence)?;
        let at = Position {
            ssrc: clear.ssrc,
            index,
        };
        match &self.rtp {
            SessionCipher::Gcm(gcm) => {
                let (header, rest) = buf[..sealed_len].split_at_mut(clear.header_len);
                let (data, tag) = rest.split_at_mut(len - clear.header_len);
                gcm.seal(at, header, data, tag)?;
            }
            SessionCipher::Signed(signed) => {
                let (header, data) = buf[..len].split_at_mut(clear.header_len);
                signed.crypt_rtp(at, header, data)?;
                signed.sign(buf, len, &((index >> 16) as u32).to_be_bytes());
            }
        }
        self.streams.accept(place, clear.ssrc, index);
        Ok(sealed_len)
    }

    /// The index of `sequence`, refused where it would repeat a nonce.
    fn next_index(&self, place: Place, sequence: u16) -> Result<u64, SrtpError> {
        let index = self.streams.index(place, sequence)?;
        if self.repeats == Repeats::Refuse {
            self.streams
                .check(place, index)
                .map_err(|_| SrtpError::IndexReused)?;
        }
        Ok(index)
    }

    fn try_seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = buf.get(..len).ok_or(SrtpError::NoSpace {
            space: buf.len(),
            need: len,
        })?;
        let ssrc = rtcp_ssrc(packet)?;
        let sealed_len = with_space(buf, len, self.profile.rtcp_overhead())?;
        if self.next_rtcp_index > LAST_RTCP_INDEX {
            return Err(SrtpError::KeyExhausted);
        }
        let index = self.next_rtcp_index;
        let at = Position {
            ssrc,
            index: u64::from(index),
        };
        let word = (RTCP_ENCRYPTED | index).to_be_bytes();
        match &self.rtcp {
            SessionCipher::Gcm(gcm) => {
                // RFC 7714 section 9: the tag stands before the index word, and the additional
                // data is the clear header followed by that word.
                let mut aad = [0; RTCP_CLEAR + 4];
                aad[..RTCP_CLEAR].copy_from_slice(&buf[..RTCP_CLEAR]);
                aad[RTCP_CLEAR..].copy_from_slice(&word);
                let tag_end = len + GcmCipher::tag_len();
                let (data, tag) = buf[RTCP_CLEAR..tag_end].split_at_mut(len - RTCP_CLEAR);
                gcm.seal(at, &aad, data, tag)?;
                buf[tag_end..sealed_len].copy_from_slice(&word);
            }
            SessionCipher::Signed(signed) => {
                let (header, data) = buf[..len].split_at_mut(RTCP_CLEAR);
                signed.crypt_rtcp(at, word, header, data)?;
                buf[len..len + 4].copy_from_slice(&word);
                signed.sign(buf, len + 4, &[]);
            }
        }
        self.next_rtcp_index += 1;
        Ok(sealed_len)
    }

    /// Sets the index of the next RTCP packet, for a context that takes over from another one
    /// with the same key.
    pub const fn set_rtcp_index(&mut self, index: u32) {
        self.next_rtcp_index = index;
    }

    /// Sets the roll-over counter with which a stream's first packet here is sealed, for a
    /// context that takes over from another one with the same key. No effect on a stream that
    /// has begun.
    pub fn set_rollover(&mut self, ssrc: u32, rollover: u32) -> Result<(), SrtpError> {
        self.streams.set_rollover(ssrc, rollover)
    }
}

fn with_space(buf: &[u8], len: usize, overhead: usize) -> Result<usize, SrtpError> {
    let need = len + overhead;
    if buf.len() < need {
        Err(SrtpError::NoSpace {
            space: buf.len(),
            need,
        })
    } else {
        Ok(need)
    }
}
