//! Formats and units between this process and one that codes them anew: a stream of messages each way.
//!
//! A message is its length in four bytes, one byte of kind, and a body; all numbers are big-endian, and the length
//! counts what is behind it. Times are ticks of the clock rate that the format says. To the worker go:
//!
//! | kind | body |
//! |---|---|
//! | 1 format | codec (1), clock rate (4), channels (1), configuration |
//! | 2 unit | flags (1): 1 is a keyframe; decode time (8), time to be shown (8), data |
//! | 3 break | nothing: what follows does not go on from what came before |
//! | 4 skipped | number (4) of units left out, as the worker is behind; a keyframe follows |
//! | 5 keyframe | nothing: the next picture that is made is to be one |
//! | 6 time | where the program is now (8), in ticks of [`TIME_RATE`]: for who makes pictures at a pace of their own |
//!
//! From the worker come:
//!
//! | kind | body |
//! |---|---|
//! | 16 outputs | each: number (1), video or not (1), length of its name (1), name |
//! | 17 format | number (1), and as 1 |
//! | 18 unit | number (1), and as 2 |
//! | 19 break | number (1): what follows does not go on from what came before |
//!
//! Units of H.264 and HEVC are byte streams with start codes and have their parameter sets in them where decoding may
//! begin; AV1 has its sequence header there. AAC is raw, its configuration is the `AudioSpecificConfig`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    AacFormat, AccessUnit, CarriedCodec, CarriedFormat, Format, NalCodec, OpusFormat, annexb, av1,
    h264, hevc,
};

/// The longest message, its length not counted.
pub const MAX_MESSAGE: usize = 8 << 20;
/// Ticks a second of the time of a program.
pub const TIME_RATE: u32 = 90_000;
/// Outputs of a worker.
pub const MAX_OUTPUTS: usize = 8;
/// The longest name of one.
pub const MAX_NAME: usize = 16;

const FORMAT: u8 = 1;
const UNIT: u8 = 2;
const BREAK: u8 = 3;
const SKIPPED: u8 = 4;
const ASK_KEYFRAME: u8 = 5;
const TIME: u8 = 6;
const OUTPUTS: u8 = 16;
const OUTPUT_FORMAT: u8 = 17;
const OUTPUT_UNIT: u8 = 18;
const OUTPUT_BREAK: u8 = 19;
const KEYFRAME: u8 = 1;
/// Codecs by their numbers, from 1 on, behind those that have formats of their own.
const CARRIED: [CarriedCodec; 7] = [
    CarriedCodec::Vp8,
    CarriedCodec::Vp9,
    CarriedCodec::Mp3,
    CarriedCodec::Ac3,
    CarriedCodec::Eac3,
    CarriedCodec::Pcmu,
    CarriedCodec::Pcma,
];
const H264: u8 = 1;
const HEVC: u8 = 2;
const AV1: u8 = 3;
const AAC: u8 = 4;
const OPUS: u8 = 5;
const FIRST_CARRIED: u8 = 6;

/// What a worker makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// By which its messages name it.
    pub number: u8,
    /// Pictures, or sound.
    pub is_video: bool,
    /// `[a-z0-9]+`.
    pub name: String,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What it makes; said once, before anything of them comes.
    Outputs(Vec<Output>),
    /// From its next unit on an output is coded so.
    Format(u8, Format),
    /// A unit of an output.
    Unit(u8, AccessUnit),
    /// What follows of an output does not go on from what came before.
    Break(u8),
}

/// What a worker sent is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// A message is empty or too long.
    #[error("a message has no possible length")]
    Length,
    /// Of a kind that there is not.
    #[error("a message is of no known kind")]
    Kind,
    /// Its body does not have what its kind says.
    #[error("a message is not whole")]
    Body,
    /// It names an output that was not said to be.
    #[error("a message is of no known output")]
    Output,
}

/// Write how the following units are coded.
pub fn write_format(format: &Format, out: &mut BytesMut) {
    let config: &[u8] = match format {
        Format::Aac(aac) => &aac.config,
        _ => &[],
    };
    out.put_u32(7 + config.len() as u32);
    out.put_u8(FORMAT);
    out.put_u8(codec_number(format));
    out.put_u32(format.clock_rate());
    out.put_u8(format.channels().unwrap_or(0));
    out.put_slice(config);
}

