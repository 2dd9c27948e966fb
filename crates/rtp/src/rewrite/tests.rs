//! Tests of writing: exact bytes, in-place changes, round trips with the parser.

use hex_literal::hex;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const HEADER: RtpHeader = RtpHeader {
    marker: true,
    payload_type: 96,
    sequence: 0x1234,
    timestamp: 0x89ab_cdef,
    ssrc: 0x0102_0304,
};

fn with_extensions(form: ExtensionForm, elements: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = vec![0xa5; 1_500];
    let at = write_header(&mut out, &HEADER);
    let mut writer = ExtensionWriter::new(&mut out, at, form);
    for (id, value) in elements {
        writer.push(*id, value).unwrap();
    }
    let len = writer.finish().unwrap();
    out.truncate(len);
    out
}

#[test]
fn the_fixed_header_is_twelve_bytes() {
    let mut out = [0xff; 12];
    assert_eq!(write_header(&mut out, &HEADER), 12);
    assert_eq!(out, hex!("80 e0 1234 89abcdef 01020304"));
    assert_eq!(RtpPacket::parse(&out).unwrap().header(), HEADER);
}

#[test]
fn fields_are_changed_where_they_stand_and_nothing_else_is() {
    let mut packet = hex!("bf 60 0001 00000002 00000003 aabbccdd");
    set_marker(&mut packet, true);
    set_payload_type(&mut packet, 0xff);
    set_sequence(&mut packet, 0x0a0b);
    set_timestamp(&mut packet, 0x0c0d_0e0f);
    set_ssrc(&mut packet, 0x1011_1213);
    assert_eq!(packet, hex!("bf ff 0a0b 0c0d0e0f 10111213 aabbccdd"));
    set_marker(&mut packet, false);
    set_payload_type(&mut packet, 1);
    assert_eq!(packet[..2], hex!("bf 01"));
}

#[test]
fn one_byte_elements_are_padded_to_a_word() {
    let packet = with_extensions(ExtensionForm::OneByte, &[(1, &[0xaa]), (14, &[0xbb, 0xcc])]);
    assert_eq!(packet[..1], [0x90]);
    assert_eq!(packet[12..], hex!("bede 0002 10 aa e1 bbcc 000000"));
}

#[test]
fn two_byte_elements_may_be_empty() {
    let packet = with_extensions(ExtensionForm::TwoByte, &[(1, &[]), (200, &[0xbb])]);
    assert_eq!(packet[12..], hex!("1000 0002 01 00 c8 01 bb 000000"));
}

#[test]
fn mixed_elements_stay_one_byte_as_long_as_they_can() {
    let packet = with_extensions(ExtensionForm::Mixed, &[(1, &[0xaa]), (2, &[0xbb; 16])]);
    assert_eq!(packet[12..16], hex!("bede 0005"));
    let long = [0xdd; 17];
    let packet = with_extensions(
        ExtensionForm::Mixed,
        &[(1, &[0xaa]), (2, &[0xbb, 0xcc]), (3, &long), (4, &[1])],
    );
    let expected = [
        &hex!("1000 0008 01 01 aa 02 02 bbcc 03 11")[..],
        &long,
        &hex!("04 01 01 00 00 00"),
    ]
    .concat();
    assert_eq!(packet[12..], expected);
}

#[test]
fn nothing_pushed_costs_nothing_and_clears_the_bit() {
    let mut out = [0; 16];
    write_header(&mut out, &HEADER);
    out[0] |= 0x10;
    let writer = ExtensionWriter::new(&mut out, 12, ExtensionForm::OneByte);
    assert_eq!(writer.finish(), Ok(12));
    assert_eq!(out[0], 0x80);
}

#[test]
fn what_a_form_cannot_carry_is_refused_and_changes_nothing() {
    let mut out = [0; 64];
    write_header(&mut out, &HEADER);
    let mut writer = ExtensionWriter::new(&mut out, 12, ExtensionForm::OneByte);
    assert_eq!(writer.push(0, &[1]), Err(RtpError::ExtensionId));
    assert_eq!(writer.push(15, &[1]), Err(RtpError::ExtensionId));
    assert_eq!(writer.push(1, &[]), Err(RtpError::ExtensionLength));
    assert_eq!(writer.push(1, &[0; 17]), Err(RtpError::ExtensionLength));
    assert_eq!(writer.finish(), Ok(12));
    let mut writer = ExtensionWriter::new(&mut out, 12, ExtensionForm::Mixed);
    assert_eq!(writer.push(1, &[7]), Ok(()));
    assert_eq!(writer.push(1, &[0; 256]), Err(RtpError::ExtensionLength));
    assert_eq!(writer.push(2, &[0; 60]), Err(RtpError::NoSpace));
    assert_eq!(writer.push(2, &[0; 47]), Err(RtpError::NoSpace));
    assert_eq!(writer.finish(), Ok(20));
    assert_eq!(out[12..20], hex!("bede 0001 10 07 0000"));
}

