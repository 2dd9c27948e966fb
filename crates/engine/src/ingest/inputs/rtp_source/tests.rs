//! What becomes of packets and reports, in the order in which they come.

use roomtone_rtp::rtcp::{CompoundWriter, Entries, Goodbye, RtcpWrite, SenderReport};
use roomtone_rtp::{NtpTime, RtpHeader, write_header};

use super::*;

const SPS: &[u8] = &[
    0x67, 0x4d, 0x40, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xc3, 0xcb, 0x20];
const VIDEO: u8 = 96;
const XS: u8 = 97;

fn described(payload_type: u8, codec: &str) -> IngestRtpTrack {
    IngestRtpTrack {
        payload_type,
        codec: codec.to_owned(),
        is_video: true,
        clock_rate: 90_000,
        channels: 0,
        config: Vec::new(),
        parameter_sets: [SPS, PPS].map(|set| set.to_vec().into()).to_vec(),
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn after(begun: Instant, ms: u64) -> Instant {
    begun + Duration::from_millis(ms)
}

fn packet(payload_type: u8, ssrc: u32, number: u16) -> Vec<u8> {
    let header = RtpHeader {
        marker: true,
        payload_type,
        sequence: number,
        timestamp: u32::from(number) * 3_600,
        ssrc,
    };
    let mut bytes = vec![0; 12];
    write_header(&mut bytes, &header);
    bytes.extend([0x65, 1, 2, 3]);
    bytes
}

fn take(source: &mut RtpSource, from: u16, bytes: &[u8], now: Instant) -> Taken {
    source.handle_packet(address(from), &RtpPacket::parse(bytes).unwrap(), now)
}

fn sent(source: &mut RtpSource, now: Instant) -> Vec<Sent> {
    let (mut sent, mut reports) = (Vec::new(), Vec::new());
    source.drain(now, &mut sent, &mut reports);
    sent
}

#[test]
fn parameter_sets_of_the_description_are_enough_to_begin() {
    let now = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, now);
    assert_eq!(
        take(&mut source, 5000, &packet(VIDEO, 7, 0), now),
        Taken::Yes
    );
    let sent = sent(&mut source, now);
    let [
        Sent::Track(0, true),
        Sent::Format(0, format),
        Sent::Unit(0, unit),
    ] = &sent[..]
    else {
        panic!("{sent:?}")
    };
    assert_eq!(format.size(), Some((1280, 720)));
    assert!(unit.keyframe);
}

#[test]
fn what_is_not_carried_is_named_once_and_counted_each_time() {
    let now = Instant::now();
    let mut source = RtpSource::new(&[described(XS, "jxsv")], 1, now);
    for number in 0..2 {
        assert_eq!(
            take(&mut source, 5000, &packet(XS, 7, number), now),
            Taken::Unused
        );
    }
    let first = sent(&mut source, now);
    assert!(matches!(&first[..], [Sent::Refused(0, name)] if name == "jxsv"));
    assert!(sent(&mut source, now).is_empty());
}

#[test]
fn another_source_is_a_stranger_until_the_first_is_silent_or_gone() {
    let begun = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, begun);
    take(&mut source, 5000, &packet(VIDEO, 7, 0), begun);
    let other = packet(VIDEO, 8, 0);
    assert_eq!(take(&mut source, 5002, &other, begun), Taken::Stranger);
    let silent = after(begun, 2_000);
    assert_eq!(take(&mut source, 5002, &other, silent), Taken::Anew);
    source.renew(silent);
    assert_eq!(take(&mut source, 5002, &other, silent), Taken::Yes);
}

/// A report or a goodbye of this SSRC, from a port of this address.
fn rtcp(
    source: &mut RtpSource,
    from: SocketAddr,
    packet: &impl RtcpWrite,
    now: Instant,
) -> Reported {
    let mut space = [0; 64];
    let mut writer = CompoundWriter::new(&mut space);
    writer.push(packet).unwrap();
    let len = writer.finish();
    source.handle_rtcp(from, &space[..len], now)
}

fn goodbye(ssrcs: &[u32]) -> Goodbye<'_> {
    Goodbye {
        ssrcs: ssrcs.into(),
        reason: &[],
    }
}

fn report(ssrc: u32) -> SenderReport<'static> {
    SenderReport {
        ssrc,
        ntp: NtpTime(7 << 32),
        rtp_timestamp: 0,
        packet_count: 1,
        octet_count: 1,
        reports: Entries::empty(),
        extension: &[],
    }
}

#[test]
fn a_goodbye_counts_from_where_its_source_is() {
    let now = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, now);
    take(&mut source, 5000, &packet(VIDEO, 7, 0), now);
    let elsewhere = SocketAddr::from(([192, 0, 2, 2], 5001));
    let heard = rtcp(&mut source, elsewhere, &goodbye(&[7]), now);
    assert_eq!(heard, Reported::Stranger);
    let heard = rtcp(&mut source, address(5001), &goodbye(&[7]), now);
    assert_eq!(heard, Reported::Over);
}

/// What became of packets with these numbers, one each 20 ms.
fn run(
    source: &mut RtpSource,
    from: u16,
    ssrc: u32,
    numbers: impl IntoIterator<Item = u16>,
    begun: Instant,
) -> Vec<Taken> {
    let numbers = numbers.into_iter().enumerate();
    numbers
        .map(|(at, number)| {
            let now = after(begun, 20 * at as u64);
            take(source, from, &packet(VIDEO, ssrc, number), now)
        })
        .collect()
}

fn kinds(sent: &[Sent]) -> String {
    let kind = |one: &Sent| match one {
        Sent::Track(..) => 't',
        Sent::Format(..) => 'f',
        Sent::Unit(..) => 'u',
        Sent::Break(..) => 'b',
        _ => '?',
    };
    sent.iter().map(kind).collect()
}

