//! The encryption of one connection: keys agreed in the handshake, and their renewal
//! (draft-sharabayko-srt section 6.1.6).

use crate::cipher::StreamCipher;
use crate::keys::{
    CipherMode, KeyError, KeyHeader, KeyLength, Passphrase, SALT_LEN, Secret, StreamKeys,
};
use crate::packet::KeyFlag;
use crate::reject::RejectReason;
use crate::time::Micros;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// Packets after which the key is renewed (libsrt's default).
pub const REFRESH_AFTER: u32 = 1 << 24;
/// Packets before that at which the next key is announced (libsrt's default).
pub const ANNOUNCE_BEFORE: u32 = 1 << 12;
/// Packets after which a key is left even though the peer has not confirmed the next: nonces must not come twice.
const LAST_RESORT: u32 = 1 << 30;
/// Least time between two derivations of a wrapping key, each of which costs a millisecond.
const DERIVATION_EVERY: Micros = 1_000_000;

/// When keys are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRefresh {
    /// Packets that one key encrypts.
    pub after: u32,
    /// Packets before its end at which the next is announced; less than half of `after`.
    pub announce_before: u32,
}

impl Default for KeyRefresh {
    fn default() -> Self {
        Self {
            after: REFRESH_AFTER,
            announce_before: ANNOUNCE_BEFORE,
        }
    }
}

/// Both directions of a connection that is encrypted.
pub(crate) struct Crypto {
    passphrase: Passphrase,
    mode: CipherMode,
    length: KeyLength,
    salt: [u8; SALT_LEN],
    wrapping: Secret,
    refresh: KeyRefresh,
    sending: Sending,
    opening: Opening,
    derived_at: Micros,
}

struct Sending {
    even: Option<(Secret, StreamCipher)>,
    odd: Option<(Secret, StreamCipher)>,
    active: KeyFlag,
    /// Packets that the active key has encrypted.
    sealed: u32,
    announcement: Option<Announcement>,
}

/// The message that tells the peer of the next key.
struct Announcement {
    message: Vec<u8>,
    confirmed: bool,
    again_at: Micros,
}

struct Opening {
    even: Option<StreamCipher>,
    odd: Option<StreamCipher>,
}

/// Bytes for keys and salts come from the crypto library alone.
fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| KeyError::Library)?;
    Ok(out)
}

fn new_key(length: KeyLength) -> Result<Secret, KeyError> {
    let mut key = Zeroizing::new(vec![0; length.bytes()]);
    rand::fill(&mut key).map_err(|_| KeyError::Library)?;
    Ok(Secret(key))
}

impl Crypto {
    /// The side that makes the keys; gives the message for its peer.
    pub(crate) fn initiate(
        passphrase: Passphrase,
        mode: CipherMode,
        length: KeyLength,
        refresh: KeyRefresh,
    ) -> Result<(Self, Vec<u8>), KeyError> {
        let salt = random()?;
        let wrapping = passphrase.wrapping_key(&salt, length);
        let keys = StreamKeys {
            even: Some(new_key(length)?),
            odd: None,
        };
        let message = KeyHeader::message(mode, &salt, &keys, &wrapping)?;
        let header = KeyHeader::parse(&message)?;
        let crypto = Self::with(passphrase, header, wrapping, keys, refresh)?;
        Ok((crypto, message))
    }

    /// The side that takes the keys out of its peer's message.
    pub(crate) fn respond(
        passphrase: Passphrase,
        message: &[u8],
        refresh: KeyRefresh,
    ) -> Result<Self, RejectReason> {
        let reason = |error| match error {
            KeyError::WrongPassphrase => RejectReason::BadSecret,
            KeyError::Cipher => RejectReason::Crypto,
            KeyError::Malformed => RejectReason::Rogue,
            KeyError::Library => RejectReason::Internal,
        };
        let header = KeyHeader::parse(message).map_err(reason)?;
        let wrapping = passphrase.wrapping_key(&header.salt, header.length);
        let keys = header.unwrap(message, &wrapping).map_err(reason)?;
        Self::with(passphrase, header, wrapping, keys, refresh).map_err(reason)
    }

