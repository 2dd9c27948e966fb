//! The maps are what the other side of the boundary writes and reads.

use serde::Serialize;
use serde_json::{Value, json};

use super::*;

/// What the other side would send for a value given as JSON.
fn packed(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap()
}

/// What the other side would read of a value.
fn unpacked(value: &impl Serialize) -> Value {
    rmp_serde::from_slice(&encode(value)).unwrap()
}

#[test]
fn a_request_is_read_as_the_other_side_writes_it() {
    let sent = json!({"id": 7, "command": {"op": "open_router", "shard": null}});
    let request: Request = decode(&packed(&sent)).unwrap();
    assert_eq!(
        request,
        Request {
            id: 7,
            command: Command::OpenRouter { shard: None }
        }
    );
}

#[test]
fn missing_keys_take_their_defaults_and_unknown_ones_are_ignored() {
    let sent = json!({"op": "open_webrtc_transport", "router": 3, "of_a_newer_version": 1});
    let expected = Command::OpenWebRtcTransport {
        router: 3,
        ice_mode: IceMode::Lite,
        sctp: false,
        max_message_size: 262_144,
        cname: String::new(),
        mixed_extensions: false,
        answer_timeout_ms: None,
        arrival_model: None,
    };
    assert_eq!(decode::<Command>(&packed(&sent)).unwrap(), expected);
}

#[test]
fn nested_parts_are_read() {
    let sent = json!({
        "op": "produce", "transport": 3, "kind": "video", "mid": "1", "paused": true,
        "codecs": [{"payload_type": 96, "name": "VP8", "clock_rate": 90000, "channels": 1,
                    "rtx_payload_type": 97, "feedback": {"nack": true, "pli": true}}],
        "encodings": [{"ssrc": 4_000_000_000_u32, "rid": null, "rtx_ssrc": null}, {"rid": "h"}],
        "header_extensions": [{"id": 3, "uri": "urn:ietf:params:rtp-hdrext:sdes:mid"}],
    });
    let Command::Produce {
        codecs,
        encodings,
        header_extensions,
        ..
    } = decode(&packed(&sent)).unwrap()
    else {
        panic!("not a produce command");
    };
    assert_eq!(codecs[0].rtx_payload_type, Some(97));
    assert!(codecs[0].feedback.nack && !codecs[0].feedback.fir);
    assert_eq!(encodings[0].ssrc, Some(4_000_000_000));
    assert_eq!(encodings[1].rid.as_deref(), Some("h"));
    assert_eq!(header_extensions[0].id, 3);
}

#[test]
fn bytes_travel_as_bytes() {
    let keys = SrtpKeys {
        suite: "AEAD_AES_128_GCM".into(),
        key: vec![0, 255, 128],
    };
    let command = Command::ConnectPlainTransport {
        transport: 1,
        ip: "127.0.0.1".into(),
        port: 5000,
        rtcp_port: None,
        srtp: Some(keys),
        local_srtp: None,
        dtls: None,
    };
    let bytes = encode(&command);
    assert!(
        bytes.windows(5).any(|w| w == [0xc4, 3, 0, 255, 128]),
        "no bin of three bytes in {bytes:x?}"
    );
    assert_eq!(decode::<Command>(&bytes).unwrap(), command);
}

#[test]
fn replies_and_events_are_written_as_the_other_side_reads_them() {
    let reply = Outbound::Reply {
        id: 5,
        result: CommandResult::Done {},
    };
    assert_eq!(
        unpacked(&reply),
        json!({"kind": "reply", "id": 5, "result": {"result": "done"}})
    );
    let opened = CommandResult::RouterOpened {
        router: 256,
        shard: 0,
    };
    assert_eq!(
        unpacked(&opened),
        json!({"result": "router_opened", "router": 256, "shard": 0})
    );
    let failed = CommandResult::Failed {
        code: ErrorCode::NotFound,
        message: "no".into(),
    };
    assert_eq!(
        unpacked(&failed),
        json!({"result": "failed", "code": "not_found", "message": "no"})
    );
    let event = Outbound::Event {
        seq: 9,
        event: Event::TransportClosed {
            transport: 4,
            reason: CloseReason::DtlsRsaUnsupported,
            detail: String::new(),
        },
    };
    assert_eq!(
        unpacked(&event),
        json!({"kind": "event", "seq": 9, "event": {
            "event": "transport_closed", "transport": 4, "reason": "dtls_rsa_unsupported", "detail": ""}})
    );
}

#[test]
fn statistics_keep_the_sort_of_each_number() {
    let report = Report::from([
        ("a".to_owned(), StatValue::from(true)),
        ("b".to_owned(), StatValue::from(u64::MAX)),
        ("c".to_owned(), StatValue::from(-3_i64)),
        ("d".to_owned(), StatValue::from(0.5)),
        ("e".to_owned(), StatValue::from(None::<u32>)),
        ("f".to_owned(), StatValue::from("x")),
    ]);
    let stats = CommandResult::Stats {
        reports: vec![report],
    };
    assert_eq!(
        unpacked(&stats),
        json!({"result": "stats", "reports": [{"a": true, "b": u64::MAX, "c": -3, "d": 0.5, "e": null, "f": "x"}]})
    );
}

#[test]
fn an_empty_configuration_is_the_default() {
    assert_eq!(
        decode::<EngineConfig>(&packed(&json!({}))).unwrap(),
        EngineConfig::default()
    );
}

#[test]
fn garbage_is_an_error() {
    for bytes in [
        &b""[..],
        b"\xc1",
        b"\x81\xa2op\xa4none",
        b"\x93\x01\x02\x03",
        &[0xff; 100],
    ] {
        assert!(decode::<Request>(bytes).is_err());
        assert!(decode::<Command>(bytes).is_err());
    }
}

#[test]
fn keys_are_not_shown() {
    let keys = SrtpKeys {
        suite: "X".into(),
        key: vec![42; 30],
    };
    assert!(!format!("{keys:?}").contains("42"));
}
