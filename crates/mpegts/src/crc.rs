//! The checksum of sections (H.222.0 annex A): polynomial 0x04c11db7, first bit first, begun with ones.

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x04c1_1db7
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The checksum of these bytes; 0 where the last four of them are the checksum of the others.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        crc << 8 ^ TABLE[(crc >> 24) as usize ^ byte as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        // CRC-32/MPEG-2 in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
        let mut with = b"123456789".to_vec();
        with.extend(0x0376_e6e7_u32.to_be_bytes());
        assert_eq!(crc32(&with), 0);
    }
}