/// Write a unit of this format.
pub fn write_unit(format: &Format, unit: &AccessUnit, out: &mut BytesMut) {
    let begin = out.len();
    out.put_u32(0);
    out.put_u8(UNIT);
    out.put_u8(if unit.keyframe { KEYFRAME } else { 0 });
    out.put_i64(unit.dts);
    out.put_i64(unit.pts);
    match format {
        Format::H264(_) | Format::Hevc(_) => {
            let codec = format.nal_codec().unwrap_or(NalCodec::H264);
            let sets = format.parameter_sets();
            let sets = sets.into_iter().filter(|_| unit.keyframe);
            annexb::write(codec, sets.map(|set| &set[..]), &unit.data, out);
        }
        Format::Av1(_) | Format::Aac(_) | Format::Opus(_) | Format::Carried(_) => {
            out.put_slice(&unit.data);
        }
    }
    let length = (out.len() - begin - 4) as u32;
    out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

/// Write that what follows does not go on from what came before.
pub fn write_break(out: &mut BytesMut) {
    out.put_u32(1);
    out.put_u8(BREAK);
}

/// Write that units were left out.
pub fn write_skipped(units: u32, out: &mut BytesMut) {
    out.put_u32(5);
    out.put_u8(SKIPPED);
    out.put_u32(units);
}

/// Write that the next picture that is made is to be a keyframe.
pub fn write_keyframe(out: &mut BytesMut) {
    out.put_u32(1);
    out.put_u8(ASK_KEYFRAME);
}

/// Write where the program is now.
pub fn write_time(ticks: i64, out: &mut BytesMut) {
    out.put_u32(9);
    out.put_u8(TIME);
    out.put_i64(ticks);
}

fn codec_number(format: &Format) -> u8 {
    match format {
        Format::H264(_) => H264,
        Format::Hevc(_) => HEVC,
        Format::Av1(_) => AV1,
        Format::Aac(_) => AAC,
        Format::Opus(_) => OPUS,
        Format::Carried(carried) => {
            let at = CARRIED.iter().position(|codec| *codec == carried.codec);
            FIRST_CARRIED + at.unwrap_or(0) as u8
        }
    }
}

/// What is remembered of an output.
#[derive(Debug)]
struct Known {
    number: u8,
    is_video: bool,
    coding: Coding,
}

#[derive(Debug)]
enum Coding {
    Unsaid,
    H264(Box<h264::ParameterSets>),
    Hevc(Box<hevc::ParameterSets>),
    Av1,
    Plain,
}

/// Reads what a worker sends.
///
/// Input: [`handle_bytes`](Self::handle_bytes). Output: [`poll`](Self::poll), until it gives none. Errors are final. Limits: one
/// message of [`MAX_MESSAGE`] is held, and what came behind it at once.
#[derive(Debug, Default)]
pub struct Reader {
    held: BytesMut,
    outputs: Vec<Known>,
    /// A format that the unit behind it goes with.
    next: Option<Said>,
    /// Pictures that are none, or come before their format.
    pub dropped: u64,
}

impl Reader {
    /// Take bytes, cut anywhere.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// What was said next; none where more must come.
    pub fn poll(&mut self) -> Result<Option<Said>, ExchangeError> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        while let Some(message) = self.take_message()? {
            if let Some(said) = self.read(message)? {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }

    fn take_message(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        let Some(length) = self.held.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(1..=MAX_MESSAGE).contains(&length) {
            return Err(ExchangeError::Length);
        }
        if self.held.len() < 4 + length {
            return Ok(None);
        }
        self.held.advance(4);
        Ok(Some(self.held.split_to(length).freeze()))
    }

    fn read(&mut self, mut body: Bytes) -> Result<Option<Said>, ExchangeError> {
        let kind = body.try_get_u8().map_err(|_| ExchangeError::Body)?;
        if kind == OUTPUTS {
            return self.read_outputs(&body).map(Some);
        }
        if !(OUTPUT_FORMAT..=OUTPUT_BREAK).contains(&kind) {
            return Err(ExchangeError::Kind);
        }
        let number = body.try_get_u8().map_err(|_| ExchangeError::Body)?;
        let mut known = self.outputs.iter_mut();
        let output = known
            .find(|one| one.number == number)
            .ok_or(ExchangeError::Output)?;
        match kind {
            OUTPUT_FORMAT => {
                let format = output.read_format(body)?;
                Ok(format.map(|format| Said::Format(number, format)))
            }
            OUTPUT_UNIT => {
                let Some((format, unit)) = output.read_unit(body)? else {
                    self.dropped += 1;
                    return Ok(None);
                };
                let unit = Said::Unit(number, unit);
                Ok(Some(match format {
                    Some(format) => {
                        self.next = Some(unit);
                        Said::Format(number, format)
                    }
                    None => unit,
                }))
            }
            _ => Ok(Some(Said::Break(number))),
        }
    }

    fn read_outputs(&mut self, mut body: &[u8]) -> Result<Said, ExchangeError> {
        let mut outputs: Vec<Output> = Vec::new();
        while let Some((&[number, video, length], behind)) = body.split_first_chunk::<3>() {
            let (name, rest) = behind
                .split_at_checked(length.into())
                .ok_or(ExchangeError::Body)?;
            body = rest;
            let is_fit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let is_new = outputs.iter().all(|one| one.number != number);
            let length = usize::from(length);
            if !(1..=MAX_NAME).contains(&length) || !name.iter().all(is_fit) || !is_new {
                return Err(ExchangeError::Body);
            }
            outputs.push(Output {
                number,
                is_video: video != 0,
                name: name.iter().map(|&byte| char::from(byte)).collect(),
            });
        }
        if !body.is_empty() || outputs.len() > MAX_OUTPUTS {
            return Err(ExchangeError::Body);
        }
        let known = outputs.iter().map(|one| Known {
            number: one.number,
            is_video: one.is_video,
            coding: Coding::Unsaid,
        });
        self.outputs = known.collect();
        Ok(Said::Outputs(outputs))
    }
}

impl Known {
    /// None for pictures that say it themselves.
    fn read_format(&mut self, mut body: Bytes) -> Result<Option<Format>, ExchangeError> {
        let cut = |_| ExchangeError::Body;
        let codec = body.try_get_u8().map_err(cut)?;
        let clock_rate = body.try_get_u32().map_err(cut)?;
        let channels = body.try_get_u8().map_err(cut)?;
        let is_pictures = matches!(codec, H264 | HEVC | AV1);
        if is_pictures != self.is_video || clock_rate == 0 {
            return Err(ExchangeError::Body);
        }
        self.coding = match codec {
            H264 => Coding::H264(Box::default()),
            HEVC => Coding::Hevc(Box::default()),
            AV1 => Coding::Av1,
            _ => Coding::Plain,
        };
        match codec {
            H264 | HEVC | AV1 => Ok(None),
            AAC => Ok(Some(Format::Aac(AacFormat {
                config: body,
                sample_rate: clock_rate,
                channels,
            }))),
            OPUS => {
                let pre_skip = body.try_get_u16().map_err(cut)?;
                Ok(Some(Format::Opus(OpusFormat { channels, pre_skip })))
            }
            _ => {
                let at = usize::from(codec.wrapping_sub(FIRST_CARRIED));
                let codec = *CARRIED.get(at).ok_or(ExchangeError::Body)?;
                let format = Format::Carried(CarriedFormat {
                    codec,
                    clock_rate,
                    channels,
                });
                // Nothing reads what a worker would make of these pictures.
                if format.is_video() {
                    return Err(ExchangeError::Body);
                }
                Ok(Some(format))
            }
        }
    }

    fn read_unit(
        &mut self,
        mut body: Bytes,
    ) -> Result<Option<(Option<Format>, AccessUnit)>, ExchangeError> {
        let cut = |_| ExchangeError::Body;
        let flags = body.try_get_u8().map_err(cut)?;
        let dts = body.try_get_i64().map_err(cut)?;
        let pts = body.try_get_i64().map_err(cut)?;
        let unit = |data, keyframe| AccessUnit {
            dts,
            pts,
            keyframe,
            data,
        };
        if matches!(self.coding, Coding::Av1) {
            let read = av1::read(&body).filter(|read| read.has_frame);
            return Ok(read.map(|read| {
                let format = read.format.filter(|_| read.keyframe).map(Format::Av1);
                (format, unit(read.data, read.keyframe))
            }));
        }
        let (picture, format) = match &mut self.coding {
            Coding::Unsaid | Coding::Av1 => return Ok(None),
            Coding::Plain => return Ok(Some((None, unit(body, flags & KEYFRAME != 0)))),
            Coding::H264(sets) => {
                let picture = annexb::read(NalCodec::H264, &body, |set| {
                    sets.take(set);
                });
                let format = picture.keyframe.then(|| sets.format()).flatten();
                (picture, format.map(Format::H264))
            }
            Coding::Hevc(sets) => {
                let picture = annexb::read(NalCodec::Hevc, &body, |set| {
                    sets.take(set);
                });
                let format = picture.keyframe.then(|| sets.format()).flatten();
                (picture, format.map(Format::Hevc))
            }
        };
        if !picture.has_slice {
            return Ok(None);
        }
        Ok(Some((format, unit(picture.data, picture.keyframe))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = (body.len() as u32 + 1).to_be_bytes().to_vec();
        out.push(kind);
        out.extend_from_slice(body);
        out
    }

    fn unit(number: u8, flags: u8, at: i64, data: &[u8]) -> Vec<u8> {
        let mut body = vec![number, flags];
        body.extend_from_slice(&at.to_be_bytes());
        body.extend_from_slice(&at.to_be_bytes());
        body.extend_from_slice(data);
        message(OUTPUT_UNIT, &body)
    }

    fn all(reader: &mut Reader) -> Vec<Said> {
        std::iter::from_fn(|| reader.poll().unwrap()).collect()
    }

    #[test]
    fn units_of_av1_say_themselves_how_they_are_coded_and_when_decoding_begins() {
        // A delimiter, a sequence header and a shown key frame as SVT-AV1 makes them of 320x240, cut short.
        let keyframe = [
            0x12, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0x4a, 0xf9, 0x00,
            0x40, 0x32, 0x02, 0x10, 0x00,
        ];
        let later = [0x12, 0x00, 0x32, 0x02, 0x30, 0x00];
        let mut bytes = message(OUTPUTS, b"\x00\x01\x07v240av1");
        bytes.extend(message(OUTPUT_FORMAT, &[0, AV1, 0, 1, 0x5f, 0x90, 0]));
        bytes.extend(unit(0, 0, 90, &keyframe));
        bytes.extend(unit(0, 0, 180, &later));
        bytes.extend(unit(0, 0, 270, &[0x12, 0x00]));
        let mut reader = Reader::default();
        reader.handle_bytes(&bytes);
        let said = all(&mut reader);
        let [
            _,
            Said::Format(0, format),
            Said::Unit(0, first),
            Said::Unit(0, second),
        ] = &said[..]
        else {
            panic!("{said:?}");
        };
        assert_eq!((format.name(), format.size()), ("AV1", Some((320, 240))));
        assert_eq!((first.keyframe, second.keyframe), (true, false));
        assert_eq!(
            (&first.data[..], &second.data[..]),
            (&keyframe[2..], &later[2..])
        );
        assert_eq!(reader.dropped, 1, "there is no frame in it");
    }

    #[test]
    fn what_a_worker_makes_is_read_however_it_was_cut() {
        let mut bytes = message(OUTPUTS, b"\x00\x01\x04v720\x03\x00\x03aac");
        bytes.extend(message(
            OUTPUT_FORMAT,
            &[3, AAC, 0, 0, 0xbb, 0x80, 2, 0x11, 0x90],
        ));
        bytes.extend(unit(3, 1, 1024, b"sound"));
        bytes.extend(message(OUTPUT_BREAK, &[3]));
        let mut reader = Reader::default();
        let mut said = Vec::new();
        for byte in bytes {
            reader.handle_bytes(&[byte]);
            said.extend(all(&mut reader));
        }
        let aac = AacFormat {
            config: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
        };
        let sound = AccessUnit {
            dts: 1024,
            pts: 1024,
            keyframe: true,
            data: Bytes::from_static(b"sound"),
        };
        let output = |number, is_video, name: &str| Output {
            number,
            is_video,
            name: name.to_owned(),
        };
        let outputs = vec![output(0, true, "v720"), output(3, false, "aac")];
        assert_eq!(
            said,
            [
                Said::Outputs(outputs),
                Said::Format(3, Format::Aac(aac)),
                Said::Unit(3, sound),
                Said::Break(3)
            ]
        );
    }

    #[test]
    fn pictures_say_themselves_how_they_are_coded() {
        let h264 = crate::H264Format {
            sps: Bytes::from_static(&hex_literal::hex!(
                "674d401fd9005005ba10000003001000000303c8f1832480"
            )),
            pps: vec![Bytes::from_static(&hex_literal::hex!("68ebc3cb20"))],
            width: 1280,
            height: 720,
            chroma_format: 1,
            luma_bits: 8,
            chroma_bits: 8,
        };
        let format = Format::H264(h264);
        let sent = AccessUnit {
            dts: 10,
            pts: 20,
            keyframe: true,
            data: Bytes::from_static(&[0, 0, 0, 3, 0x65, 0x88, 0x80]),
        };
        let mut written = BytesMut::new();
        write_unit(&format, &sent, &mut written);
        // As a worker would send it back: its number is behind the kind.
        let mut body = vec![0];
        body.extend_from_slice(&written[5..]);
        let mut reader = Reader::default();
        reader.handle_bytes(&message(OUTPUTS, b"\x00\x01\x01v"));
        reader.handle_bytes(&message(OUTPUT_FORMAT, &[0, H264, 0, 1, 0x5f, 0x90, 0]));
        reader.handle_bytes(&message(OUTPUT_UNIT, &body));
        assert_eq!(
            all(&mut reader)[1..],
            [Said::Format(0, format), Said::Unit(0, sent)]
        );
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let refused = |bytes: &[u8]| {
            let mut reader = Reader::default();
            reader.handle_bytes(bytes);
            reader.poll().unwrap_err()
        };
        assert_eq!(refused(&[0, 0, 0, 0]), ExchangeError::Length);
        assert_eq!(refused(&[0xff; 4]), ExchangeError::Length);
        assert_eq!(refused(&message(1, &[])), ExchangeError::Kind);
        assert_eq!(refused(&message(OUTPUT_BREAK, &[7])), ExchangeError::Output);
        assert_eq!(
            refused(&message(OUTPUTS, b"\x00\x01\x03V/x")),
            ExchangeError::Body
        );
    }
}
