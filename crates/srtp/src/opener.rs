//! The inbound direction.

use crate::cipher::{Position, RTCP_ENCRYPTED, SessionCipher, SessionKeys};
use crate::packet::{RTCP_CLEAR, RtpClear, rtcp_ssrc, rtp_clear};
use crate::streams::{Place, Streams};
use crate::{MasterKey, OpenCounters, Profile, SrtpError};

/// Streams (SSRCs) one [`Opener`] keeps state of; more are refused and counted. Only
/// authenticated packets make state. A closed stream is given back by [`Opener::forget`].
pub const OPENER_STREAMS: usize = 1024;

/// Packets opened with a new key after which the replaced one is dropped.
pub const PREVIOUS_KEY_PACKETS: u32 = 1024;

/// Words of the RTP replay window: 960 packets for sure, a second of fast video.
const RTP_WORDS: usize = 16;
/// Words of the RTCP replay window: 192 packets for sure.
const RTCP_WORDS: usize = 4;
/// Master keys held at a time where packets name theirs; the oldest goes first.
const KEYS_BY_MKI: usize = 4;
/// Master keys held at a time where they do not: the current and the one it replaced.
const KEYS_WITHOUT_MKI: usize = 2;
/// Longest master key identifier (RFC 4568 section 6.1).
const MAX_MKI: usize = 128;
/// A stream whose first packet here has a sequence number below this may have rolled over while
/// its beginning was lost, so roll-over counter 1 is tried after 0.
const LOST_BEGINNING: u16 = 1024;

struct InboundKey {
    mki: Vec<u8>,
    keys: SessionKeys,
}

