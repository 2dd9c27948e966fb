//! CPU time of a shard for each forwarded packet: one source to many SRTP sinks over loopback sockets.
//!
//! `cargo run --release -p roomtone-engine --example fanout -- [sinks] [payload bytes] [packets a frame] [seconds]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roomtone_engine::Engine;
use roomtone_engine::values::{
    CodecFeedback, CodecParameters, Command, CommandResult, EncodingParameters, EngineConfig,
    Latching, MediaKind, Outbound, Report, Request, SrtpKeys, StatValue,
};

const PATIENCE: Duration = Duration::from_secs(10);
const FRAMES_A_SECOND: u32 = 30;

fn call(engine: &Engine, command: Command) -> CommandResult {
    engine.submit(Request { id: 1, command }).unwrap();
    loop {
        assert!(engine.wait(PATIENCE), "no reply in time");
        for value in engine.drain(1000) {
            if let Outbound::Reply { result, .. } = value {
                return result;
            }
        }
    }
}

fn open(engine: &Engine, router: u64, keys: Option<&SrtpKeys>, to: u16) -> (u64, u16) {
    let opened = call(
        engine,
        Command::OpenPlainTransport {
            router,
            listen_ip: "127.0.0.1".into(),
            rtcp_mux: true,
            latching: Latching::Fixed,
            rebind_silence_ms: 1000,
            secure: false,
            dtls: false,
            dscp: None,
            extended_reports: false,
            srtp: keys.cloned(),
            cname: String::new(),
        },
    );
    let CommandResult::PlainTransportOpened {
        transport, port, ..
    } = opened
    else {
        panic!("{opened:?}")
    };
    let connect = Command::ConnectPlainTransport {
        transport,
        ip: "127.0.0.1".into(),
        port: to,
        rtcp_port: None,
        srtp: keys.cloned(),
        local_srtp: None,
        dtls: None,
    };
    assert_eq!(call(engine, connect), CommandResult::Done {});
    (transport, port)
}

/// Nanoseconds the threads of shards were on a CPU (first field of schedstat).
fn shard_cpu() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let shards = tasks.filter(|task| {
        std::fs::read_to_string(task.join("comm"))
            .unwrap()
            .starts_with("shard-")
    });
    let on_cpu = shards.map(|task| std::fs::read_to_string(task.join("schedstat")).unwrap());
    on_cpu
        .map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

fn shard_counter(engine: &Engine, name: &str) -> f64 {
    let number = |report: &Report| match report.get(name) {
        Some(StatValue::Unsigned(value)) => *value as f64,
        Some(StatValue::Float(value)) => *value,
        _ => 0.0,
    };
    engine.stats().iter().map(number).sum()
}

fn main() {
    let argument = |index: usize, default: usize| {
        std::env::args()
            .nth(index)
            .map_or(default, |text| text.parse().expect("arguments are numbers"))
    };
    let (sinks, bytes, per_frame, seconds) = (
        argument(1, 100),
        argument(2, 1100),
        argument(3, 5),
        argument(4, 5) as u32,
    );
    let config = EngineConfig {
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        plain_ports: (0, 0),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let CommandResult::RouterOpened { router, .. } =
        call(&engine, Command::OpenRouter { shard: None })
    else {
        panic!("no router")
    };
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (inbound, inbound_port) = open(&engine, router, None, source.local_addr().unwrap().port());
    let produced = call(
        &engine,
        Command::Produce {
            transport: inbound,
            kind: MediaKind::Video,
            codecs: vec![CodecParameters {
                payload_type: 96,
                name: "VP8".into(),
                clock_rate: 90_000,
                channels: 1,
                rtx_payload_type: None,
                feedback: CodecFeedback {
                    nack: true,
                    pli: true,
                    ..CodecFeedback::default()
                },
            }],
            encodings: vec![EncodingParameters {
                ssrc: Some(1),
                ..EncodingParameters::default()
            }],
            mid: None,
            header_extensions: vec![],
            paused: false,
        },
    );
    let CommandResult::Produced { producer } = produced else {
        panic!("{produced:?}")
    };
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink_port = sink.local_addr().unwrap().port();
    let keys = SrtpKeys {
        suite: "AEAD_AES_128_GCM".into(),
        key: vec![7; 28],
    };
    for _ in 0..sinks {
        let (transport, _) = open(&engine, router, Some(&keys), sink_port);
        let consumed = call(
            &engine,
            Command::Consume {
                transport,
                kind: MediaKind::Video,
                producer: Some(producer),
                mid: None,
                payload_types: vec![(96, 96)],
                rtx_payload_types: vec![],
                header_extensions: vec![],
                feedback: CodecFeedback::default(),
                redundancy: None,
                ssrc: None,
                rtx_ssrc: None,
                paused: false,
            },
        );
        assert!(
            matches!(consumed, CommandResult::Consumed { .. }),
            "{consumed:?}"
        );
    }
    let stop = Arc::new(AtomicBool::new(false));
    let drained = {
        let stop = stop.clone();
        sink.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut count = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                count += u64::from(sink.recv(&mut buffer).is_ok());
            }
            count
        })
    };
    let (cpu, sent) = (shard_cpu(), shard_counter(&engine, "rtp_sent"));
    send_frames(
        &source,
        inbound_port,
        bytes,
        per_frame,
        seconds * FRAMES_A_SECOND,
    );
    let (cpu, sent) = (shard_cpu() - cpu, shard_counter(&engine, "rtp_sent") - sent);
    stop.store(true, Ordering::Relaxed);
    let drained = drained.join().unwrap();
    println!(
        "{sinks} sinks, {bytes} B, {per_frame} packets a frame: {:.3} us a packet; {sent} sent, {drained} drained, \
         mean run {:.1}, {} send calls, {} refused, {} dropped",
        cpu as f64 / 1000.0 / sent,
        shard_counter(&engine, "gso_mean_run"),
        shard_counter(&engine, "send_calls"),
        shard_counter(&engine, "gso_refused"),
        shard_counter(&engine, "send_dropped_full"),
    );
}

/// VP8 frames of equal packets (RFC 7741); the first one is a keyframe.
fn send_frames(source: &UdpSocket, port: u16, bytes: usize, per_frame: usize, frames: u32) {
    let begun = Instant::now();
    let mut sequence = 0_u16;
    for frame in 0..frames {
        for index in 0..per_frame {
            let last = index + 1 == per_frame;
            let mut packet = vec![0x80, if last { 96 + 0x80 } else { 96 }];
            packet.extend_from_slice(&sequence.to_be_bytes());
            packet.extend_from_slice(&(frame * 3000).to_be_bytes());
            packet.extend_from_slice(&1_u32.to_be_bytes());
            packet.push(if index == 0 { 0x10 } else { 0 });
            packet.push(u8::from(frame > 0 || index > 0));
            packet.resize(12 + bytes, 0x55);
            source.send_to(&packet, ("127.0.0.1", port)).unwrap();
            sequence = sequence.wrapping_add(1);
        }
        let due = begun + Duration::from_secs(1) * (frame + 1) / FRAMES_A_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
