//! The only unsafe code of this crate: libopus behind two owning values.
//!
//! Each call hands libopus a live state it made itself, and slices with their true lengths; what
//! it answers is checked before it is used. A state has no tie to the thread that made it.
#![allow(unsafe_code, reason = "libopus is C")]

use super::super::CodecError;
use opusic_sys as c;
use std::ptr::NonNull;

fn check(answer: i32) -> Result<usize, CodecError> {
    usize::try_from(answer).map_err(|_| match answer {
        c::OPUS_INVALID_PACKET => CodecError::BadPayload,
        other => CodecError::Library(other),
    })
}

/// A length for C; slices here are far below its range.
fn length(len: usize) -> Result<i32, CodecError> {
    i32::try_from(len).map_err(|_| CodecError::BadPayload)
}

/// Owns an encoder state.
#[derive(Debug)]
pub(super) struct RawEncoder(NonNull<c::OpusEncoder>);

// SAFETY: the state is plain memory owned by this value alone; libopus keeps nothing per thread.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    pub(super) fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let mut error = 0;
        // SAFETY: libopus checks the arguments and writes one integer to `error`.
        let state = unsafe {
            c::opus_encoder_create(rate_hz as i32, 1, c::OPUS_APPLICATION_VOIP, &raw mut error)
        };
        match NonNull::new(state) {
            Some(state) if error == c::OPUS_OK => Ok(Self(state)),
            _ if error == c::OPUS_BAD_ARG => Err(CodecError::UnsupportedRate { rate_hz }),
            _ => Err(CodecError::Library(error)),
        }
    }

    /// Encodes one mono frame into the front of `out`.
    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let (samples, space) = (length(pcm.len())?, length(out.len())?);
        // SAFETY: libopus reads `samples` samples of the one channel and writes at most `space`
        // bytes.
        check(unsafe {
            c::opus_encode(
                self.0.as_ptr(),
                pcm.as_ptr(),
                samples,
                out.as_mut_ptr(),
                space,
            )
        })
    }

    /// Sets one of the requests that take an integer.
    pub(super) fn set(&mut self, request: i32, value: i32) -> Result<(), CodecError> {
        // SAFETY: every `OPUS_SET_*` request used here takes one integer, which libopus checks.
        match unsafe { c::opus_encoder_ctl(self.0.as_ptr(), request, value) } {
            c::OPUS_OK => Ok(()),
            c::OPUS_BAD_ARG => Err(CodecError::SettingOutOfRange),
            other => Err(CodecError::Library(other)),
        }
    }

    pub(super) fn reset(&mut self) {
        // SAFETY: the request takes no argument and cannot fail on a live state.
        unsafe { c::opus_encoder_ctl(self.0.as_ptr(), c::OPUS_RESET_STATE) };
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, destroyed once.
        unsafe { c::opus_encoder_destroy(self.0.as_ptr()) };
    }
}

/// Owns a decoder state.
#[derive(Debug)]
pub(super) struct RawDecoder(NonNull<c::OpusDecoder>);

// SAFETY: the state is plain memory owned by this value alone; libopus keeps nothing per thread.
unsafe impl Send for RawDecoder {}

impl RawDecoder {
    pub(super) fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let mut error = 0;
        // SAFETY: libopus checks the arguments and writes one integer to `error`.
        let state = unsafe { c::opus_decoder_create(rate_hz as i32, 1, &raw mut error) };
        match NonNull::new(state) {
            Some(state) if error == c::OPUS_OK => Ok(Self(state)),
            _ if error == c::OPUS_BAD_ARG => Err(CodecError::UnsupportedRate { rate_hz }),
            _ => Err(CodecError::Library(error)),
        }
    }

    /// Decodes one payload, or with `fec` the frame before it, into `out`, whose length is the
    /// most that comes out; without a payload it makes up a frame of that length.
    pub(super) fn decode(
        &mut self,
        payload: Option<&[u8]>,
        out: &mut [i16],
        fec: bool,
    ) -> Result<usize, CodecError> {
        let space = length(out.len())?;
        let (data, len) = match payload {
            Some(bytes) => (bytes.as_ptr(), length(bytes.len())?),
            None => (std::ptr::null(), 0),
        };
        // SAFETY: libopus reads `len` bytes (none where `data` is null) and writes at most `space`
        // samples of the one channel.
        check(unsafe {
            c::opus_decode(
                self.0.as_ptr(),
                data,
                len,
                out.as_mut_ptr(),
                space,
                i32::from(fec),
            )
        })
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, destroyed once.
        unsafe { c::opus_decoder_destroy(self.0.as_ptr()) };
    }
}

/// Samples at `rate_hz` that a payload decodes to.
pub(super) fn samples_in(payload: &[u8], rate_hz: u32) -> Result<usize, CodecError> {
    let len = length(payload.len())?;
    // SAFETY: libopus reads at most `len` bytes, and none where that is zero.
    check(unsafe { c::opus_packet_get_nb_samples(payload.as_ptr(), len, rate_hz as i32) })
}

/// Whether a payload carries a coarse copy of the frame before it.
pub(super) fn has_fec(payload: &[u8]) -> bool {
    let Ok(len) = length(payload.len()) else {
        return false;
    };
    // SAFETY: libopus reads at most `len` bytes and answers an error for what is no packet.
    len > 0 && unsafe { c::opus_packet_has_lbrr(payload.as_ptr(), len) } == 1
}
