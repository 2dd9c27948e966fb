//! RFC 4571: datagrams on a stream, each behind its length in two bytes.

/// Longest datagram a peer may send; longer ones end the connection.
pub(crate) const MAX_FRAME: usize = 8 * 1024;

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    /// The length announced is over the limit.
    #[error("a frame of {0} bytes is longer than the limit")]
    TooLong(usize),
}

/// Takes a stream apart. Holds at most one incomplete frame and what came behind it in one read.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    buffer: Vec<u8>,
    start: usize,
}

impl Deframer {
    /// Adds bytes as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; empty frames are skipped (RFC 4571 section 2 calls them null packets).
    pub(crate) fn next_frame(&mut self) -> Result<Option<&mut [u8]>, FramingError> {
        loop {
            let rest = &self.buffer[self.start..];
            let [high, low, ..] = *rest else {
                return Ok(None);
            };
            let len = usize::from(u16::from_be_bytes([high, low]));
            if len > MAX_FRAME {
                return Err(FramingError::TooLong(len));
            }
            if rest.len() < 2 + len {
                return Ok(None);
            }
            let at = self.start + 2;
            self.start = at + len;
            if len > 0 {
                return Ok(Some(&mut self.buffer[at..at + len]));
            }
        }
    }
}

impl Deframer {
    /// What came behind the last frame.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// The two bytes before a datagram; `None` when it is too long for the framing.
pub(crate) fn prefix(len: usize) -> Option<[u8; 2]> {
    u16::try_from(len).ok().map(u16::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut deframer = Deframer::default();
        let mut out = Vec::new();
        for chunk in chunks {
            deframer.push(chunk);
            while let Some(frame) = deframer.next_frame().unwrap() {
                out.push(frame.to_vec());
            }
        }
        out
    }

    #[test]
    fn frames_come_out_however_the_stream_is_cut() {
        let stream = [0, 3, 1, 2, 3, 0, 0, 0, 1, 9, 0, 2, 7, 8];
        let whole = vec![vec![1, 2, 3], vec![9], vec![7, 8]];
        assert_eq!(frames(&[&stream]), whole);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames(&single), whole);
        for cut in 0..stream.len() {
            assert_eq!(frames(&[&stream[..cut], &stream[cut..]]), whole);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_an_error_before_it_arrives() {
        let mut deframer = Deframer::default();
        deframer.push(&[0xff, 0xff, 1]);
        assert_eq!(deframer.next_frame(), Err(FramingError::TooLong(0xffff)));
    }

    #[test]
    fn what_is_kept_stays_bounded() {
        let mut deframer = Deframer::default();
        for _ in 0..1000 {
            deframer.push(&[0, 4, 1, 2, 3, 4, 0]);
            while deframer.next_frame().unwrap().is_some() {}
            deframer.push(&[0]);
            while deframer.next_frame().unwrap().is_some() {}
        }
        assert!(deframer.buffer.capacity() < 100);
    }
}