/// Opens inbound SRTP and SRTCP of one sender, in place.
pub struct Opener {
    profile: Profile,
    /// Newest first, never empty.
    keys: Vec<InboundKey>,
    mki_len: usize,
    rtp: Streams<RTP_WORDS>,
    rtcp: Streams<RTCP_WORDS>,
    previous_left: u32,
    /// Where a packet is tried with a key that may not be the right one.
    scratch: Vec<u8>,
    counters: OpenCounters,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("profile", &self.profile)
            .field("streams", &self.rtp.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Opener {
    /// A context for packets protected with `master` that carry no key identifier.
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Self, SrtpError> {
        Self::with_key(profile, master, &[])
    }

    /// A context for packets that all carry a master key identifier of the length of `mki`.
    pub fn with_mki(profile: Profile, master: &MasterKey, mki: &[u8]) -> Result<Self, SrtpError> {
        if mki.is_empty() || mki.len() > MAX_MKI {
            return Err(SrtpError::MkiLength);
        }
        Self::with_key(profile, master, mki)
    }

    fn with_key(profile: Profile, master: &MasterKey, mki: &[u8]) -> Result<Self, SrtpError> {
        let key = InboundKey {
            mki: mki.to_vec(),
            keys: SessionKeys::derive(profile, master)?,
        };
        Ok(Self {
            profile,
            keys: vec![key],
            mki_len: mki.len(),
            rtp: Streams::new(OPENER_STREAMS),
            rtcp: Streams::new(OPENER_STREAMS),
            previous_left: 0,
            scratch: Vec::new(),
            counters: OpenCounters::default(),
        })
    }

    /// The protection profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// What has been opened and dropped.
    pub const fn counters(&self) -> OpenCounters {
        self.counters
    }

    /// Changes to a new master key. Roll-over counters and replay windows go on (RFC 3711
    /// section 3.3.1). Packets under the replaced key are still opened until
    /// [`PREVIOUS_KEY_PACKETS`] have come under the new one.
    pub fn rekey(&mut self, master: &MasterKey) -> Result<(), SrtpError> {
        self.rekey_with_mki(master, &[])
    }

    /// Adds the master key of another identifier, of the same length as the first one's; the
    /// newest four are kept.
    pub fn rekey_with_mki(&mut self, master: &MasterKey, mki: &[u8]) -> Result<(), SrtpError> {
        if mki.len() != self.mki_len {
            return Err(SrtpError::MkiLength);
        }
        let keys = SessionKeys::derive(self.profile, master)?;
        let limit = if self.mki_len == 0 {
            KEYS_WITHOUT_MKI
        } else {
            KEYS_BY_MKI
        };
        if self.mki_len > 0 {
            self.keys.retain(|key| key.mki != mki);
        }
        self.keys.insert(
            0,
            InboundKey {
                mki: mki.to_vec(),
                keys,
            },
        );
        self.keys.truncate(limit);
        self.previous_left = PREVIOUS_KEY_PACKETS;
        Ok(())
    }

    /// Drops the state of a closed stream. Its old packets could then be replayed, so only
    /// streams whose SSRC is routed nowhere any more are forgotten.
    pub fn forget(&mut self, ssrc: u32) {
        self.rtp.forget(ssrc);
        self.rtcp.forget(ssrc);
    }

    /// Sets the roll-over counter of a stream that was running before this context was made, as
    /// signalled with its key. No effect on a stream that has begun.
    pub fn set_rollover(&mut self, ssrc: u32, rollover: u32) -> Result<(), SrtpError> {
        self.rtp.set_rollover(ssrc, rollover)
    }

    /// Opens an SRTP packet in place and returns the length of the plain packet. After an error
    /// the buffer's content is unspecified.
    pub fn open_rtp(&mut self, buf: &mut [u8]) -> Result<usize, SrtpError> {
        let opened = self.try_open_rtp(buf);
        match opened {
            Ok(_) => self.counters.rtp += 1,
            Err(error) => self.counters.dropped(error),
        }
        opened
    }

    /// Opens an SRTCP packet in place and returns the length of the plain compound. After an
    /// error the buffer's content is unspecified.
    pub fn open_rtcp(&mut self, buf: &mut [u8]) -> Result<usize, SrtpError> {
        let opened = self.try_open_rtcp(buf);
        match opened {
            Ok(_) => self.counters.rtcp += 1,
            Err(error) => self.counters.dropped(error),
        }
        opened
    }

    fn try_open_rtp(&mut self, buf: &mut [u8]) -> Result<usize, SrtpError> {
        let clear = rtp_clear(buf)?;
        let tag_len = self.profile.rtp_tag_len();
        let need = clear.header_len + tag_len + self.mki_len;
        let plain_len = clear.header_len
            + buf.len().checked_sub(need).ok_or(SrtpError::TooShort {
                len: buf.len(),
                need,
            })?;
        let mki_at = if self.profile.is_aead() {
            plain_len + tag_len
        } else {
            plain_len
        };
        let keys = self.candidates(&buf[mki_at..mki_at + self.mki_len])?;
        let place = self.rtp.find(clear.ssrc)?;
        let index = self.rtp.index(place, clear.sequence)?;
        self.rtp.check(place, index)?;

        let lost_beginning = matches!(place, Place::Free(_)) && clear.sequence < LOST_BEGINNING;
        let indices = [index, index + (1 << 16)];
        let indices = if lost_beginning {
            &indices[..]
        } else {
            &indices[..1]
        };
        let last = (keys.end - 1, indices[indices.len() - 1]);
        for key in keys {
            for &index in indices {
                let opened = RtpAttempt {
                    clear,
                    index,
                    plain_len,
                    may_spoil: (key, index) == last,
                }
                .run(&self.keys[key].keys.rtp, buf, &mut self.scratch);
                if opened == Err(SrtpError::Forged) && (key, index) != last {
                    continue;
                }
                opened?;
                self.rtp.accept(place, clear.ssrc, index);
                self.opened_with(key);
                return Ok(plain_len);
            }
        }
        Err(SrtpError::Forged)
    }

    fn try_open_rtcp(&mut self, buf: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buf)?;
        let need = RTCP_CLEAR + self.profile.rtcp_overhead() + self.mki_len;
        let plain_len = RTCP_CLEAR
            + buf.len().checked_sub(need).ok_or(SrtpError::TooShort {
                len: buf.len(),
                need,
            })?;
        // GCM: tag, index word, identifier (RFC 7714 section 9). Others: word, identifier, tag.
        let word_at = if self.profile.is_aead() {
            plain_len + self.profile.rtcp_tag_len()
        } else {
            plain_len
        };
        let keys = self.candidates(&buf[word_at + 4..word_at + 4 + self.mki_len])?;
        let mut word = [0; 4];
        word.copy_from_slice(&buf[word_at..word_at + 4]);
        let index = u64::from(u32::from_be_bytes(word) & !RTCP_ENCRYPTED);
        let place = self.rtcp.find(ssrc)?;
        self.rtcp.check(place, index)?;

        let at = Position { ssrc, index };
        let last = keys.end - 1;
        for key in keys {
            let attempt = RtcpAttempt {
                at,
                plain_len,
                word,
                may_spoil: key == last,
            };
            let opened = attempt.run(&self.keys[key].keys.rtcp, buf, &mut self.scratch);
            if opened == Err(SrtpError::Forged) && key != last {
                continue;
            }
            opened?;
            self.rtcp.accept(place, ssrc, index);
            self.opened_with(key);
            return Ok(plain_len);
        }
        Err(SrtpError::Forged)
    }

    /// The keys to try: the named one, or all of them, newest first.
    fn candidates(&self, mki: &[u8]) -> Result<std::ops::Range<usize>, SrtpError> {
        if mki.is_empty() {
            return Ok(0..self.keys.len());
        }
        let at = self.keys.iter().position(|key| key.mki == mki);
        at.map(|at| at..at + 1).ok_or(SrtpError::UnknownMki)
    }

    fn opened_with(&mut self, key: usize) {
        if key > 0 {
            self.counters.previous_key += 1;
        } else if self.mki_len == 0 && self.keys.len() > 1 {
            self.previous_left = self.previous_left.saturating_sub(1);
            if self.previous_left == 0 {
                self.keys.truncate(1);
            }
        }
    }
}

/// One try to open an RTP packet with one key and index.
struct RtpAttempt {
    clear: RtpClear,
    index: u64,
    plain_len: usize,
    /// No other attempt follows, so a failure may spoil the packet.
    may_spoil: bool,
}

impl RtpAttempt {
    fn run(
        &self,
        cipher: &SessionCipher,
        buf: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let at = Position {
            ssrc: self.clear.ssrc,
            index: self.index,
        };
        match cipher {
            SessionCipher::Gcm(gcm) => {
                let sealed_len = self.plain_len + crate::cipher::GcmCipher::tag_len();
                let (header, data) = buf[..sealed_len].split_at_mut(self.clear.header_len);
                let scratch = (!self.may_spoil).then_some(scratch);
                gcm.open(at, header, data, scratch)
            }
            SessionCipher::Signed(signed) => {
                let (plain, trailer) = buf.split_at_mut(self.plain_len);
                let tag = &trailer[trailer.len() - signed.tag_len()..];
                signed.verify(plain, &((self.index >> 16) as u32).to_be_bytes(), tag)?;
                let (header, data) = plain.split_at_mut(self.clear.header_len);
                signed.crypt_rtp(at, header, data)
            }
        }
    }
}

/// One try to open an RTCP packet with one key.
struct RtcpAttempt {
    at: Position,
    plain_len: usize,
    word: [u8; 4],
    /// No other attempt follows, so a failure may spoil the packet.
    may_spoil: bool,
}

impl RtcpAttempt {
    fn run(
        &self,
        cipher: &SessionCipher,
        buf: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let encrypted = self.word[0] & 0x80 != 0;
        match cipher {
            SessionCipher::Gcm(gcm) if encrypted => {
                let mut aad = [0; RTCP_CLEAR + 4];
                aad[..RTCP_CLEAR].copy_from_slice(&buf[..RTCP_CLEAR]);
                aad[RTCP_CLEAR..].copy_from_slice(&self.word);
                let sealed_len = self.plain_len + crate::cipher::GcmCipher::tag_len();
                let scratch = (!self.may_spoil).then_some(scratch);
                gcm.open(self.at, &aad, &mut buf[RTCP_CLEAR..sealed_len], scratch)
            }
            SessionCipher::Gcm(gcm) => {
                // Authenticated only (RFC 7714 section 9.3): everything is additional data.
                let (packet, rest) = buf.split_at(self.plain_len);
                scratch.clear();
                scratch.extend_from_slice(packet);
                scratch.extend_from_slice(&self.word);
                gcm.verify(
                    self.at,
                    scratch,
                    &rest[..crate::cipher::GcmCipher::tag_len()],
                )
            }
            SessionCipher::Signed(signed) => {
                let (whole, trailer) = buf.split_at_mut(self.plain_len + 4);
                let tag = &trailer[trailer.len() - signed.tag_len()..];
                signed.verify(whole, &[], tag)?;
                if !encrypted {
                    return Ok(());
                }
                let (header, data) = whole[..self.plain_len].split_at_mut(RTCP_CLEAR);
                signed.crypt_rtcp(self.at, self.word, header, data)
            }
        }
    }
}
