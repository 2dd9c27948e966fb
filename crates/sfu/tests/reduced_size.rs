//! RTCP with reports in front and without (RFC 3550 section 6.1, RFC 5506): read, written, and told apart.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_rtp::rtcp::*;
use roomtone_sfu::*;
use support::*;

/// A viewer with whom reduced size was agreed on, or not, and what it is sent.
fn viewer(reduced_size: bool) -> (Rig, u32) {
    let mut rig = Rig::new();
    rig.router.close_transport(SUBSCRIBER, rig.now).unwrap();
    let params = TransportParams {
        rtcp_cname: "cname".into(),
        reduced_size,
        ..TransportParams::default()
    };
    rig.router
        .open_transport(SUBSCRIBER, params, rig.now)
        .unwrap();
    rig.router.set_writable(SUBSCRIBER, true, rig.now).unwrap();
    rig.produce_video(VIDEO, &[Some(1_000)]);
    let ssrc = rig.consume_video(VIDEO_OUT, Some(VIDEO)).ssrc;
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.rtp(&delta(2, 3_000).bytes()).unwrap();
    rig.pass_ms(1_000);
    rig.control(PUBLISHER);
    (rig, ssrc)
}

fn alone(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = [0; 256];
    let len = packet.write(&mut out).unwrap();
    out[..len].to_vec()
}

fn behind_a_report(packet: &impl RtcpWrite) -> Vec<u8> {
    let report = ReceiverReport {
        ssrc: 1,
        ..ReceiverReport::default()
    };
    [alone(&report), alone(packet)].concat()
}

fn stats(rig: &Rig) -> TransportStats {
    rig.router.transport_stats(SUBSCRIBER).unwrap()
}

/// Every feedback that a viewer sends about an SSRC does what it says; gives what was done.
fn done_by_feedback(wrap: impl Fn(&dyn Fn(&mut [u8]) -> usize) -> Vec<u8>, reduced: bool) -> Rig {
    let (mut rig, ssrc) = viewer(reduced);
    let (sender_ssrc, media_ssrc) = (1, ssrc);
    let sent = rig.media()[1].rtp().sequence();
    let tell = |rig: &mut Rig, write: &dyn Fn(&mut [u8]) -> usize| {
        rig.pass_ms(1_500);
        let data = wrap(write);
        rig.rtcp(SUBSCRIBER, &data);
    };
    let pairs = [NackPair {
        packet_id: sent,
        lost_after: 0,
    }];
    let nack = Nack {
        sender_ssrc,
        media_ssrc,
        pairs: Entries::new(&pairs),
    };
    tell(&mut rig, &|out| nack.write(out).unwrap());
    assert_eq!(rig.media().len(), 1, "sent again");
    let pli = Pli {
        sender_ssrc,
        media_ssrc,
    };
    tell(&mut rig, &|out| pli.write(out).unwrap());
    let entries = [FirEntry { ssrc, sequence: 1 }];
    let fir = Fir {
        sender_ssrc,
        entries: Entries::new(&entries),
    };
    tell(&mut rig, &|out| fir.write(out).unwrap());
    let outbound = rig.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
    assert_eq!((outbound.pli_count, outbound.fir_count), (1, 1));
    let ssrcs = [ssrc];
    let remb = Remb {
        sender_ssrc,
        bitrate_bps: 65_536,
        ssrcs: Entries::new(&ssrcs),
    };
    tell(&mut rig, &|out| remb.write(out).unwrap());
    assert_eq!(stats(&rig).available_outgoing_bitrate, 65_536);
    let target = FeedbackTarget {
        sender_ssrc,
        media_ssrc,
        feedback_count: 0,
        base_sequence: 0,
    };
    tell(&mut rig, &|out| {
        write_transport_feedback(out, &target, &[(0, 0)])
            .unwrap()
            .len
    });
    assert_eq!(stats(&rig).feedback_received, 1);
    assert_eq!(stats(&rig).rtcp_ignored, 0);
    // What a router has no use for is counted.
    let limits = [Tmmb {
        ssrc,
        bitrate_bps: 64_000,
        overhead: 40,
    }];
    let limits = Entries::new(&limits);
    let trades = [TemporalTradeOff {
        ssrc,
        sequence: 1,
        index: 3,
    }];
    let trades = Entries::new(&trades);
    let slices = [SliEntry {
        first: 1,
        number: 1,
        picture_id: 1,
    }];
    let sli = Sli {
        sender_ssrc,
        media_ssrc,
        entries: Entries::new(&slices),
    };
    let tmmbr = Tmmbr {
        sender_ssrc,
        entries: limits,
    };
    let tmmbn = Tmmbn {
        sender_ssrc,
        entries: limits,
    };
    let tstr = Tstr {
        sender_ssrc,
        entries: trades,
    };
    let tstn = Tstn {
        sender_ssrc,
        entries: trades,
    };
    tell(&mut rig, &|out| sli.write(out).unwrap());
    tell(&mut rig, &|out| tmmbr.write(out).unwrap());
    tell(&mut rig, &|out| tmmbn.write(out).unwrap());
    tell(&mut rig, &|out| tstr.write(out).unwrap());
    tell(&mut rig, &|out| tstn.write(out).unwrap());
    assert_eq!(
        (stats(&rig).rtcp_ignored, stats(&rig).rtcp_malformed),
        (5, 0)
    );
    rig
}

