//! The sequence header of AV1 (AV1 specification sections 5.5 and 6.4).
//!
//! Read here, with the bits of `h264-reader`: `scuffle-av1` 0.1 adds up numbers of the sender without looking, which a hostile
//! header makes panic.

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError};

use crate::Av1Format;
use crate::format::{Av1Colour, FrameRate};

/// Levels from here on have tiers (section 5.5.1).
const FIRST_LEVEL_WITH_TIERS: u8 = 8;
const SELECT_SCREEN_CONTENT_TOOLS: u8 = 2;
const PROFILE_PROFESSIONAL: u8 = 2;
/// Colours that nobody has described, and those of pictures made of red, green and blue (section 6.4.2).
const UNSPECIFIED: u8 = 2;
const PRIMARIES_BT_709: u8 = 1;
const TRANSFER_SRGB: u8 = 13;
const MATRIX_IDENTITY: u8 = 0;

type Bits<'a> = BitReader<&'a [u8]>;

/// Level and tier of the first operating point.
struct Point {
    level: u8,
    high_tier: bool,
    frame_rate: Option<FrameRate>,
}

/// Read it; none where it is cut short, or of a profile that there is not. The bytes of the OBU are left to the caller.
pub(super) fn read(payload: &[u8]) -> Option<Av1Format> {
    let bits = &mut BitReader::new(payload);
    read_header(bits).ok()?
}

fn read_header(bits: &mut Bits<'_>) -> Result<Option<Av1Format>, BitReaderError> {
    let profile: u8 = bits.read::<3, u8>("seq_profile")?;
    if profile > PROFILE_PROFESSIONAL {
        return Ok(None);
    }
    bits.skip(1, "still_picture")?;
    let is_reduced = bits.read_bit("reduced_still_picture_header")?;
    let point = if is_reduced {
        Point {
            level: bits.read::<5, u8>("seq_level_idx")?,
            high_tier: false,
            frame_rate: None,
        }
    } else {
        read_points(bits)?
    };
    let width_bits = bits.read::<4, u32>("frame_width_bits_minus_1")? + 1;
    let height_bits = bits.read::<4, u32>("frame_height_bits_minus_1")? + 1;
    let width = bits.read_var::<u32>(width_bits, "max_frame_width_minus_1")? + 1;
    let height = bits.read_var::<u32>(height_bits, "max_frame_height_minus_1")? + 1;
    if !is_reduced && bits.read_bit("frame_id_numbers_present_flag")? {
        bits.skip(7, "delta_frame_id_length_minus_2")?;
    }
    bits.skip(3, "use_128x128_superblock")?;
    if !is_reduced {
        skip_tools(bits)?;
    }
    bits.skip(3, "enable_superres")?;
    let (sample_bits, colour) = read_colour(bits, profile)?;
    Ok(Some(Av1Format {
        sequence_header: Bytes::new(),
        profile,
        level: point.level,
        high_tier: point.high_tier,
        width,
        height,
        bits: sample_bits,
        colour,
        frame_rate: point.frame_rate,
    }))
}

/// Timing, and all operating points, of which the first counts.
fn read_points(bits: &mut Bits<'_>) -> Result<Point, BitReaderError> {
    let mut frame_rate = None;
    let mut delay_bits = None;
    if bits.read_bit("timing_info_present_flag")? {
        frame_rate = read_timing(bits)?;
        if bits.read_bit("decoder_model_info_present_flag")? {
            delay_bits = Some(bits.read::<5, u32>("buffer_delay_length_minus_1")? + 1);
            // Units of decoding ticks, and two lengths.
            bits.skip(32 + 5 + 5, "num_units_in_decoding_tick")?;
        }
    }
    let has_delays = bits.read_bit("initial_display_delay_present_flag")?;
    let others = bits.read::<5, u8>("operating_points_cnt_minus_1")?;
    let mut first = None;
    for _ in 0..=others {
        bits.skip(12, "operating_point_idc")?;
        let level: u8 = bits.read::<5, u8>("seq_level_idx")?;
        let high_tier = level >= FIRST_LEVEL_WITH_TIERS && bits.read_bit("seq_tier")?;
        if let Some(length) = delay_bits
            && bits.read_bit("decoder_model_present_for_this_op")?
        {
            bits.skip(2 * length + 1, "decoder_buffer_delay")?;
        }
        if has_delays && bits.read_bit("initial_display_delay_present_for_this_op")? {
            bits.skip(4, "initial_display_delay_minus_1")?;
        }
        first.get_or_insert((level, high_tier));
    }
    let (level, high_tier) = first.unwrap_or_default();
    Ok(Point {
        level,
        high_tier,
        frame_rate,
    })
}