#[test]
fn an_encoder_that_begins_anew_with_another_ssrc_goes_on_behind_a_break() {
    let begun = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, begun);
    run(&mut source, 5000, 7, 0..10, begun);
    assert_eq!(kinds(&sent(&mut source, begun)), "tfuuuuuuuuuu");
    // The last came after 180 ms: from 480 on it was silent for long enough, and nothing of the new one is lost.
    let anew = after(begun, 420);
    let taken = run(&mut source, 5000, 8, 30_000..30_006, anew);
    let [kept, yes] = [Taken::Kept, Taken::Yes];
    assert_eq!(taken, [kept, kept, kept, yes, yes, yes]);
    assert_eq!(kinds(&sent(&mut source, after(anew, 200))), "buuuuuu");
    assert_eq!(source.take_refused(), 0);
    // What was on its way of the one before is nobody's, and no way back.
    let late = run(&mut source, 5000, 7, 10..13, after(anew, 120));
    assert_eq!(late, [kept; 3]);
    assert_eq!(run(&mut source, 5000, 8, [30_006], after(anew, 160)), [yes]);
    assert_eq!(source.take_refused(), 3);
    // Also where its timestamps go on from those before.
    sent(&mut source, after(anew, 160));
    let again = after(anew, 480);
    assert_eq!(
        run(&mut source, 5000, 9, 30_007..30_009, again),
        [kept, yes]
    );
    assert_eq!(kinds(&sent(&mut source, after(again, 20))), "buu");
}

#[test]
fn of_two_ssrcs_that_are_sent_at_once_from_one_address_the_first_is_taken() {
    let begun = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, begun);
    for number in 0..200 {
        let now = after(begun, 20 * u64::from(number));
        let taken = [7, 7, 8, 8].map(|ssrc| {
            let number = 2 * number + u16::from(ssrc == 8);
            take(&mut source, 5000, &packet(VIDEO, ssrc, number), now)
        });
        let [yes, kept] = [Taken::Yes, Taken::Kept];
        assert_eq!(taken, [yes, yes, kept, kept], "{number}");
    }
    assert_eq!(source.take_refused(), 2 * 199);
}

#[test]
fn an_encoder_that_begins_anew_with_the_same_ssrc_is_not_late_for_ever() {
    let begun = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, begun);
    run(&mut source, 5000, 7, 30_000..30_010, begun);
    assert_eq!(kinds(&sent(&mut source, begun)), "tfuuuuuuuuuu");
    let taken = run(&mut source, 5000, 7, 100..104, after(begun, 300));
    assert_eq!(taken, [Taken::Kept, Taken::Yes, Taken::Yes, Taken::Yes]);
    assert_eq!(kinds(&sent(&mut source, after(begun, 400))), "buuuu");
    // One stray number is no beginning.
    let taken = run(&mut source, 5000, 7, [40_000, 104, 105], after(begun, 400));
    assert_eq!(taken, [Taken::Kept, Taken::Yes, Taken::Yes]);
    assert_eq!(source.take_refused(), 1);
    assert_eq!(kinds(&sent(&mut source, after(begun, 500))), "uu");
}

#[test]
fn two_sources_with_the_same_ssrc_are_told_apart_by_where_they_are() {
    let now = Instant::now();
    let mut source = RtpSource::new(&[described(VIDEO, "H264")], 1, now);
    run(&mut source, 5000, 7, 0..3, now);
    let taken = run(&mut source, 6000, 7, 3..6, now);
    assert_eq!(taken, [Taken::Stranger; 3]);
    assert_eq!(run(&mut source, 5000, 7, 3..6, now), [Taken::Yes; 3]);
    // Once its own reports have come, from beside its port, those of the other are known for what they are.
    let [own, other] = [5001, 6001].map(address);
    for from in [other, own] {
        assert_eq!(rtcp(&mut source, from, &report(7), now), Reported::Fine);
    }
    let heard = rtcp(&mut source, other, &report(7), now);
    assert_eq!(heard, Reported::Stranger);
    let heard = rtcp(&mut source, other, &goodbye(&[7]), now);
    assert_eq!(heard, Reported::Stranger);
    assert_eq!(run(&mut source, 5000, 7, 6..9, now), [Taken::Yes; 3]);
    assert_eq!(rtcp(&mut source, own, &goodbye(&[7]), now), Reported::Over);
}

#[test]
fn one_of_two_streams_may_begin_anew_while_the_other_goes_on() {
    let begun = Instant::now();
    let both = [described(VIDEO, "H264"), described(XS + 1, "H264")];
    let mut source = RtpSource::new(&both, 1, begun);
    run(&mut source, 5000, 7, 0..3, begun);
    let mut taken = Vec::new();
    for number in 0..150 {
        let now = after(begun, 20 * u64::from(number));
        take(&mut source, 5002, &packet(XS + 1, 9, number), now);
        // From another port: an encoder that was started again.
        taken.push(take(&mut source, 5004, &packet(VIDEO, 8, number), now));
    }
    let strange = taken.iter().take_while(|one| **one == Taken::Stranger);
    // The last of the first came after 40 ms.
    assert_eq!(strange.count(), 102);
    assert_eq!(taken[102..], [Taken::Yes; 48]);
    // From another machine nobody takes over half of a source.
    let elsewhere = SocketAddr::from(([192, 0, 2, 2], 5000));
    let late = after(begun, 9_000);
    take(&mut source, 5002, &packet(XS + 1, 9, 150), late);
    let bytes = packet(VIDEO, 6, 0);
    let packet = RtpPacket::parse(&bytes).unwrap();
    let taken = source.handle_packet(elsewhere, &packet, late);
    assert_eq!(taken, Taken::Stranger);
}