fn bare(write: &dyn Fn(&mut [u8]) -> usize) -> Vec<u8> {
    let mut out = [0; 256];
    let len = write(&mut out);
    out[..len].to_vec()
}

fn with_report(write: &dyn Fn(&mut [u8]) -> usize) -> Vec<u8> {
    let report = ReceiverReport {
        ssrc: 1,
        ..ReceiverReport::default()
    };
    [alone(&report), bare(write)].concat()
}

#[test]
fn feedback_is_taken_with_and_without_a_report_and_what_was_not_agreed_to_is_counted() {
    assert_eq!(stats(&done_by_feedback(bare, true)).rtcp_not_compound, 0);
    assert_eq!(
        stats(&done_by_feedback(with_report, true)).rtcp_not_compound,
        0
    );
    assert_eq!(
        stats(&done_by_feedback(with_report, false)).rtcp_not_compound,
        0
    );
    assert_eq!(stats(&done_by_feedback(bare, false)).rtcp_not_compound, 10);
}

#[test]
fn a_broken_compound_is_counted_and_what_follows_the_break_is_not_believed() {
    let (mut rig, media_ssrc) = viewer(false);
    let pli = Pli {
        sender_ssrc: 1,
        media_ssrc,
    };
    let mut padded = behind_a_report(&pli);
    // The report has more padding than there is of it.
    padded[0] |= 0x20;
    padded[3] = 2;
    padded.splice(8..8, [0, 0, 0, 40]);
    let mut long = behind_a_report(&pli);
    // The lengths do not add up.
    long[11] = 9;
    let mut versions = behind_a_report(&pli);
    versions[8] &= 0x3f;
    for (count, data) in [padded, long, versions].iter().enumerate() {
        let now = rig.now;
        let read = rig.router.handle_rtcp(SUBSCRIBER, data, now);
        assert_eq!(read, Err(RtcpDrop::Malformed));
        assert_eq!(stats(&rig).rtcp_malformed, count as u64 + 1);
    }
    let outbound = rig.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
    assert_eq!(outbound.pli_count, 0);
}

#[test]
fn requests_are_written_as_was_agreed() {
    for reduced_size in [true, false] {
        let mut rig = Rig::new();
        rig.router.close_transport(PUBLISHER, rig.now).unwrap();
        let params = TransportParams {
            reduced_size,
            ..TransportParams::default()
        };
        let now = rig.now;
        rig.router.open_transport(PUBLISHER, params, now).unwrap();
        rig.router.set_writable(PUBLISHER, true, now).unwrap();
        rig.produce_video(VIDEO, &[Some(1_000)]);
        rig.consume_video(VIDEO_OUT, Some(VIDEO));
        rig.rtp(&key(1, 0).bytes()).unwrap();
        rig.rtp(&delta(4, 3_000).bytes()).unwrap();
        rig.pass_ms(300);
        let (mut nacks, mut plis, mut alone) = (0, 0, 0);
        for data in rig.control(PUBLISHER) {
            let packets: Vec<_> = parse_compound(&data).map(Result::unwrap).collect();
            let reports = packets
                .iter()
                .any(|packet| matches!(packet, RtcpPacket::ReceiverReport(_)));
            for packet in &packets {
                nacks += usize::from(matches!(packet, RtcpPacket::Nack(_)));
                plis += usize::from(matches!(packet, RtcpPacket::Pli(_)));
            }
            alone += usize::from(is_reduced_size(&data));
            assert_eq!(is_reduced_size(&data), !reports, "{packets:?}");
            if !reduced_size {
                assert!(
                    matches!(packets[0], RtcpPacket::ReceiverReport(_)),
                    "{packets:?}"
                );
                assert!(
                    matches!(packets[1], RtcpPacket::SourceDescription(_)),
                    "{packets:?}"
                );
            }
        }
        assert!(nacks > 0 && plis > 0, "{nacks} {plis}");
        assert_eq!(alone > 0, reduced_size, "{alone}");
    }
}
