//! Extensions about time: sending, capture, playout, and the transport-wide order of packets.

use std::time::Duration;

use super::{ExtensionError, ExtensionKind, ExtensionValue, exact, put};
use crate::NtpTime;
use crate::wire::be64;

/// The place of a packet in the order in which a transport sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransportSequence(pub u16);

impl ExtensionValue<'_> for TransportSequence {
    const KIND: ExtensionKind = ExtensionKind::TransportSequence;

    #[inline]
    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        exact(Self::KIND, value).map(u16::from_be_bytes).map(Self)
    }

    #[inline]
    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        put(out, &self.0.to_be_bytes())
    }
}

/// When a packet left its sender: seconds as a 6.18 fixed point number that wraps after 64 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    /// The value for a wall time.
    #[inline]
    pub fn from_ntp(time: NtpTime) -> Self {
        Self((time.0 >> 14) as u32 & 0x00ff_ffff)
    }

    /// Time since `earlier`, within half of the 64 s cycle; `None` where `earlier` is later.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let difference = self.0.wrapping_sub(earlier.0) & 0x00ff_ffff;
        let nanos = (u64::from(difference) * 1_000_000_000) >> 18;
        (difference < 0x0080_0000).then(|| Duration::from_nanos(nanos))
    }
}

impl ExtensionValue<'_> for AbsSendTime {
    const KIND: ExtensionKind = ExtensionKind::AbsSendTime;

    #[inline]
    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        let [high, middle, low] = exact(Self::KIND, value)?;
        Ok(Self(u32::from_be_bytes([0, high, middle, low])))
    }

    #[inline]
    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        let [overflow, value @ ..] = self.0.to_be_bytes();
        if overflow != 0 {
            return Err(ExtensionError::Value(Self::KIND));
        }
        put(out, &value)
    }
}

/// When the first sample of a packet was captured, by the capturer's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AbsCaptureTime {
    /// The capture time.
    pub captured: NtpTime,
    /// What a middle box estimates the capturer's clock to be ahead of the sender's, as a signed
    /// 32.32 fixed point number of seconds.
    pub clock_offset: Option<i64>,
}

impl ExtensionValue<'_> for AbsCaptureTime {
    const KIND: ExtensionKind = ExtensionKind::AbsCaptureTime;

    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        let clock_offset = match value.len() {
            8 => None,
            16 => Some(be64(value, 8).cast_signed()),
            _ => return Err(ExtensionError::Length(Self::KIND)),
        };
        Ok(Self {
            captured: NtpTime(be64(value, 0)),
            clock_offset,
        })
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        let at = put(out, &self.captured.0.to_be_bytes())?;
        match self.clock_offset {
            Some(offset) => Ok(at + put(&mut out[at..], &offset.to_be_bytes())?),
            None => Ok(at),
        }
    }
}

/// The limits within which a receiver may delay playout, in units of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlayoutDelay {
    /// The least delay, 0-4095 units.
    pub min: u16,
    /// The largest delay, 0-4095 units, not under `min`.
    pub max: u16,
}

impl PlayoutDelay {
    /// What one unit of the fields lasts.
    pub const UNIT: Duration = Duration::from_millis(10);

    fn checked(self) -> Result<Self, ExtensionError> {
        if self.min > self.max || self.max > 0x0fff {
            return Err(ExtensionError::Value(ExtensionKind::PlayoutDelay));
        }
        Ok(self)
    }
}

impl ExtensionValue<'_> for PlayoutDelay {
    const KIND: ExtensionKind = ExtensionKind::PlayoutDelay;

    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        let [high, middle, low] = exact(Self::KIND, value)?.map(u16::from);
        let min = (high << 4) | (middle >> 4);
        Self {
            min,
            max: ((middle & 0x0f) << 8) | low,
        }
        .checked()
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        let Self { min, max } = self.checked()?;
        put(
            out,
            &[(min >> 4) as u8, ((min << 4) | (max >> 8)) as u8, max as u8],
        )
    }
}
