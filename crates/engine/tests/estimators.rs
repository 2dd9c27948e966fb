//! Which estimator works on the line to each peer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use roomtone_engine::values::{
    ArrivalModel, BandwidthConfig, CodecFeedback, Command, CommandResult, EngineConfig,
    HeaderExtension, MediaKind, StatValue,
};
use support::peer::open_estimated;
use support::{Harness, PlainOptions, codec, config, consume_opus};

const TRANSPORT_SEQUENCE: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

fn estimator(harness: &mut Harness, transport: u64) -> StatValue {
    harness.stats(transport)[0]["estimator"].clone()
}

/// A picture for a peer that gives transport-wide feedback.
fn consume_reported(harness: &mut Harness, transport: u64, producer: u64) {
    let command = Command::Consume {
        transport,
        kind: MediaKind::Video,
        producer: Some(producer),
        mid: None,
        payload_types: vec![(96, 96)],
        rtx_payload_types: vec![],
        header_extensions: vec![HeaderExtension {
            id: 3,
            uri: TRANSPORT_SEQUENCE.into(),
        }],
        feedback: CodecFeedback {
            transport_cc: true,
            ..CodecFeedback::default()
        },
        redundancy: None,
        ssrc: None,
        rtx_ssrc: None,
        paused: false,
    };
    let consumed = harness.call(command);
    assert!(
        matches!(consumed, CommandResult::Consumed { .. }),
        "{consumed:?}"
    );
}

fn produce_vp8(harness: &mut Harness, transport: u64) -> u64 {
    let command = Command::Produce {
        transport,
        kind: MediaKind::Video,
        codecs: vec![codec(96, "VP8", 90_000, 0)],
        encodings: vec![],
        mid: None,
        header_extensions: vec![],
        paused: false,
    };
    match harness.call(command) {
        CommandResult::Produced { producer } => producer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn transports_of_one_router_run_the_estimators_they_were_opened_with() {
    for (of_all, by_default) in [
        (ArrivalModel::Trendline, "gcc-trendline"),
        (ArrivalModel::Kalman, "gcc-kalman"),
    ] {
        let mut harness = Harness::new(EngineConfig {
            bandwidth: BandwidthConfig {
                arrival_model: of_all,
                ..BandwidthConfig::default()
            },
            ..config(1)
        });
        let router = harness.router(None);
        let (source, _, _) = harness.plain(PlainOptions::on(router));
        let producer = produce_vp8(&mut harness, source);
        let wanted = [
            (None, by_default),
            (Some(ArrivalModel::Trendline), "gcc-trendline"),
            (Some(ArrivalModel::Kalman), "gcc-kalman"),
        ];
        for (model, name) in wanted {
            let viewer = open_estimated(&mut harness, router, model).id;
            // Nothing is known of what the peer reports yet.
            assert_eq!(
                estimator(&mut harness, viewer),
                StatValue::from("receiver-reports")
            );
            consume_reported(&mut harness, viewer, producer);
            assert_eq!(estimator(&mut harness, viewer), StatValue::from(name));
        }
    }
}

#[test]
fn a_peer_without_transport_wide_feedback_is_judged_by_its_reports() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let viewer = open_estimated(&mut harness, router, Some(ArrivalModel::Kalman)).id;
    let consumed = harness.call(consume_opus(viewer, None, None));
    assert!(
        matches!(consumed, CommandResult::Consumed { .. }),
        "{consumed:?}"
    );
    assert_eq!(
        estimator(&mut harness, viewer),
        StatValue::from("receiver-reports")
    );
}
