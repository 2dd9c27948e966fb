//! Samples encrypted by `cbcs` (ISO/IEC 23001-7 section 10.4), and the boxes that say so.
//!
//! Of a picture one block in ten is encrypted, of sound every whole block, each from the one vector that the header has.
//! The beginning of every slice stays clear: decoders in hardware read slice headers before anything is decrypted.

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use roomtone_frames::Format;

use crate::encryption::Encryption;

const BLOCK: usize = 16;
/// Encrypted and skipped blocks of a picture.
const PATTERN: (usize, usize) = (1, 9);
/// So much of a slice is not encrypted; headers of slices are shorter.
const CLEAR_LEAD: usize = 128;
/// The sizes of runs are told in one byte: behind so many slices the rest of a picture is one run, its headers too.
const MAX_RUNS: usize = 36;
/// What stands before a NAL unit.
const LENGTH: usize = 4;

/// Runs of a sample: so many bytes that are clear, then so many with encrypted blocks.
pub(crate) type Runs = Vec<(u16, u32)>;

/// How a header says that its samples are encrypted.
pub(crate) struct Protection {
    key_id: [u8; 16],
    vector: [u8; 16],
    is_video: bool,
}

impl Protection {
    /// That of a format; none where it cannot be encrypted by samples.
    pub(crate) fn of(format: &Format, encryption: &Encryption, segment: u64) -> Option<Self> {
        let is_video = match format {
            Format::H264(_) | Format::Hevc(_) => true,
            Format::Aac(_) | Format::Opus(_) => false,
            Format::Av1(_) | Format::Carried(_) => return None,
        };
        Some(Self {
            key_id: encryption.key_id(encryption.key_of(segment)),
            vector: encryption.vector,
            is_video,
        })
    }

    /// Has a header of one track say so: `encv` or `enca` with `sinf`.
    pub(crate) fn mark(&self, header: &mut Vec<u8>) {
        const TO_ENTRIES: [([u8; 4], usize); 6] = [
            (*b"moov", 0),
            (*b"trak", 0),
            (*b"mdia", 0),
            (*b"minf", 0),
            (*b"stbl", 0),
            // A version, flags and the number of entries come first.
            (*b"stsd", 8),
        ];
        let Some(places) = walk(header, &TO_ENTRIES) else {
            return;
        };
        let Some(&stsd) = places.last() else {
            return;
        };
        let entry = stsd + 8 + 8;
        let Some(name) = header.get(entry + 4..entry + 8) else {
            return;
        };
        let sinf = self.sinf(name);
        header[entry + 4..entry + 8].copy_from_slice(if self.is_video { b"encv" } else { b"enca" });
        let end = entry + size(header, entry);
        header.splice(end..end, sinf.iter().copied());
        for place in places.into_iter().chain([entry]) {
            enlarge(header, place, sinf.len());
        }
    }

    fn sinf(&self, format: &[u8]) -> Vec<u8> {
        let (encrypted, skipped) = if self.is_video { PATTERN } else { (0, 0) };
        let pattern = (encrypted << 4 | skipped) as u8;
        let mut tenc = vec![1, 0, 0, 0, 0, pattern, 1, 0];
        tenc.extend(self.key_id);
        tenc.push(16);
        tenc.extend(self.vector);
        let schm = [&[0; 4][..], b"cbcs", &0x0001_0000_u32.to_be_bytes()].concat();
        let inner = [
            a_box(*b"frma", format),
            a_box(*b"schm", &schm),
            a_box(*b"schi", &a_box(*b"tenc", &tenc)),
        ];
        a_box(*b"sinf", &inner.concat())
    }
}

/// Encrypts a sample that belongs to the segment of this number.
pub(crate) fn protect(
    format: &Format,
    encryption: &mut Encryption,
    segment: u64,
    sample: &[u8],
) -> Result<(Bytes, Runs), Unspecified> {
    let mut out = sample.to_vec();
    let is_slice: fn(u8) -> bool = match format {
        Format::H264(_) => |first| matches!(first & 0x1f, 1..=5),
        Format::Hevc(_) => |first| (first >> 1) & 0x3f < 32,
        _ => {
            let whole = out.len() / BLOCK * BLOCK;
            let mut blocks = out[..whole].to_vec();
            encryption.blocks(segment, &mut blocks)?;
            out[..whole].copy_from_slice(&blocks);
            return Ok((out.into(), Runs::new()));
        }
    };
    let (mut runs, mut clear, mut at) = (Runs::new(), 0, 0);
    while let Some(length) = sample.get(at..at + LENGTH) {
        let body = at + LENGTH;
        let len = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let end = if runs.len() < MAX_RUNS {
            (body + len).min(sample.len())
        } else {
            sample.len()
        };
        let begin = body + CLEAR_LEAD;
        let first = sample.get(body).copied().unwrap_or_default();
        if is_slice(first) && begin + BLOCK <= end {
            clear += begin - at;
            scatter(encryption, segment, &mut out[begin..end])?;
            push_run(&mut runs, clear, end - begin);
            clear = 0;
        } else {
            clear += end - at;
        }
        at = end;
    }
    push_run(&mut runs, clear + sample.len() - at.min(sample.len()), 0);
    Ok((out.into(), runs))
}

