//! Feedback messages as RFC 4585, RFC 5104 and the REMB draft draw them.

use hex_literal::hex;

use super::assert_wire;
use crate::rtcp::*;

#[test]
fn a_pli_is_12_bytes() {
    assert_wire(
        Pli {
            sender_ssrc: 1,
            media_ssrc: 0x0a0b_0c0d,
        },
        &hex!("81 ce 0002 00000001 0a0b0c0d"),
    );
}

#[test]
fn a_fir_with_one_entry_is_20_bytes() {
    let entries = [FirEntry {
        ssrc: 0x0a0b_0c0d,
        sequence: 7,
    }];
    assert_wire(
        Fir {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &hex!("84 ce 0004 00000001 00000000 0a0b0c0d 07 000000"),
    );
}

#[test]
fn a_remb_with_one_ssrc_is_24_bytes() {
    // 2,500,000 = 156,250 << 4.
    assert_wire(
        Remb {
            sender_ssrc: 1,
            bitrate_bps: 2_500_000,
            ssrcs: Entries::new(&[0x0a0b_0c0d]),
        },
        &hex!("8f ce 0005 00000001 00000000 52454d42 01 12625a 0a0b0c0d"),
    );
}

#[test]
fn a_nack_names_a_packet_and_sixteen_after_it() {
    let pairs = [NackPair {
        packet_id: 0xfffe,
        lost_after: 0x8003,
    }];
    let nack = Nack {
        sender_ssrc: 1,
        media_ssrc: 2,
        pairs: Entries::new(&pairs),
    };
    assert_wire(nack, &hex!("81 cd 0003 00000001 00000002 fffe 8003"));
    assert_eq!(
        nack.sequences().collect::<Vec<_>>(),
        [0xfffe, 0xffff, 0x0000, 0x000e]
    );
}

#[test]
fn sorted_sequences_pack_into_the_fewest_pairs() {
    let pairs: Vec<_> = NackPairs::from_sorted([65_530, 65_531, 65_531, 10, 11, 28, 100]).collect();
    let expected = [(65_530, 0x8001), (11, 0), (28, 0), (100, 0)];
    let expected = expected.map(|(packet_id, lost_after)| NackPair {
        packet_id,
        lost_after,
    });
    assert_eq!(pairs, expected);
    assert_eq!(NackPairs::from_sorted([]).count(), 0);
}

#[test]
fn an_sli_packs_13_13_and_6_bits() {
    let entries = [SliEntry {
        first: 0x1001,
        number: 0x0802,
        picture_id: 0x21,
    }];
    assert_wire(
        Sli {
            sender_ssrc: 1,
            media_ssrc: 2,
            entries: Entries::new(&entries),
        },
        &hex!("82 ce 0003 00000001 00000002 800a 00a1"),
    );
}

#[test]
fn rate_limits_have_17_significant_bits_and_never_grow() {
    let limit = |bitrate_bps| Tmmb {
        ssrc: 2,
        bitrate_bps,
        overhead: 40,
    };
    let entries = [limit(1_000_000)];
    let wire = hex!("83 cd 0004 00000001 00000000 00000002 00000000");
    // 1,000,000 = 125,000 << 3: exponent 3 in six bits, mantissa 0x1e848 in 17, overhead in 9.
    let word = (3_u32 << 26) + (125_000 << 9) + 40;
    let mut expected = wire;
    expected[16..].copy_from_slice(&word.to_be_bytes());
    assert_wire(
        Tmmbr {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &expected,
    );
    expected[0] = 0x84;
    assert_wire(
        Tmmbn {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &expected,
    );
    assert_wire(
        Tmmbn {
            sender_ssrc: 1,
            entries: Entries::empty(),
        },
        &hex!("84 cd 0002 00000001 00000000"),
    );
    for bitrate in [0, 1, 131_071, 131_072, 131_073, 12_345_678_901, u64::MAX] {
        let mut bytes = [0; 8];
        limit(bitrate).write(&mut bytes);
        let read = Tmmb::read(&bytes).bitrate_bps;
        assert!(
            read <= bitrate && bitrate - read <= bitrate >> 16,
            "{bitrate} {read}"
        );
    }
}

#[test]
fn rates_too_large_for_64_bits_are_the_largest() {
    let word = (63_u32 << 26) | (0x1_ffff << 9);
    let mut bytes = [0; 8];
    bytes[4..].copy_from_slice(&word.to_be_bytes());
    assert_eq!(Tmmb::read(&bytes).bitrate_bps, 0x1_ffff << 47);
}

#[test]
fn trade_offs_have_a_number_and_an_index() {
    let entries = [TemporalTradeOff {
        ssrc: 2,
        sequence: 9,
        index: 31,
    }];
    assert_wire(
        Tstr {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &hex!("85 ce 0004 00000001 00000000 00000002 09 00001f"),
    );
    assert_wire(
        Tstn {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &hex!("86 ce 0004 00000001 00000000 00000002 09 00001f"),
    );
}
