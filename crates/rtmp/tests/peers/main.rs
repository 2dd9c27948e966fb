//! FFmpeg publishes to a small server on sockets, plays from it, and is published to; so do GStreamer and, in it, librtmp.
//!
//! Needs FFmpeg with x264, x265 and SVT-AV1: the one of the Python package `imageio-ffmpeg`, as the Python tests use it, or what
//! `ROOMTONE_FFMPEG` names; and `gst-launch-1.0` with the good and bad plugins.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "real sockets and real time are what is tested here"
)]

mod driver;

use roomtone_frames::Format;
use roomtone_rtmp::{Media, Refusal, TagWriter, Value, Wish};

use driver::{Answer, Published, Tag};

/// 50 pictures of 320x180 and two seconds of a tone.
const SOURCE: [&str; 8] = [
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=320x180:rate=25:duration=2",
    "-f",
    "lavfi",
    "-i",
    "sine=frequency=440:sample_rate=48000:duration=2",
];
/// Two keyframes, pictures that are reordered, and AAC.
const H264_AAC: [&str; 8] = ["-c:v", "libx264", "-g", "25", "-bf", "2", "-c:a", "aac"];

/// Everything that a stream of 50 pictures with keyframes 25 apart must be, whatever its codec.
fn check_pictures(published: &Published, source: &[u8]) {
    let pictures = published.units(Media::Video);
    assert_eq!(pictures.len(), 50);
    assert_eq!(published.format(Media::Video).size(), Some((320, 180)));
    let keyframes: Vec<usize> = (0..50).filter(|&at| pictures[at].keyframe).collect();
    assert_eq!(keyframes, [0, 25]);
    let mut shown: Vec<i64> = pictures.iter().map(|unit| unit.pts).collect();
    shown.sort_unstable();
    let apart: Vec<i64> = shown.iter().map(|pts| pts - shown[0]).collect();
    assert_eq!(apart, (0..50).map(|at| at * 3600).collect::<Vec<_>>());
    assert!(pictures.windows(2).all(|two| two[0].dts < two[1].dts));
    assert_eq!(driver::decoded(published), driver::pictures_in(&[], source));
    assert!(published.stopped);
}

/// Every frame of sound is there, behind the one before.
fn check_sound(published: &Published, source: &[u8], samples: i64) {
    let sound = published.units(Media::Audio);
    let all: Vec<u8> = sound.iter().flat_map(|unit| unit.data.to_vec()).collect();
    assert!(
        all == driver::sound_in(source),
        "{} bytes differ",
        all.len()
    );
    assert!(
        sound
            .windows(2)
            .all(|two| two[1].dts - two[0].dts == samples)
    );
}

#[test]
fn h264_and_aac_come_out_and_decode_to_what_went_in() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    let published = driver::publish("live/cam?token=good", &source);
    let request = published.request.as_ref().unwrap();
    assert_eq!(request.wish, Wish::Publish);
    assert_eq!(request.address.name, "cam");
    assert_eq!(request.address.parameter("token"), Some("good"));
    let width = published.metadata[0].member("width");
    assert_eq!(width, Some(&Value::Number(320.0)));
    check_pictures(&published, &source);
    let pictures = published.units(Media::Video);
    assert!(pictures.iter().any(|unit| unit.pts > unit.dts + 3600));
    assert!(matches!(published.format(Media::Video), Format::H264(_)));
    let Format::Aac(aac) = published.format(Media::Audio) else {
        panic!("{:?}", published.format(Media::Audio))
    };
    assert_eq!((aac.sample_rate, aac.channels), (48_000, 1));
    check_sound(&published, &source, 1024);
}

#[test]
fn hevc_and_opus_come_in_the_enhanced_form() {
    let keyframes = "keyint=25:min-keyint=25:scenecut=0:open-gop=0:log-level=error";
    let coded = [
        "-c:v",
        "libx265",
        "-x265-params",
        keyframes,
        "-c:a",
        "libopus",
    ];
    let source = driver::encode(&SOURCE, &coded);
    let published = driver::publish("live/cam", &source);
    assert!(matches!(published.format(Media::Video), Format::Hevc(_)));
    check_pictures(&published, &source);
    let Format::Opus(opus) = published.format(Media::Audio) else {
        panic!("{:?}", published.format(Media::Audio))
    };
    assert_eq!((opus.channels, opus.pre_skip), (1, 312));
    check_sound(&published, &source, 960);
}

#[test]
fn av1_comes_in_the_enhanced_form() {
    let coded = ["-c:v", "libsvtav1", "-preset", "12", "-g", "25", "-an"];
    let source = driver::encode(&SOURCE, &coded);
    let published = driver::publish("live/cam", &source);
    assert!(matches!(published.format(Media::Video), Format::Av1(_)));
    check_pictures(&published, &source);
}

#[test]
fn times_that_outgrow_the_header_or_begin_anew_are_followed() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    // A second before 24 bits, and before the 31 bits that FFmpeg writes, are all used.
    for begin in ["16776.215", "2147482.648"] {
        let published = driver::publish_from(begin, "live/cam", &source);
        check_pictures(&published, &source);
        check_sound(&published, &source, 1024);
        let first = published.units(Media::Video)[0].dts / 90_000;
        let begin: f64 = begin.parse().unwrap();
        assert!((first - begin as i64).abs() <= 1, "{first}");
    }
}

