//! The front door alone, with a live stream of synthetic pictures and sound: what `benches/llhls.py` asks.
//!
//! `live_origin [--part-ms N] [--window-s N] [--threads N] [--directory D]` prints one line of JSON with its addresses,
//! then one for each part of video that was completed, with the time in nanoseconds since 1970, until standard input
//! ends. Pictures come 30 a second at 1.2 Mbit/s with a keyframe every two seconds, sound in frames of 20 ms at 64 kbit/s.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roomtone_frames::{AccessUnit, Format, H264Format, OpusFormat};
use roomtone_front::{BindConfig, Front, FrontConfig};
use roomtone_hls::{Channel, Packager, PackagerConfig, Shelf, Track};

const PICTURES_A_SECOND: u32 = 30;
const GROUP: u64 = 60;
const PICTURE: usize = 4_400;
const KEYFRAME: usize = 36_000;
const FRAMES_A_SECOND: u64 = 50;
const FRAME: usize = 160;

struct Words {
    part_ms: u64,
    window_s: u64,
    threads: usize,
    directory: std::path::PathBuf,
}

fn words() -> Words {
    let mut words = Words {
        part_ms: 333,
        window_s: 120,
        threads: 1,
        directory: std::env::temp_dir().join("roomtone-live-origin"),
    };
    let mut given = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (given.next(), given.next()) {
        let number = || value.parse::<u64>().expect("a number");
        match name.as_str() {
            "--part-ms" => words.part_ms = number(),
            "--window-s" => words.window_s = number(),
            "--threads" => words.threads = number() as usize,
            "--directory" => words.directory = value.into(),
            _ => panic!("{name} is unknown"),
        }
    }
    words
}

fn packager(words: &Words) -> Packager {
    let zero = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    let config = PackagerConfig {
        run: format!("{:x}", zero.as_secs()),
        part_us: Some(words.part_ms * 1000),
        window_us: words.window_s * 1_000_000,
        zero_us: zero.as_micros() as i64,
    };
    let h264 = H264Format {
        sps: vec![0x67, 0x4d, 0x40, 0x1f, 0xd9].into(),
        pps: vec![vec![0x68, 0xeb].into()],
        width: 1280,
        height: 720,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    };
    let opus = OpusFormat {
        channels: 2,
        pre_skip: 0,
    };
    let track = |name: &str, format| Track {
        name: name.into(),
        format,
    };
    Packager::new(
        config,
        vec![
            track("video", Format::H264(h264)),
            track("audio", Format::Opus(opus)),
        ],
    )
}

fn unit(dts: u64, keyframe: bool, len: usize) -> AccessUnit {
    let mut data = vec![0x5a; len];
    data[..4].copy_from_slice(&(len as u32 - 4).to_be_bytes());
    AccessUnit {
        dts: dts as i64,
        pts: dts as i64,
        keyframe,
        data: data.into(),
    }
}

/// Feeds in real time until told to stop.
fn feed(channel: &Channel, stop: &AtomicBool) {
    let begun = Instant::now();
    let (mut frames, mut parts) = (0, 0);
    for picture in 0.. {
        let due = begun + Duration::from_secs(1) / PICTURES_A_SECOND * picture;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let number = u64::from(picture);
        let is_key = number.is_multiple_of(GROUP);
        let size = if is_key { KEYFRAME } else { PICTURE };
        let video = unit(number * 3000, is_key, size);
        let woken = SystemTime::now();
        let is_news = channel.with(|packager| {
            let before = packager.version();
            packager.handle_unit(0, video, now).expect("a sound unit");
            packager.version() != before
        });
        if is_news {
            parts += 1;
            let at = woken.duration_since(UNIX_EPOCH).unwrap_or_default();
            println!("{{\"part\": {parts}, \"at_ns\": {}}}", at.as_nanos());
        }
        while frames * u64::from(PICTURES_A_SECOND) < (number + 1) * FRAMES_A_SECOND {
            let sound = unit(frames * 48_000 / FRAMES_A_SECOND, true, FRAME);
            channel
                .with(|packager| packager.handle_unit(1, sound, now))
                .expect("a sound unit");
            frames += 1;
        }
    }
}

fn main() {
    let words = words();
    let channel = Arc::new(Channel::new(packager(&words)));
    let shelf = Arc::new(Shelf::default());
    shelf.put("bench".into(), Arc::clone(&channel));
    let mut config = FrontConfig {
        binds: vec![
            BindConfig::default(),
            BindConfig {
                name: "https".into(),
                tls: true,
                http3: true,
                ..BindConfig::default()
            },
        ],
        application: words.directory.join("nobody.sock"),
        threads: words.threads,
        ..FrontConfig::default()
    };
    config.tls.directory.clone_from(&words.directory);
    config.limits.requests_per_second = 0;
    let front = Front::start_with(&config, None, Some(shelf)).expect("free ports");
    let addresses: Vec<_> = front
        .addresses()
        .iter()
        .map(|(name, address)| format!("\"{name}\": \"{address}\""))
        .collect();
    println!("{{{}}}", addresses.join(", "));
    std::io::stdout().flush().expect("somebody listens");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| feed(&channel, &stop));
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
    });
    front.close();
}