    fn with(
        passphrase: Passphrase,
        header: KeyHeader,
        wrapping: Secret,
        keys: StreamKeys,
        refresh: KeyRefresh,
    ) -> Result<Self, KeyError> {
        let cipher = |secret: &Secret| StreamCipher::new(header.mode, secret, header.salt);
        let open = |key: &Option<Secret>| key.as_ref().map(cipher).transpose();
        let seal = |key: Option<Secret>| -> Result<Option<(Secret, StreamCipher)>, KeyError> {
            key.map(|key| cipher(&key).map(|cipher| (key, cipher)))
                .transpose()
        };
        Ok(Self {
            passphrase,
            mode: header.mode,
            length: header.length,
            salt: header.salt,
            wrapping,
            refresh,
            opening: Opening {
                even: open(&keys.even)?,
                odd: open(&keys.odd)?,
            },
            sending: Sending {
                active: if keys.even.is_some() {
                    KeyFlag::Even
                } else {
                    KeyFlag::Odd
                },
                even: seal(keys.even)?,
                odd: seal(keys.odd)?,
                sealed: 0,
                announcement: None,
            },
            derived_at: Micros::MIN / 2,
        })
    }

    pub(crate) fn mode(&self) -> CipherMode {
        self.mode
    }

    pub(crate) fn length(&self) -> KeyLength {
        self.length
    }

    /// The flag for the next packet to be sealed.
    pub(crate) fn flag(&self) -> KeyFlag {
        self.sending.active
    }

    /// Seals a packet whose header has [`Crypto::flag`], and renews the key when its time has come.
    pub(crate) fn seal(&mut self, packet: &mut Vec<u8>, now: Micros) -> Result<(), KeyError> {
        let active = match self.sending.active {
            KeyFlag::Odd => &self.sending.odd,
            KeyFlag::Even | KeyFlag::Clear => &self.sending.even,
        };
        let (_, cipher) = active.as_ref().ok_or(KeyError::Malformed)?;
        cipher.seal(packet)?;
        self.sending.sealed += 1;
        self.renew(now)
    }

