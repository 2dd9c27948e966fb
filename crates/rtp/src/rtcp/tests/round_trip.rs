//! What is written is what is read, for arbitrary packets; arbitrary bytes never panic.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::NtpTime;
use crate::rtcp::*;

#[track_caller]
fn assert_round_trip<'a>(packet: impl Into<RtcpPacket<'a>>) {
    let packet = packet.into();
    let mut out = vec![0xa5; packet.wire_len() + 4];
    let len = packet
        .write(&mut out)
        .expect("an arbitrary packet can be written");
    assert_eq!(len, packet.wire_len());
    assert!(len.is_multiple_of(4));
    let read: Vec<_> = parse_compound(&out[..len]).collect();
    assert_eq!(read, [Ok(packet)]);
    assert_eq!(packet.write(&mut vec![0; len - 1]), Err(RtcpError::NoSpace));
}

prop_compose! {
    fn report_block()(
        ssrc: u32, fraction_lost: u8, lost in -0x80_0000..=0x7f_ffff_i32, highest_sequence: u32,
        jitter: u32, last_sr: u32, delay_since_last_sr: u32,
    ) -> ReportBlock {
        let cumulative_lost = lost;
        ReportBlock {
            ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, last_sr,
            delay_since_last_sr,
        }
    }
}

fn words(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<[u8; 4]>(), 0..max).prop_map(|words| words.concat())
}

fn sdes_kind() -> impl Strategy<Value = SdesKind> {
    prop_oneof![
        Just(SdesKind::Cname),
        Just(SdesKind::Private),
        Just(SdesKind::RtpStreamId),
        Just(SdesKind::RepairedRtpStreamId),
        Just(SdesKind::Mid),
        (16_u8..).prop_map(SdesKind::Other),
    ]
}