/// Section 5.5.3: a rate is said only where pictures come evenly.
fn read_timing(bits: &mut Bits<'_>) -> Result<Option<FrameRate>, BitReaderError> {
    let units: u32 = bits.read_to("num_units_in_display_tick")?;
    let time_scale = bits.read_to("time_scale")?;
    if !bits.read_bit("equal_picture_interval")? {
        return Ok(None);
    }
    // Numbers of this kind are written as Exp-Golomb numbers are (section 4.10.3).
    let ticks = bits
        .read_ue("num_ticks_per_picture_minus_1")?
        .checked_add(1);
    let ticks = ticks.and_then(|ticks| ticks.checked_mul(units));
    Ok(ticks.and_then(|ticks| FrameRate::new(time_scale, ticks)))
}

/// Tools of a decoder, which nobody here looks at.
fn skip_tools(bits: &mut Bits<'_>) -> Result<(), BitReaderError> {
    bits.skip(4, "enable_interintra_compound")?;
    let has_order_hint = bits.read_bit("enable_order_hint")?;
    if has_order_hint {
        bits.skip(2, "enable_jnt_comp")?;
    }
    let screen_content = if bits.read_bit("seq_choose_screen_content_tools")? {
        SELECT_SCREEN_CONTENT_TOOLS
    } else {
        u8::from(bits.read_bit("seq_force_screen_content_tools")?)
    };
    if screen_content > 0 && !bits.read_bit("seq_choose_integer_mv")? {
        bits.skip(1, "seq_force_integer_mv")?;
    }
    if has_order_hint {
        bits.skip(3, "order_hint_bits_minus_1")?;
    }
    Ok(())
}

/// Section 5.5.2: bits of a sample, and what samples mean.
fn read_colour(bits: &mut Bits<'_>, profile: u8) -> Result<(u8, Av1Colour), BitReaderError> {
    let high = bits.read_bit("high_bitdepth")?;
    let sample_bits = if profile == PROFILE_PROFESSIONAL && high {
        if bits.read_bit("twelve_bit")? { 12 } else { 10 }
    } else if high {
        10
    } else {
        8
    };
    let monochrome = profile != 1 && bits.read_bit("mono_chrome")?;
    let (primaries, transfer, matrix) = if bits.read_bit("color_description_present_flag")? {
        (
            bits.read_to("color_primaries")?,
            bits.read_to("transfer_characteristics")?,
            bits.read_to("matrix_coefficients")?,
        )
    } else {
        (UNSPECIFIED, UNSPECIFIED, UNSPECIFIED)
    };
    let mut colour = Av1Colour {
        monochrome,
        subsampling: (true, true),
        sample_position: 0,
        primaries,
        transfer,
        matrix,
        full_range: true,
    };
    if (primaries, transfer, matrix) == (PRIMARIES_BT_709, TRANSFER_SRGB, MATRIX_IDENTITY)
        && !monochrome
    {
        colour.subsampling = (false, false);
        return Ok((sample_bits, colour));
    }
    colour.full_range = bits.read_bit("color_range")?;
    if monochrome {
        return Ok((sample_bits, colour));
    }
    colour.subsampling = match (profile, sample_bits) {
        (0, _) => (true, true),
        (1, _) => (false, false),
        (_, 12) => {
            let across = bits.read_bit("subsampling_x")?;
            (across, across && bits.read_bit("subsampling_y")?)
        }
        _ => (true, false),
    };
    if colour.subsampling == (true, true) {
        colour.sample_position = bits.read::<2, u8>("chroma_sample_position")?;
    }
    Ok((sample_bits, colour))
}
