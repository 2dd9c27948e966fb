//! FFmpeg plays what is packaged, and decodes the pictures that it decodes out of the streams that were packaged.
//!
//! Needs FFmpeg: that of the Python package `imageio-ffmpeg`, as the Python tests use it, or what `ROOMTONE_FFMPEG` names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use roomtone_frames::{AacFormat, AccessUnit, Format, NalCodec, annexb, av1, h264, hevc};
use roomtone_hls::{
    Directives, EncryptionConfig, EncryptionMethod, KEY_BYTES, MediaAnswer, Packager,
    PackagerConfig, PlaylistAnswer, SECRET_BYTES, Track,
};

/// Ticks of 90 kHz between pictures, and how often each stream is played in a row.
const PICTURE: i64 = 3600;
const ROUNDS: i64 = 25;
/// Pictures before the first, as encoders give decode times below zero.
const LEAD: i64 = 10;

fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Ok(named) = std::env::var("ROOMTONE_FFMPEG") {
            return named;
        }
        let script = "import imageio_ffmpeg as f; print(f.get_ffmpeg_exe())";
        let asked = Command::new("python3").args(["-c", script]).output();
        let path = String::from_utf8(asked.unwrap().stdout).unwrap();
        assert!(!path.is_empty(), "no FFmpeg: install imageio-ffmpeg");
        path.trim().to_owned()
    })
}