proptest! {
    #[test]
    fn reports(
        ssrc: u32, ntp: u64, counts: [u32; 3],
        blocks in vec(report_block(), 0..=MAX_COUNT), extension in words(4),
    ) {
        let (reports, extension) = (Entries::new(&blocks), &extension[..]);
        assert_round_trip(ReceiverReport { ssrc, reports, extension });
        let [rtp_timestamp, packet_count, octet_count] = counts;
        assert_round_trip(SenderReport {
            ssrc, ntp: NtpTime(ntp), rtp_timestamp, packet_count, octet_count, reports, extension,
        });
    }

    #[test]
    fn descriptions(
        chunks in vec((any::<u32>(), vec((sdes_kind(), vec(any::<u8>(), 0..=255)), 0..4)), 0..=8),
    ) {
        let items: Vec<Vec<_>> = chunks
            .iter()
            .map(|(_, items)| {
                items.iter().map(|(kind, value)| SdesItem { kind: *kind, value }).collect()
            })
            .collect();
        let chunks: Vec<_> =
            chunks.iter().zip(&items).map(|((ssrc, _), items)| SdesChunk::new(*ssrc, items)).collect();
        assert_round_trip(SourceDescription::new(&chunks));
    }

    #[test]
    fn goodbyes(ssrcs in vec(any::<u32>(), 0..=MAX_COUNT), reason in vec(any::<u8>(), 0..=255)) {
        assert_round_trip(Goodbye { ssrcs: Entries::new(&ssrcs), reason: &reason });
    }

    #[test]
    fn applications(subtype in 0_u8..32, ssrc: u32, name: [u8; 4], data in words(20)) {
        assert_round_trip(App { subtype, ssrc, name, data: &data });
    }

    #[test]
    fn feedback(
        sender_ssrc: u32, media_ssrc: u32, words in vec(any::<(u16, u16)>(), 0..50),
        requests in vec(any::<(u32, u8)>(), 0..20),
    ) {
        assert_round_trip(Pli { sender_ssrc, media_ssrc });
        let pairs: Vec<_> = words
            .iter()
            .map(|&(packet_id, lost_after)| NackPair { packet_id, lost_after })
            .collect();
        assert_round_trip(Nack { sender_ssrc, media_ssrc, pairs: Entries::new(&pairs) });
        let slices: Vec<_> = words
            .iter()
            .map(|&(first, number)| {
                SliEntry { first: first >> 3, number: number >> 3, picture_id: first as u8 & 0x3f }
            })
            .collect();
        assert_round_trip(Sli { sender_ssrc, media_ssrc, entries: Entries::new(&slices) });
        let firs: Vec<_> =
            requests.iter().map(|&(ssrc, sequence)| FirEntry { ssrc, sequence }).collect();
        assert_round_trip(Fir { sender_ssrc, entries: Entries::new(&firs) });
        let trades: Vec<_> = requests
            .iter()
            .map(|&(ssrc, sequence)| TemporalTradeOff { ssrc, sequence, index: sequence >> 3 })
            .collect();
        assert_round_trip(Tstr { sender_ssrc, entries: Entries::new(&trades) });
        assert_round_trip(Tstn { sender_ssrc, entries: Entries::new(&trades) });
    }

    #[test]
    fn rates(
        sender_ssrc: u32, mantissa in 0_u64..1 << 17, exponent in 0_u32..47,
        overhead in 0_u16..512, ssrcs in vec(any::<u32>(), 0..=255),
    ) {
        let bitrate_bps = mantissa << exponent;
        assert_round_trip(Remb { sender_ssrc, bitrate_bps, ssrcs: Entries::new(&ssrcs) });
        let limits: Vec<_> =
            ssrcs.iter().map(|&ssrc| Tmmb { ssrc, bitrate_bps, overhead }).collect();
        assert_round_trip(Tmmbr { sender_ssrc, entries: Entries::new(&limits) });
        assert_round_trip(Tmmbn { sender_ssrc, entries: Entries::new(&limits) });
    }

    #[test]
    fn estimates_round_down_by_little(bitrate_bps: u64) {
        let mut out = [0; 20];
        Remb { bitrate_bps, ..Remb::default() }.write(&mut out).expect("20 bytes are enough");
        let Some(Ok(RtcpPacket::Remb(read))) = parse_compound(&out).next() else {
            panic!("a written estimate is read as one")
        };
        prop_assert!(read.bitrate_bps <= bitrate_bps);
        prop_assert!(bitrate_bps - read.bitrate_bps <= bitrate_bps >> 17);
    }

    #[test]
    fn extended_reports(
        ssrc: u32, ntp: u64, answers in vec(any::<[u32; 3]>(), 0..10), metrics: [u8; 32],
        body in words(8), block_type in 8_u8..,
    ) {
        let answers: Vec<_> = answers
            .iter()
            .map(|&[ssrc, last_rr, delay]| DlrrEntry { ssrc, last_rr, delay_since_last_rr: delay })
            .collect();
        let blocks = [
            XrBlock::Other { block_type, type_specific: 1, body: &body },
            XrBlock::ReceiverReferenceTime(NtpTime(ntp)),
            XrBlock::Dlrr(Entries::new(&answers)),
            XrBlock::VoipMetrics(VoipMetrics::read(&metrics)),
        ];
        assert_round_trip(ExtendedReport::new(ssrc, &blocks));
    }

    #[test]
    fn nack_pairs_say_exactly_the_packets_given(mut lost in vec(any::<u16>(), 0..100), base: u16) {
        lost.sort_unstable();
        lost.dedup();
        // Half the space is what wrapping order can be told in.
        lost.retain(|sequence| *sequence < 0x8000);
        let lost: Vec<_> = lost.iter().map(|sequence| sequence.wrapping_add(base)).collect();
        let pairs: Vec<_> = NackPairs::from_sorted(lost.iter().copied()).collect();
        let said: Vec<_> = pairs.iter().flat_map(|pair| pair.sequences()).collect();
        prop_assert_eq!(said, lost);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_what_is_read_writes_back(
        mut data in vec(any::<u8>(), 0..300), packet_type in 199_u8..209, frame: bool,
    ) {
        if frame && data.len() >= 4 {
            let words = (data.len() / 4 - 1) as u16;
            data[0] = 0x80 | (data[0] & 0x1f);
            data[1] = packet_type;
            data[2..4].copy_from_slice(&words.to_be_bytes());
        }
        for packet in parse_compound(&data).flatten() {
            let mut out = vec![0; packet.wire_len()];
            if let RtcpPacket::TransportFeedback(feedback) = packet {
                prop_assert_eq!(feedback.statuses().count(), usize::from(feedback.status_count()));
            }
            // Padding that is no whole word leaves a body that cannot be written.
            if let Ok(len) = packet.write(&mut out) {
                let again: Vec<_> = parse_compound(&out[..len]).collect();
                prop_assert_eq!(again, vec![Ok(packet)]);
            }
        }
    }
}