/// Encrypts one block in ten; a block that is not whole stays as it is.
fn scatter(encryption: &mut Encryption, segment: u64, run: &mut [u8]) -> Result<(), Unspecified> {
    let stride = (PATTERN.0 + PATTERN.1) * BLOCK;
    let mut blocks: Vec<u8> = run
        .chunks(stride)
        .filter_map(|chunk| chunk.get(..BLOCK))
        .flatten()
        .copied()
        .collect();
    encryption.blocks(segment, &mut blocks)?;
    let places = run
        .chunks_mut(stride)
        .filter_map(|chunk| chunk.get_mut(..BLOCK));
    for (place, block) in places.zip(blocks.chunks(BLOCK)) {
        place.copy_from_slice(block);
    }
    Ok(())
}

/// A run holds at most 65,535 clear bytes.
fn push_run(runs: &mut Runs, mut clear: usize, encrypted: usize) {
    const MOST: usize = u16::MAX as usize;
    while clear > MOST {
        runs.push((u16::MAX, 0));
        clear -= MOST;
    }
    if clear > 0 || encrypted > 0 {
        runs.push((clear as u16, encrypted as u32));
    }
}

/// `saiz`, `saio` and `senc` of a chunk whose `moof` is `moof` bytes long without them; `senc` alone where samples have
/// no runs.
pub(crate) fn auxiliary(samples: &[Runs], moof: usize) -> Vec<u8> {
    let has_runs = samples.iter().any(|runs| !runs.is_empty());
    let count = (samples.len() as u32).to_be_bytes();
    let mut senc = vec![0, 0, 0, if has_runs { 2 } else { 0 }];
    senc.extend(count);
    if !has_runs {
        return a_box(*b"senc", &senc);
    }
    let mut saiz = vec![0; 5];
    saiz.extend(count);
    for runs in samples {
        saiz.push((2 + 6 * runs.len()) as u8);
        senc.extend((runs.len() as u16).to_be_bytes());
        for (clear, encrypted) in runs {
            senc.extend(clear.to_be_bytes());
            senc.extend(encrypted.to_be_bytes());
        }
    }
    let saiz = a_box(*b"saiz", &saiz);
    // Behind the header of `senc`, its flags and its count; a `saio` with one place is 20 bytes long.
    let first = moof + saiz.len() + 20 + 16;
    let saio = [[0; 4], 1_u32.to_be_bytes(), (first as u32).to_be_bytes()].concat();
    [saiz, a_box(*b"saio", &saio), a_box(*b"senc", &senc)].concat()
}

/// Puts boxes at the end of the only track of a `moof`, which is the last box in it.
pub(crate) fn append_to_track(moof: &mut Vec<u8>, boxes: &[u8]) {
    if let Some(places) = walk(moof, &[(*b"moof", 0), (*b"traf", 0)]) {
        moof.extend(boxes);
        for place in places {
            enlarge(moof, place, boxes.len());
        }
    }
}

fn a_box(name: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (8 + body.len()) as u32;
    [&size.to_be_bytes()[..], &name, body].concat()
}

