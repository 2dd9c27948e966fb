//! Text compressed piece by piece, so that what stays the same is compressed once (RFC 1951, 1952).
//!
//! A piece refers to nothing outside itself and ends on a whole byte: pieces one after the other are one stream.

use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

const LEVEL: u32 = 4;
/// One member, by deflate, of no name and time, from an unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A piece, compressed.
#[derive(Debug)]
pub(crate) struct Squeezed {
    bytes: Bytes,
    crc: Crc,
    /// Of the text.
    len: usize,
}

impl Squeezed {
    pub(crate) fn new(text: &str) -> Self {
        let mut crc = Crc::new();
        crc.update(text.as_bytes());
        Self {
            bytes: squeeze(text.as_bytes(), FlushCompress::Sync).into(),
            crc,
            len: text.len(),
        }
    }
}

/// Where in a text a piece is that is compressed already.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub at: usize,
    pub piece: Arc<Squeezed>,
}

/// The text as one file of gzip; `known` is in its order.
pub(crate) fn gzip(text: &[u8], known: &[Known]) -> Bytes {
    let mut out = HEAD.to_vec();
    let mut crc = Crc::new();
    let mut at = 0;
    for one in known {
        let before = &text[at..one.at];
        out.extend(squeeze(before, FlushCompress::Sync));
        crc.update(before);
        out.extend_from_slice(&one.piece.bytes);
        crc.combine(&one.piece.crc);
        at = one.at + one.piece.len;
    }
    out.extend(squeeze(&text[at..], FlushCompress::Finish));
    crc.update(&text[at..]);
    out.extend(crc.sum().to_le_bytes());
    out.extend((text.len() as u32).to_le_bytes());
    out.into()
}

fn squeeze(text: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(text.len() / 4 + 128);
    loop {
        let rest = &text[compress.total_in() as usize..];
        let status = compress
            .compress_vec(rest, &mut out, flush)
            .expect("compressing to memory does not fail");
        // All is out when there was room left.
        let is_over = match status {
            Status::StreamEnd => true,
            Status::Ok | Status::BufError => {
                !matches!(flush, FlushCompress::Finish)
                    && compress.total_in() as usize == text.len()
                    && out.len() < out.capacity()
            }
        };
        if is_over {
            return out;
        }
        out.reserve(out.len() / 2 + 128);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_put_together_of_pieces_is_one_file() {
        let lines = |from: u32, to: u32| {
            let lines = (from..to).map(|n| format!("#EXTINF:4.0,\nr-s{n}.m4s\n"));
            lines.collect::<Vec<_>>().concat()
        };
        let parts = [
            lines(0, 3),
            lines(3, 700),
            lines(700, 701),
            lines(701, 2_000),
            String::new(),
        ];
        let text = parts.concat();
        let known = [1, 3].map(|place: usize| Known {
            at: parts[..place].concat().len(),
            piece: Arc::new(Squeezed::new(&parts[place])),
        });
        for known in [&known[..], &known[..1], &known[1..], &[]] {
            let mut read = String::new();
            let file = gzip(text.as_bytes(), known);
            assert!(file.len() < text.len() / 3);
            GzDecoder::new(&file[..]).read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
        let mut read = String::new();
        GzDecoder::new(&gzip(b"", &[])[..])
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, "");
    }
}