    fn renew(&mut self, now: Micros) -> Result<(), KeyError> {
        let KeyRefresh {
            after,
            announce_before,
        } = self.refresh;
        let sealed = self.sending.sealed;
        match &self.sending.announcement {
            None if sealed >= after.saturating_sub(announce_before) => self.announce(now),
            Some(announcement)
                if sealed >= after && (announcement.confirmed || sealed >= LAST_RESORT) =>
            {
                self.sending.active = match self.sending.active {
                    KeyFlag::Odd => KeyFlag::Even,
                    KeyFlag::Even | KeyFlag::Clear => KeyFlag::Odd,
                };
                self.sending.sealed = 0;
                self.sending.announcement = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes the next key and the message that tells of both.
    fn announce(&mut self, now: Micros) -> Result<(), KeyError> {
        let key = new_key(self.length)?;
        let cipher = StreamCipher::new(self.mode, &key, self.salt)?;
        let next = Some((key, cipher));
        match self.sending.active {
            KeyFlag::Odd => self.sending.even = next,
            KeyFlag::Even | KeyFlag::Clear => self.sending.odd = next,
        }
        let secret =
            |key: &Option<(Secret, StreamCipher)>| key.as_ref().map(|(key, _)| key.clone());
        let keys = StreamKeys {
            even: secret(&self.sending.even),
            odd: secret(&self.sending.odd),
        };
        self.sending.announcement = Some(Announcement {
            message: KeyHeader::message(self.mode, &self.salt, &keys, &self.wrapping)?,
            confirmed: false,
            again_at: now,
        });
        Ok(())
    }

    /// When an announcement that nobody confirmed is due.
    pub(crate) fn announce_at(&self) -> Option<Micros> {
        let announcement = self.sending.announcement.as_ref()?;
        (!announcement.confirmed).then_some(announcement.again_at)
    }

    /// The announcement, if it is due; it is due again after `interval`.
    pub(crate) fn poll_announcement(&mut self, now: Micros, interval: Micros) -> Option<&[u8]> {
        let announcement = self.sending.announcement.as_mut()?;
        if announcement.confirmed || announcement.again_at > now {
            return None;
        }
        announcement.again_at = now + interval;
        Some(&announcement.message)
    }

    /// The peer's answer to an announcement: the same message, or why not.
    pub(crate) fn handle_confirmation(&mut self, message: &[u8]) -> bool {
        match &mut self.sending.announcement {
            Some(announcement) if announcement.message == message => {
                announcement.confirmed = true;
                true
            }
            _ => false,
        }
    }

    /// The peer's next keys. Once taken, the same message is the answer.
    pub(crate) fn handle_announcement(
        &mut self,
        message: &[u8],
        now: Micros,
    ) -> Result<(), KeyError> {
        let header = KeyHeader::parse(message)?;
        if header.mode != self.mode {
            return Err(KeyError::Cipher);
        }
        let keys = if (header.salt, header.length) == (self.salt, self.length) {
            header.unwrap(message, &self.wrapping)?
        } else {
            if now - self.derived_at < DERIVATION_EVERY {
                return Err(KeyError::Malformed);
            }
            self.derived_at = now;
            let wrapping = self.passphrase.wrapping_key(&header.salt, header.length);
            header.unwrap(message, &wrapping)?
        };
        for (place, key) in [
            (&mut self.opening.even, keys.even),
            (&mut self.opening.odd, keys.odd),
        ] {
            if let Some(key) = key {
                *place = Some(StreamCipher::new(self.mode, &key, header.salt)?);
            }
        }
        Ok(())
    }

    /// Decrypts a packet in place; gives the length of its payload.
    pub(crate) fn open(&self, flag: KeyFlag, packet: &mut [u8]) -> Result<usize, KeyError> {
        let cipher = match flag {
            KeyFlag::Even => self.opening.even.as_ref(),
            KeyFlag::Odd => self.opening.odd.as_ref(),
            KeyFlag::Clear => None,
        };
        cipher.ok_or(KeyError::Malformed)?.open(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{DataHeader, HEADER_LEN};
    use crate::seq::Seq;

    fn sealed(crypto: &mut Crypto, seq: u32) -> (KeyFlag, Vec<u8>) {
        let flag = crypto.flag();
        let mut packet = vec![9; HEADER_LEN + 100];
        let header = DataHeader {
            seq: Seq::new(seq),
            first: true,
            last: true,
            key: Some(flag),
            retransmitted: false,
            message: 1,
            timestamp: 1,
            destination: 1,
        };
        header.write(&mut packet);
        crypto.seal(&mut packet, 0).unwrap();
        (flag, packet)
    }

    #[test]
    fn keys_are_renewed_once_the_peer_has_the_next_and_not_before() {
        let phrase = Passphrase::new("a phrase of some length").unwrap();
        let refresh = KeyRefresh {
            after: 10,
            announce_before: 4,
        };
        let (mut here, message) =
            Crypto::initiate(phrase.clone(), CipherMode::Ctr, KeyLength::Aes256, refresh).unwrap();
        let mut there = Crypto::respond(phrase, &message, refresh).unwrap();
        let mut flags = Vec::new();
        for seq in 0..40 {
            let (flag, mut packet) = sealed(&mut here, seq);
            assert_eq!(there.open(flag, &mut packet), Ok(100));
            assert_eq!(packet[HEADER_LEN..], [9; 100]);
            flags.push(flag);
            // The peer hears of the next key late: at the fifteenth packet.
            if seq >= 15
                && let Some(message) = here.poll_announcement(1, 1000).map(<[u8]>::to_vec)
            {
                there.handle_announcement(&message, 1).unwrap();
                assert!(here.handle_confirmation(&message));
            }
        }
        assert_eq!(flags[..17], [KeyFlag::Even; 17]);
        assert_eq!(flags[17], KeyFlag::Odd);
        assert_eq!(flags[26..28], [KeyFlag::Odd, KeyFlag::Even]);
    }
}