fn size(bytes: &[u8], at: usize) -> usize {
    let field = bytes.get(at..at + 4).unwrap_or_default();
    field
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

fn enlarge(bytes: &mut [u8], at: usize, by: usize) {
    let larger = (size(bytes, at) + by) as u32;
    if let Some(field) = bytes.get_mut(at..at + 4) {
        field.copy_from_slice(&larger.to_be_bytes());
    }
}

/// Where the boxes of a path begin, each in the one before; with each how far behind its header the next is looked for.
fn walk(bytes: &[u8], path: &[([u8; 4], usize)]) -> Option<Vec<usize>> {
    let (mut at, mut end) = (0, bytes.len());
    let mut places = Vec::with_capacity(path.len());
    for (name, skip) in path {
        while bytes.get(at + 4..at + 8)? != name {
            at += size(bytes, at).max(8);
            if at >= end {
                return None;
            }
        }
        places.push(at);
        end = at + size(bytes, at);
        at += 8 + skip;
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use roomtone_frames::OpusFormat;

    use super::*;
    use crate::boxes::{Sample, chunk, init_segment};
    use crate::encryption::{EncryptionConfig, EncryptionMethod};

    fn encryption() -> Encryption {
        let config = EncryptionConfig {
            method: EncryptionMethod::SampleAes,
            secret: [1; 32],
            segments_per_key: 0,
        };
        Encryption::new(&config, "r").unwrap()
    }

    fn opus() -> Format {
        Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 0,
        })
    }

    fn h264() -> Format {
        let mut sets = roomtone_frames::h264::ParameterSets::default();
        for nal in
            roomtone_frames::annexb::split(include_bytes!("../../frames/tests/vectors/h264.h264"))
        {
            sets.take(nal);
        }
        Format::H264(sets.format().unwrap())
    }

    /// Every size is right: the boxes follow each other to the last byte.
    fn assert_nests(bytes: &[u8], inside: &[[u8; 4]]) {
        let mut at = 0;
        while at < bytes.len() {
            let (len, name) = (size(bytes, at), &bytes[at + 4..at + 8]);
            assert!(len >= 8 && at + len <= bytes.len(), "{name:?}");
            if inside.iter().any(|one| one == name) {
                assert_nests(&bytes[at + 8..at + len], inside);
            }
            at += len;
        }
    }

    #[test]
    fn a_header_says_what_is_encrypted_and_how() {
        for (format, entry, was, pattern) in [
            (opus(), b"enca", b"Opus", 0),
            (h264(), b"encv", b"avc1", 0x19),
        ] {
            let mut header = init_segment(&format, format.clock_rate(), None)
                .unwrap()
                .to_vec();
            let clear = header.len();
            Protection::of(&format, &encryption(), 0)
                .unwrap()
                .mark(&mut header);
            assert!(header.len() > clear);
            assert_nests(&header, &[*b"moov", *b"trak", *b"mdia", *b"minf", *b"stbl"]);
            let find = |name: &[u8; 4]| header.windows(4).position(|four| four == name).unwrap();
            find(entry);
            assert_eq!(header[find(b"frma") + 4..][..4], *was);
            assert_eq!(header[find(b"schm") + 8..][..4], *b"cbcs");
            let tenc = &header[find(b"tenc") + 4..];
            assert_eq!(tenc[..8], [1, 0, 0, 0, 0, pattern, 1, 0]);
            assert_eq!(tenc[8..24], encryption().key_id(0));
            assert_eq!(tenc[25..41], encryption().vector);
        }
    }

    #[test]
    fn only_whole_blocks_are_encrypted_and_of_slices_one_in_ten() {
        let (sound, runs) = protect(&opus(), &mut encryption(), 0, &[7; 40]).unwrap();
        assert!(runs.is_empty());
        assert_ne!(sound[..16], [7; 16]);
        assert_ne!(sound[16..32], [7; 16]);
        assert_eq!(sound[32..], [7; 8]);
        let slice = [&500_u32.to_be_bytes()[..], &[0x65; 500]].concat();
        let sample = [&3_u32.to_be_bytes()[..], &[0x06; 3], &slice].concat();
        let (picture, runs) = protect(&h264(), &mut encryption(), 0, &sample).unwrap();
        assert_eq!(runs, [(7 + 4 + 128, 372)]);
        let at = 7 + 4 + 128;
        assert_eq!(picture[..at], sample[..at]);
        let changed: Vec<usize> = (at..sample.len())
            .step_by(16)
            .filter(|&at| picture[at..(at + 16).min(511)] != sample[at..(at + 16).min(511)])
            .collect();
        assert_eq!(changed, [at, at + 160, at + 320]);
        // Of very many slices the last are one run.
        let many = slice.repeat(60);
        let (_, runs) = protect(&h264(), &mut encryption(), 0, &many).unwrap();
        assert_eq!(runs.len(), MAX_RUNS + 1);
        let told: usize = runs
            .iter()
            .map(|(clear, run)| usize::from(*clear) + *run as usize)
            .sum();
        assert_eq!(told, many.len());
        // A slice that is all header, and what is no slice, stay clear.
        let short = [&20_u32.to_be_bytes()[..], &[0x65; 20]].concat();
        let (picture, runs) = protect(&h264(), &mut encryption(), 0, &short).unwrap();
        assert_eq!((&picture[..], &runs[..]), (&short[..], &[(24, 0)][..]));
    }

    #[test]
    fn runs_of_clear_bytes_are_split_where_the_field_is_too_small() {
        let mut runs = Runs::new();
        push_run(&mut runs, 70_000, 32);
        assert_eq!(runs, [(u16::MAX, 0), (4_465, 32)]);
    }

    #[test]
    fn a_chunk_has_its_samples_and_runs_where_it_says() {
        let sample = |len: u8| Sample {
            duration: 1,
            composition_offset: 0,
            keyframe: true,
            data: vec![len; len.into()].into(),
            runs: vec![(1, u32::from(len) - 1)],
        };
        let samples = [sample(20), sample(30)];
        let chunk = chunk(1, 2, &samples, true).unwrap();
        assert_nests(&chunk, &[*b"moof", *b"traf"]);
        let find = |name: &[u8; 4]| chunk.windows(4).position(|four| four == name).unwrap();
        let trun = find(b"trun") + 4;
        assert_eq!(size(&chunk, trun + 8), find(b"mdat") + 4);
        let first = size(&chunk, find(b"saio") + 12);
        assert_eq!(first, find(b"senc") + 12);
        assert_eq!(chunk[first..first + 8], [0, 1, 0, 1, 0, 0, 0, 19]);
        assert_eq!(chunk[find(b"saiz") + 13..][..2], [8, 8]);
    }
}
