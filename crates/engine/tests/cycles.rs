//! Opening and closing leaves descriptors and objects as they were. Alone in its file: it counts descriptors of the
//! whole process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use roomtone_engine::values::{Command, CommandResult, IceMode};
use support::{Harness, PlainOptions, config};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_hundred_cycles_leave_everything_as_it_was() {
    let before_engine = descriptors();
    let mut harness = Harness::new(config(2));
    cycle(&mut harness);
    let before = descriptors();
    for _ in 0..100 {
        cycle(&mut harness);
    }
    assert_eq!(descriptors(), before);
    for gauge in [
        "routers",
        "transports",
        "producers",
        "consumers",
        "channels",
        "tcp_connections",
    ] {
        assert_eq!(harness.counter(gauge), 0, "{gauge}");
    }
    harness.engine.close();
    drop(harness);
    assert_eq!(descriptors(), before_engine);
}

fn cycle(harness: &mut Harness) {
    let (near, far) = (harness.router(Some(0)), harness.router(Some(1)));
    let options = PlainOptions {
        rtcp_mux: false,
        ..PlainOptions::on(near)
    };
    let (inbound, _, _) = harness.plain(options);
    let producer = harness.produce_opus(inbound, None);
    let CommandResult::ProducerPiped { .. } = harness.call(Command::PipeProducer {
        producer,
        router: far,
    }) else {
        panic!("no pipe");
    };
    let webrtc = Command::OpenWebRtcTransport {
        router: near,
        ice_mode: IceMode::Lite,
        sctp: true,
        max_message_size: 65_536,
        cname: String::new(),
        mixed_extensions: false,
        answer_timeout_ms: None,
        arrival_model: None,
    };
    let CommandResult::WebRtcTransportOpened { transport, .. } = harness.call(webrtc) else {
        panic!("no transport")
    };
    harness.consume_opus(transport, Some(producer), None);
    harness.done(Command::CloseTransport { transport });
    harness.done(Command::CloseRouter {
        router: near,
        quietly: false,
    });
    harness.done(Command::CloseRouter {
        router: far,
        quietly: false,
    });
}
