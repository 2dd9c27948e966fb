//! Audio levels (RFC 6464, RFC 6465).

use super::{ExtensionError, ExtensionKind, ExtensionValue, exact, put};

/// The level of the audio in a packet, as its sender measured it (RFC 6464 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AudioLevel {
    /// Loudness below overload in dB: 0 is the loudest, 127 is silence.
    pub level: u8,
    /// Whether the sender thinks that the packet holds speech.
    pub voice: bool,
}

impl ExtensionValue<'_> for AudioLevel {
    const KIND: ExtensionKind = ExtensionKind::AudioLevel;

    #[inline]
    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        let [byte] = exact(Self::KIND, value)?;
        Ok(Self {
            level: byte & 0x7f,
            voice: byte & 0x80 != 0,
        })
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        if self.level > 127 {
            return Err(ExtensionError::Value(Self::KIND));
        }
        put(out, &[(u8::from(self.voice) << 7) | self.level])
    }
}

/// The most levels a packet can have: one for each CSRC.
pub const MAX_MIXER_LEVELS: usize = 15;

/// The levels of the sources mixed into a packet, in the order of its CSRCs (RFC 6465 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MixerLevels {
    levels: [u8; MAX_MIXER_LEVELS],
    count: u8,
}

impl MixerLevels {
    /// The levels of up to [`MAX_MIXER_LEVELS`] sources, each 0-127 dB below overload.
    pub fn new(levels: &[u8]) -> Result<Self, ExtensionError> {
        if levels.is_empty() || levels.len() > MAX_MIXER_LEVELS {
            return Err(ExtensionError::Length(ExtensionKind::MixerLevels));
        }
        if levels.iter().any(|level| *level > 127) {
            return Err(ExtensionError::Value(ExtensionKind::MixerLevels));
        }
        let mut all = [0; MAX_MIXER_LEVELS];
        all[..levels.len()].copy_from_slice(levels);
        Ok(Self {
            levels: all,
            count: levels.len() as u8,
        })
    }

    /// The levels, one for each CSRC.
    pub fn levels(&self) -> &[u8] {
        &self.levels[..usize::from(self.count)]
    }
}

impl ExtensionValue<'_> for MixerLevels {
    const KIND: ExtensionKind = ExtensionKind::MixerLevels;

    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        if value.len() > MAX_MIXER_LEVELS {
            return Err(ExtensionError::Length(Self::KIND));
        }
        // The first bit of each byte is reserved and must be ignored.
        let mut levels = [0; MAX_MIXER_LEVELS];
        for (level, byte) in levels.iter_mut().zip(value) {
            *level = byte & 0x7f;
        }
        Self::new(&levels[..value.len()])
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        put(out, self.levels())
    }
}