/// What FFmpeg makes of an input; it complains of nothing.
fn ffmpeg(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut running = Command::new(program())
        .args(["-hide_banner", "-loglevel", "warning"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(input).unwrap();
    let said = running.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    said.stdout
}

/// Each picture's digest, and when it is shown in pictures of the first.
fn pictures(input: &[&str], bytes: &[u8]) -> Vec<(String, i64)> {
    let to = [
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/25",
        "-f",
        "framemd5",
        "-",
    ];
    let text = String::from_utf8(ffmpeg(&[input, &to].concat(), bytes)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let rows = lines.map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let shown: Vec<(String, i64)> = rows
        .map(|row| (row[5].to_owned(), row[2].parse().unwrap()))
        .collect();
    let first = shown[0].1;
    shown
        .into_iter()
        .map(|(digest, at)| (digest, at - first))
        .collect()
}

/// A stream to package: what is sent each round, and how long a round is.
struct Stream {
    format: Format,
    units: Vec<AccessUnit>,
    round: i64,
}

fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../frames/tests/vectors");
    fs::read(folder.join(name)).unwrap()
}

/// Decode and presentation times in pictures, where a stream has them in a file beside it.
fn times(name: &str, count: usize) -> Vec<(i64, i64)> {
    if !name.contains("reordered") {
        return (0..count as i64).map(|at| (at, at)).collect();
    }
    let text = String::from_utf8(vector(&format!("{name}.times"))).unwrap();
    let pair = |line: &str| {
        let (dts, pts) = line.split_once(' ').unwrap();
        (dts.parse().unwrap(), pts.parse().unwrap())
    };
    text.lines().map(pair).collect()
}

fn nal_stream(name: &str, codec: NalCodec) -> Stream {
    let bytes = vector(name);
    let (mut avc, mut hevc) = (
        h264::ParameterSets::default(),
        hevc::ParameterSets::default(),
    );
    let mut data = Vec::new();
    for piece in annexb::split_pictures(codec, &bytes) {
        data.push(annexb::read(codec, piece, |set| {
            match codec {
                NalCodec::H264 => avc.take(set),
                NalCodec::Hevc => hevc.take(set),
            };
        }));
    }
    let format = match codec {
        NalCodec::H264 => Format::H264(avc.format().unwrap()),
        NalCodec::Hevc => Format::Hevc(hevc.format().unwrap()),
    };
    let data = data
        .into_iter()
        .map(|picture| (picture.keyframe, picture.data));
    picture_stream(name, format, data.collect())
}

fn picture_stream(name: &str, format: Format, data: Vec<(bool, Bytes)>) -> Stream {
    let round = data.len() as i64 * PICTURE;
    let times = times(name, data.len());
    let units = data.into_iter().zip(times);
    let units = units.map(|((keyframe, data), (dts, pts))| AccessUnit {
        dts: (dts + LEAD) * PICTURE,
        pts: (pts + LEAD) * PICTURE,
        keyframe,
        data,
    });
    Stream {
        format,
        units: units.collect(),
        round,
    }
}

fn av1_stream() -> Stream {
    let mut units: Vec<BytesMut> = Vec::new();
    for obu in av1::split(&vector("av1.obu")) {
        if obu.kind() == av1::ObuKind::TemporalDelimiter {
            units.push(BytesMut::new());
        }
        obu.write(units.last_mut().unwrap());
    }
    let units: Vec<_> = units.iter().map(|unit| av1::read(unit).unwrap()).collect();
    let format = Format::Av1(units[0].format.clone().unwrap());
    let data = units.into_iter().map(|unit| (unit.keyframe, unit.data));
    picture_stream("av1.obu", format, data.collect())
}

/// The frames of ADTS (ISO/IEC 14496-3 section 1.A.2.2): seven bytes of header, 13 bits of length from bit 30 on.
fn aac_stream() -> Stream {
    let bytes = vector("aac.adts");
    let mut rest = &bytes[..];
    let mut units = Vec::new();
    while let [_, _, _, a, b, c, ..] = *rest {
        let length = usize::from(a & 3) << 11 | usize::from(b) << 3 | usize::from(c >> 5);
        let dts = units.len() as i64 * 1024 + LEAD * PICTURE * 48 / 90;
        units.push(AccessUnit {
            dts,
            pts: dts,
            keyframe: true,
            data: Bytes::copy_from_slice(&rest[7..length]),
        });
        rest = &rest[length..];
    }
    Stream {
        // Low complexity, 48 kHz, one channel.
        format: Format::Aac(AacFormat {
            config: Bytes::from_static(&[0x11, 0x88]),
            sample_rate: 48_000,
            channels: 1,
        }),
        round: units.len() as i64 * 1024,
        units,
    }
}

/// Package the streams as one program, and write all that a player may fetch into a folder.
fn package(name: &str, streams: &[Stream], encryption: Option<EncryptionConfig>) -> PathBuf {
    let tracks = streams.iter().zip(["first", "second"]);
    let tracks = tracks.map(|(stream, name)| Track {
        name: name.to_owned(),
        format: stream.format.clone(),
    });
    let config = PackagerConfig {
        run: "r1".to_owned(),
        part_us: None,
        window_us: 600_000_000,
        zero_us: 1_767_225_600_000_000,
    };
    let mut packager = Packager::new(config, tracks.collect());
    if let Some(encryption) = encryption {
        assert!(packager.encrypt(&encryption).unwrap());
    }
    #[allow(clippy::disallowed_methods, reason = "some moment to count from")]
    let begun = Instant::now();
    let mut units = Vec::new();
    for (track, stream) in streams.iter().enumerate() {
        for round in 0..ROUNDS {
            let later = round * stream.round;
            units.extend(stream.units.iter().map(|unit| {
                let mut unit = unit.clone();
                (unit.dts, unit.pts) = (unit.dts + later, unit.pts + later);
                let at = unit.dts * 1_000_000 / i64::from(stream.format.clock_rate());
                (at, track, unit)
            }));
        }
    }
    units.sort_by_key(|(at, ..)| *at);
    let mut now = begun;
    for (at, track, unit) in units {
        now = begun + Duration::from_micros(at as u64);
        packager.handle_unit(track, unit, now).unwrap();
    }
    packager.end(now).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    for track in ["first", "second"].iter().take(streams.len()) {
        write(&mut packager, track, &folder.join(track));
    }
    fs::write(folder.join("index.m3u8"), &packager.master().unwrap().text).unwrap();
    folder
}

fn write(packager: &mut Packager, track: &str, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let directives = Directives::parse("").unwrap();
    let PlaylistAnswer::Ready(list) = packager.playlist(track, directives) else {
        panic!("no playlist of {track}");
    };
    fs::write(folder.join("index.m3u8"), &list.text).unwrap();
    let text = String::from_utf8(list.text.to_vec()).unwrap();
    let named = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-MAP") || line.starts_with("#EXT-X-KEY"))
        .filter_map(|line| line.split('"').nth(1));
    let segments = text.lines().filter(|line| !line.starts_with('#'));
    for file in named.chain(segments) {
        let bytes = match packager.media(track, file) {
            MediaAnswer::Ready(bodies) => bodies.concat(),
            MediaAnswer::Key(key) => key.to_vec(),
            other => panic!("{file}: {other:?}"),
        };
        fs::write(folder.join(file), bytes).unwrap();
    }
}

/// The pictures of a stream, and the same for all its rounds out of what was packaged.
fn plays_as_the_stream(name: &str, raw: &str, stream: &Stream) {
    let once: Vec<String> = pictures(&["-f", raw, "-i", "-"], &vector(name))
        .into_iter()
        .map(|(digest, _)| digest)
        .collect();
    assert_eq!(once.len(), stream.units.len());
    let folder = package(name, std::slice::from_ref(stream), None);
    let list = folder.join("index.m3u8");
    let played = pictures(&["-i", list.to_str().unwrap()], &[]);
    let expected: Vec<(String, i64)> = (0..ROUNDS).flat_map(|_| once.clone()).zip(0..).collect();
    assert_eq!(played, expected, "{name}");
}

#[test]
fn pictures_are_those_that_were_packaged_and_shown_when_they_should_be() {
    for name in ["h264.h264", "h264_reordered.h264"] {
        plays_as_the_stream(name, "h264", &nal_stream(name, NalCodec::H264));
    }
    for name in ["hevc.hevc", "hevc_reordered.hevc"] {
        plays_as_the_stream(name, "hevc", &nal_stream(name, NalCodec::Hevc));
    }
    plays_as_the_stream("av1.obu", "obu", &av1_stream());
}

#[test]
fn sound_is_what_was_packaged_beside_the_pictures() {
    let streams = [nal_stream("hevc.hevc", NalCodec::Hevc), aac_stream()];
    let folder = package("both", &streams, None);
    let list = folder.join("index.m3u8");
    let to = ["-map", "0:a", "-c", "copy", "-f", "data", "-"];
    let sound = ffmpeg(&[&["-i", list.to_str().unwrap()], &to[..]].concat(), &[]);
    let frames = streams[1].units.iter().map(|unit| &unit.data[..]);
    let once: Vec<u8> = frames.collect::<Vec<_>>().concat();
    // It ends and begins with the pictures, to a segment.
    assert!(sound.len() > 10 * once.len(), "{}", sound.len());
    assert_eq!(sound, once.repeat(ROUNDS as usize)[..sound.len()]);
    assert!(pictures(&["-i", list.to_str().unwrap()], &[]).len() > 200);
}

fn encryption(method: EncryptionMethod) -> EncryptionConfig {
    EncryptionConfig {
        method,
        secret: [7; SECRET_BYTES],
        segments_per_key: 0,
    }
}

#[test]
fn keys_that_change_are_followed() {
    let stream = nal_stream("h264_reordered.h264", NalCodec::H264);
    let encryption = EncryptionConfig {
        segments_per_key: 1,
        ..encryption(EncryptionMethod::Aes128)
    };
    let folder = package("rotated", std::slice::from_ref(&stream), Some(encryption)).join("first");
    let list = folder.join("index.m3u8");
    let text = fs::read_to_string(&list).unwrap();
    assert!(text.matches("METHOD=AES-128").count() > 1, "{text}");
    let input = ["-allowed_extensions", "ALL", "-i", list.to_str().unwrap()];
    let played = pictures(&input, &[]);
    assert_eq!(played.len(), stream.units.len() * ROUNDS as usize);
}

/// Header and segments of a track as one file: FFmpeg decrypts samples of files, and of no lists.
fn as_one_file(folder: &Path) -> (PathBuf, String) {
    let text = fs::read_to_string(folder.join("index.m3u8")).unwrap();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let mut bytes = read("r1-i0.mp4");
    for name in text.lines().filter(|line| !line.starts_with('#')) {
        bytes.extend(read(name));
    }
    let file = folder.join("whole.mp4");
    fs::write(&file, bytes).unwrap();
    let key: String = read("r1-k0.key")
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    (file, key)
}

#[test]
fn samples_that_are_encrypted_are_decrypted_by_ffmpeg() {
    for (name, codec) in [
        ("h264_reordered.h264", NalCodec::H264),
        ("hevc.hevc", NalCodec::Hevc),
    ] {
        let stream = nal_stream(name, codec);
        let one = std::slice::from_ref(&stream);
        let by_samples = Some(encryption(EncryptionMethod::SampleAes));
        let sealed = package(&format!("samples-{name}"), one, by_samples).join("first");
        let clear = package(&format!("plain-{name}"), one, None).join("index.m3u8");
        let clear = pictures(&["-i", clear.to_str().unwrap()], &[]);
        let (file, key) = as_one_file(&sealed);
        let played = pictures(
            &["-decryption_key", &key, "-i", file.to_str().unwrap()],
            &[],
        );
        let digests = |list: &[(String, i64)]| -> Vec<String> {
            list.iter().map(|(digest, _)| digest.clone()).collect()
        };
        assert_eq!(digests(&played), digests(&clear), "{name}");
        let blind = Command::new(program())
            .args(["-v", "quiet", "-i", file.to_str().unwrap()])
            .args(["-f", "framemd5", "-"])
            .output()
            .unwrap();
        let blind = String::from_utf8(blind.stdout).unwrap();
        let seen = digests(&clear)
            .iter()
            .filter(|one| blind.contains(*one))
            .count();
        assert!(seen < clear.len() / 4, "{name}: {seen} of {}", clear.len());
    }
}

#[test]
fn sound_whose_samples_are_encrypted_is_decrypted_by_ffmpeg() {
    let streams = [nal_stream("hevc.hevc", NalCodec::Hevc), aac_stream()];
    let by_samples = Some(encryption(EncryptionMethod::SampleAes));
    let folder = package("samples-aac", &streams, by_samples).join("second");
    let (file, key) = as_one_file(&folder);
    let to = ["-map", "0:a", "-c", "copy", "-f", "data", "-"];
    let input = ["-decryption_key", &key, "-i", file.to_str().unwrap()];
    let sound = ffmpeg(&[&input, &to[..]].concat(), &[]);
    let frames = streams[1].units.iter().map(|unit| &unit.data[..]);
    let once: Vec<u8> = frames.collect::<Vec<_>>().concat();
    assert!(sound.len() > 10 * once.len(), "{}", sound.len());
    assert_eq!(sound, once.repeat(ROUNDS as usize)[..sound.len()]);
}

#[test]
fn what_is_encrypted_plays_with_its_key_and_with_no_other() {
    let stream = nal_stream("hevc_reordered.hevc", NalCodec::Hevc);
    let folder = package(
        "encrypted",
        std::slice::from_ref(&stream),
        Some(encryption(EncryptionMethod::Aes128)),
    )
    .join("first");
    let list = folder.join("index.m3u8");
    // Of files, FFmpeg reads only what is named as media is; of servers, all.
    let input = ["-allowed_extensions", "ALL", "-i", list.to_str().unwrap()];
    let played = pictures(&input, &[]);
    assert_eq!(played.len(), stream.units.len() * ROUNDS as usize);
    let clear = package("clear", std::slice::from_ref(&stream), None).join("index.m3u8");
    assert_eq!(played, pictures(&["-i", clear.to_str().unwrap()], &[]));
    fs::write(folder.join("r1-k0.key"), [8; KEY_BYTES]).unwrap();
    let wrong = Command::new(program())
        .args(["-v", "quiet"])
        .args(input)
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap();
    let shown = String::from_utf8(wrong.stdout).unwrap();
    assert!(shown.lines().all(|line| line.starts_with('#')), "{shown}");
}
