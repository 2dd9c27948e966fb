//! Outputs that hear the same, and the one encoder they share.

use super::OutputId;
use crate::codec::{Codec, CodecError, Encode, EncoderSetting};

/// All outputs of one codec and packet length, or those of them that leave out the same input.
pub(super) struct Group {
    pub(super) encoder: Box<dyn Encode>,
    /// Who belongs to it; who of them hears it is decided packet by packet.
    pub(super) outputs: Vec<OutputId>,
    /// Mixed and not yet encoded.
    pub(super) pending: Vec<i16>,
    /// Whether the packet before was encoded: otherwise the encoder's past is another's.
    pub(super) goes_on: bool,
    /// Whether its input was in the mix at any time of the packet at work.
    pub(super) differs: bool,
}

impl Group {
    pub(super) fn new(
        codec: Codec,
        rate_hz: u32,
        settings: &[EncoderSetting],
    ) -> Result<Self, CodecError> {
        let mut group = Self {
            encoder: codec.encoder(rate_hz)?,
            outputs: Vec::new(),
            pending: Vec::new(),
            goes_on: false,
            differs: false,
        };
        for &setting in settings {
            group.set(setting)?;
        }
        Ok(group)
    }

    /// Changes a setting, where the codec has it.
    pub(super) fn set(&mut self, setting: EncoderSetting) -> Result<(), CodecError> {
        match self.encoder.set(setting) {
            Err(CodecError::NoSuchSetting) => Ok(()),
            answer => answer,
        }
    }

    /// Adds a tick's mix, less what the group's own input brought.
    pub(super) fn add(&mut self, total: &[i32], own: Option<&[i16]>) {
        match own {
            Some(own) => self.pending.extend(
                total
                    .iter()
                    .zip(own)
                    .map(|(&total, &own)| limit(total - i32::from(own))),
            ),
            None => self.pending.extend(total.iter().map(|&total| limit(total))),
        }
    }
}

/// Above this, sums are bent instead of cut off.
const KNEE: i32 = 24_576;

/// A sum as a sample: what is too loud comes ever closer to full scale.
#[inline]
fn limit(sum: i32) -> i16 {
    if sum.abs() <= KNEE {
        return sum as i16;
    }
    let (over, space) = (sum.abs() - KNEE, i32::from(i16::MAX) - KNEE);
    let bent = KNEE + (i64::from(over) * i64::from(space) / i64::from(over + space)) as i32;
    (bent * sum.signum()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_sums_are_bent_in_order_and_never_leave_the_range() {
        assert_eq!(limit(KNEE), KNEE as i16);
        assert_eq!(limit(-20_000), -20_000);
        let mut last = i16::MIN;
        for sum in (-500 * 32_768..=500 * 32_768).step_by(997) {
            let limited = limit(sum);
            assert!(limited >= last);
            last = limited;
        }
        assert!(limit(500 * 32_767) > 32_000);
    }
}