#[test]
fn every_buffer_too_short_is_an_error() {
    for len in 12..24 {
        let mut out = vec![0; len];
        write_header(&mut out, &HEADER);
        let mut writer = ExtensionWriter::new(&mut out, 12, ExtensionForm::OneByte);
        let result = writer.push(1, &[1, 2, 3, 4]).and_then(|()| writer.finish());
        assert_eq!(result, Err(RtpError::NoSpace), "{len}");
    }
}

#[test]
fn an_extension_is_replaced_by_one_of_its_length() {
    let mut packet = with_extensions(ExtensionForm::OneByte, &[(1, &[0xaa]), (2, &[0xbb, 0xcc])]);
    assert_eq!(set_extension(&mut packet, 2, &[1, 2]), Ok(()));
    assert_eq!(packet[16..21], hex!("10 aa 21 0102"));
    assert_eq!(
        set_extension(&mut packet, 2, &[1]),
        Err(RtpError::ExtensionLength)
    );
    assert_eq!(
        set_extension(&mut packet, 3, &[1]),
        Err(RtpError::NoSuchExtension)
    );
    assert_eq!(
        set_extension(&mut packet[..12], 3, &[1]),
        Err(RtpError::Truncated)
    );
}

#[test]
fn padding_is_stripped_with_its_bit() {
    let mut packet = hex!("a0 60 0001 00000002 00000003 aabb 00 00 03");
    assert_eq!(strip_padding(&mut packet), Ok(14));
    assert_eq!(packet[0], 0x80);
    assert_eq!(
        strip_padding(&mut packet),
        Ok(17),
        "without the bit there is no padding"
    );
    let mut only = hex!("a0 60 0001 00000002 00000003 01");
    assert_eq!(strip_padding(&mut only), Ok(12));
    let mut bad = hex!("a0 60 0001 00000002 00000003 09");
    assert_eq!(strip_padding(&mut bad), Err(RtpError::Padding));
}

fn elements() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    vec((1_u8..=255, vec(any::<u8>(), 0..30)), 0..10)
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        fields: (bool, u16, u32, u32), payload_type in 0_u8..128, elements in elements(),
        payload in vec(any::<u8>(), 0..50), form_index in 0_usize..3,
    ) {
        let form = [ExtensionForm::OneByte, ExtensionForm::TwoByte, ExtensionForm::Mixed][form_index];
        let (marker, sequence, timestamp, ssrc) = fields;
        let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc };
        let mut out = vec![0xa5; 1_500];
        let at = write_header(&mut out, &header);
        let mut writer = ExtensionWriter::new(&mut out, at, form);
        let mut written = Vec::new();
        for (id, value) in &elements {
            let result = writer.push(*id, value);
            let fits = form != ExtensionForm::OneByte || (*id < 15 && (1..=16).contains(&value.len()));
            prop_assert_eq!(result.is_ok(), fits);
            if fits {
                written.push((*id, &value[..]));
            }
        }
        let header_len = writer.finish().unwrap();
        out.truncate(header_len);
        out.extend_from_slice(&payload);
        let packet = RtpPacket::parse(&out).unwrap();
        prop_assert_eq!(packet.header(), header);
        prop_assert_eq!(packet.header_len(), header_len);
        prop_assert_eq!(packet.extensions().collect::<Vec<_>>(), written);
        prop_assert_eq!(packet.payload(), &payload[..]);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_views_stay_inside(
        mut data in vec(any::<u8>(), 0..200), version: bool, short_block: bool,
    ) {
        if version && data.len() > 12 {
            data[0] = 0x80 | (data[0] & 0x3f);
            let block = 12 + 4 * usize::from(data[0] & 0x0f);
            if short_block && data.len() > block + 4 {
                data[block..block + 3].copy_from_slice(&[0xbe, 0xde, 0]);
            }
        }
        let header_len = crate::header_len(&data);
        if let Ok(packet) = RtpPacket::parse(&data) {
            prop_assert_eq!(header_len, Ok(packet.header_len()));
            let parts = packet.header_len() + packet.payload().len() + packet.padding_len();
            prop_assert_eq!(parts, data.len());
            let block = packet.extension_block().len();
            prop_assert!(packet.extensions().map(|(_, value)| value.len()).sum::<usize>() <= block);
            prop_assert_eq!(packet.csrcs().count(), usize::from(data[0] & 0x0f));
        }
    }
}