#[test]
fn a_refused_key_is_told_in_the_words_of_the_server() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    let (said, published) = driver::serve(
        |url| {
            let url = format!("{url}/live/cam?token=bad");
            driver::ffmpeg(&["-i", "-", "-c", "copy", "-f", "flv", &url], &source)
        },
        Answer::Refuse(Refusal::Denied, "this key may not publish cam"),
    );
    assert!(!said.status.success());
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(text.contains("this key may not publish cam"), "{text}");
    assert!(published.pictures.is_empty());
}

#[test]
fn two_tracks_of_video_are_refused_and_ffmpeg_says_why() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    let (said, published) = driver::serve(
        |url| {
            let url = format!("{url}/live/cam");
            let twice = [
                "-map", "0:v", "-map", "0:v", "-c", "copy", "-f", "flv", &url,
            ];
            driver::ffmpeg(&[&["-re", "-i", "-"], &twice[..]].concat(), &source)
        },
        Answer::Take,
    );
    assert!(!said.status.success());
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(text.contains("several tracks of one kind"), "{text}");
    assert!(!published.stopped);
}

/// Published by an element of GStreamer from its own container into FLV.
fn publish_by_gstreamer(
    sink: &str,
    answer: Answer,
    source: &[u8],
) -> (std::process::Output, Published) {
    let flv = driver::remux(source, "flv");
    driver::serve(
        |url| {
            let sink = format!(
                "flvmux name=mux streamable=true ! {sink} location={url}/live/cam?token=good"
            );
            let video = "d.video ! queue ! h264parse ! mux.video";
            let audio = "d.audio ! queue ! aacparse ! mux.audio";
            driver::gstreamer(
                &format!("fdsrc ! flvdemux name=d {sink} {video} {audio}"),
                &flv,
            )
        },
        answer,
    )
}

/// One is GStreamer's own, the other librtmp, which is in OBS too.
const SINKS: [&str; 2] = ["rtmp2sink", "rtmpsink"];

#[test]
fn gstreamer_and_librtmp_publish() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    for sink in SINKS {
        let (said, published) = publish_by_gstreamer(sink, Answer::Take, &source);
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{sink}: {text}");
        let request = published.request.as_ref().unwrap();
        assert_eq!(request.address.parameter("token"), Some("good"), "{sink}");
        assert_eq!(published.units(Media::Video).len(), 50, "{sink}");
        assert_eq!(
            driver::decoded(&published),
            driver::pictures_in(&[], &source)
        );
        // The first frame is to be heard before zero, and GStreamer knows no such time.
        let sound = &published.units(Media::Audio)[1..];
        assert!(sound.len() > 90, "{sink}");
        assert!(sound.windows(2).all(|two| two[1].dts - two[0].dts == 1024));
    }
}

#[test]
fn gstreamer_and_librtmp_are_refused() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    for sink in SINKS {
        let answer = Answer::Refuse(Refusal::Denied, "this key may not publish cam");
        let (said, published) = publish_by_gstreamer(sink, answer, &source);
        assert!(!said.status.success(), "{sink}");
        assert!(published.pictures.is_empty());
        // librtmp keeps what it was told to itself.
        let text = String::from_utf8_lossy(&said.stderr);
        let told = text.contains("this key may not publish cam");
        assert!(told || sink == "rtmpsink", "{sink}: {text}");
    }
}

/// FFmpeg checks the digests of the handshake where it plays.
#[test]
fn ffmpeg_plays_what_is_sent() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    let published = driver::publish("live/cam", &source);
    let (said, asked) = driver::serve(
        |url| {
            driver::ffmpeg(
                &[&["-i", &format!("{url}/live/cam")], &DIGESTS[..]].concat(),
                &[],
            )
        },
        Answer::Play(tags_of(&published)),
    );
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
    assert_eq!(asked.request.unwrap().wish, Wish::Play);
    assert_eq!(
        driver::digests_in(&said.stdout),
        driver::pictures_in(&[], &source)
    );
}

#[test]
fn ffmpeg_takes_what_the_client_publishes() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    let published = driver::publish("live/cam", &source);
    let said = driver::publish_to_listening(&tags_of(&published), &DIGESTS);
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
    assert_eq!(
        driver::digests_in(&said.stdout),
        driver::pictures_in(&[], &source)
    );
}

#[test]
fn the_client_plays_what_ffmpeg_sends() {
    let source = driver::encode(&SOURCE, &H264_AAC);
    let played = driver::play_from_listening(&source);
    assert!(!played.metadata.is_empty());
    assert_eq!(played.units(Media::Video).len(), 50);
    assert_eq!(driver::decoded(&played), driver::pictures_in(&[], &source));
    check_sound(&played, &source, 1024);
}

const DIGESTS: [&str; 7] = [
    "-map",
    "0:v",
    "-fps_mode",
    "passthrough",
    "-f",
    "framemd5",
    "-",
];

/// All tags of a stream, in the order of their times.
fn tags_of(published: &Published) -> Vec<Tag> {
    let mut tags = vec![];
    for media in [Media::Video, Media::Audio] {
        let writer = TagWriter::new(published.format(media).clone());
        tags.push((media, 0, writer.header().unwrap()));
        let units = published.units(media).iter();
        tags.extend(units.map(|unit| (media, writer.timestamp(unit), writer.unit(unit))));
    }
    tags.sort_by_key(|&(_, timestamp, _)| timestamp);
    tags
}
