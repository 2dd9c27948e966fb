//! The sequence parameter set of HEVC, as far as its frame rate (ITU-T H.265 sections 7.3.2.2 and E.2.1).
//!
//! Read here, with the bits of `h264-reader`: `scuffle-h265` 0.2 subtracts numbers of the sender from each other without
//! looking, which a hostile set makes panic.

use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use crate::format::{FrameRate, HevcProfile};

/// Limits of the standard; a set beyond them is refused.
const MAX_SHORT_TERM_SETS: u32 = 64;
const MAX_LONG_TERM_PICTURES: u32 = 32;
const MAX_REFERENCES: u32 = 16;
/// Larger pictures than level 6.2 has at most, in samples of a side.
const MAX_SIDE: u32 = 16_888;

pub(super) struct Sps {
    pub id: u8,
    pub profile: HevcProfile,
    pub temporal_layers: u8,
    pub temporal_id_nested: bool,
    pub width: u32,
    pub height: u32,
    pub chroma_format: u8,
    pub luma_bits: u8,
    pub chroma_bits: u8,
    pub max_reorder: u8,
    pub frame_rate: Option<FrameRate>,
}

type Bits<'a> = BitReader<ByteReader<&'a [u8]>>;

fn bits(nal: &[u8]) -> Option<Bits<'_>> {
    Some(BitReader::new(ByteReader::skipping_bytes(
        nal,
        NonZeroUsize::new(2)?,
    )))
}

/// The first Exp-Golomb number of a NAL unit.
pub(super) fn first_number(nal: &[u8]) -> Option<u32> {
    bits(nal)?.read_ue("id").ok()
}

/// Read it; none where it is cut short or breaks a limit. What is behind the size is only looked at for the frame rate.
pub(super) fn read(nal: &[u8]) -> Option<Sps> {
    let mut bits = bits(nal)?;
    let (sps, order_bits) = read_head(&mut bits).ok()??;
    let frame_rate = read_frame_rate(&mut bits, order_bits).ok().flatten();
    Some(Sps { frame_rate, ..sps })
}

/// All up to the ordering of sub-layers, and the bits of a picture order count.
fn read_head(bits: &mut Bits<'_>) -> Result<Option<(Sps, u32)>, BitReaderError> {
    bits.skip(4, "sps_video_parameter_set_id")?;
    let max_sub_layers: u8 = bits.read::<3, u8>("sps_max_sub_layers_minus1")?;
    let temporal_id_nested = bits.read_bit("sps_temporal_id_nesting_flag")?;
    let profile = read_profile(bits, max_sub_layers)?;
    let id = bits.read_ue("sps_seq_parameter_set_id")?;
    let chroma_format = bits.read_ue("chroma_format_idc")?;
    if id > 15 || chroma_format > 3 || max_sub_layers > 6 {
        return Ok(None);
    }
    if chroma_format == 3 {
        bits.skip(1, "separate_colour_plane_flag")?;
    }
    let coded = (bits.read_ue("width")?, bits.read_ue("height")?);
    let (across, down) = if bits.read_bit("conformance_window_flag")? {
        let (left, right) = (bits.read_ue("left")?, bits.read_ue("right")?);
        (left.saturating_add(right), {
            let (top, bottom) = (bits.read_ue("top")?, bits.read_ue("bottom")?);
            top.saturating_add(bottom)
        })
    } else {
        (0, 0)
    };
    // Table 6-1: the window is given in samples of chroma.
    let (unit_x, unit_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let (Some(width), Some(height)) = (
        coded.0.checked_sub(across.saturating_mul(unit_x)),
        coded.1.checked_sub(down.saturating_mul(unit_y)),
    ) else {
        return Ok(None);
    };
    let (luma, chroma) = (
        bits.read_ue("bit_depth_luma")?,
        bits.read_ue("bit_depth_chroma")?,
    );
    let order_bits = bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?;
    let sides = 1..=MAX_SIDE;
    if !sides.contains(&width)
        || !sides.contains(&height)
        || luma.max(chroma) > 8
        || order_bits > 12
    {
        return Ok(None);
    }
    let first = if bits.read_bit("sps_sub_layer_ordering_info_present_flag")? {
        0
    } else {
        max_sub_layers
    };
    let mut max_reorder = 0;
    for _ in first..=max_sub_layers {
        bits.read_ue("sps_max_dec_pic_buffering_minus1")?;
        max_reorder = bits.read_ue("sps_max_num_reorder_pics")?;
        bits.read_ue("sps_max_latency_increase_plus1")?;
    }
    let sps = Sps {
        id: id as u8,
        profile,
        temporal_layers: max_sub_layers + 1,
        temporal_id_nested,
        width,
        height,
        chroma_format: chroma_format as u8,
        luma_bits: 8 + luma as u8,
        chroma_bits: 8 + chroma as u8,
        max_reorder: max_reorder.min(MAX_REFERENCES) as u8,
        frame_rate: None,
    };
    Ok(Some((sps, order_bits + 4)))
}

/// Section 7.3.3.
fn read_profile(bits: &mut Bits<'_>, max_sub_layers: u8) -> Result<HevcProfile, BitReaderError> {
    let profile = HevcProfile {
        space: bits.read::<2, u8>("general_profile_space")?,
        high_tier: bits.read_bit("general_tier_flag")?,
        idc: bits.read::<5, u8>("general_profile_idc")?,
        compatibility: bits.read_to("general_profile_compatibility_flags")?,
        constraints: [
            bits.read_to("constraints")?,
            bits.read_to("constraints")?,
            bits.read_to("constraints")?,
            bits.read_to("constraints")?,
            bits.read_to("constraints")?,
            bits.read_to("constraints")?,
        ],
        level: bits.read_to("general_level_idc")?,
    };
    let mut present = Vec::new();
    for _ in 0..max_sub_layers {
        present.push((
            bits.read_bit("sub_layer_profile_present_flag")?,
            bits.read_bit("sub_layer_level_present_flag")?,
        ));
    }
    if max_sub_layers > 0 {
        bits.skip(2 * (8 - u32::from(max_sub_layers)), "reserved_zero_2bits")?;
    }
    for (profile, level) in present {
        bits.skip(
            88 * u32::from(profile) + 8 * u32::from(level),
            "sub_layer_profile",
        )?;
    }
    Ok(profile)
}

/// Walk over all that lies before the timing; none where there is no timing.
fn read_frame_rate(
    bits: &mut Bits<'_>,
    order_bits: u32,
) -> Result<Option<FrameRate>, BitReaderError> {
    for _ in 0..6 {
        bits.read_ue("sizes of blocks")?;
    }
    if bits.read_bit("scaling_list_enabled_flag")?
        && bits.read_bit("sps_scaling_list_data_present_flag")?
    {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2, "amp_enabled_flag")?;
    if bits.read_bit("pcm_enabled_flag")? {
        bits.skip(8, "pcm_sample_bit_depth")?;
        bits.read_ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        bits.read_ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        bits.skip(1, "pcm_loop_filter_disabled_flag")?;
    }
    if !skip_short_term_sets(bits)? {
        return Ok(None);
    }
    if bits.read_bit("long_term_ref_pics_present_flag")? {
        let pictures = bits.read_ue("num_long_term_ref_pics_sps")?;
        if pictures > MAX_LONG_TERM_PICTURES {
            return Ok(None);
        }
        bits.skip(pictures * (order_bits + 1), "lt_ref_pic_poc_lsb_sps")?;
    }
    bits.skip(2, "sps_temporal_mvp_enabled_flag")?;
    if !bits.read_bit("vui_parameters_present_flag")? {
        return Ok(None);
    }
    read_timing(bits)
}

/// Section 7.3.4.
fn skip_scaling_lists(bits: &mut Bits<'_>) -> Result<(), BitReaderError> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.read_bit("scaling_list_pred_mode_flag")? {
                bits.read_ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            let coefficients = 64.min(1 << (4 + (size << 1)));
            for _ in 0..coefficients + u32::from(size > 1) {
                bits.read_se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// Section 7.3.7; false where a limit is broken.
fn skip_short_term_sets(bits: &mut Bits<'_>) -> Result<bool, BitReaderError> {
    let sets = bits.read_ue("num_short_term_ref_pic_sets")?;
    if sets > MAX_SHORT_TERM_SETS {
        return Ok(false);
    }
    let mut pictures = 0;
    for set in 0..sets {
        if set > 0 && bits.read_bit("inter_ref_pic_set_prediction_flag")? {
            bits.skip(1, "delta_rps_sign")?;
            bits.read_ue("abs_delta_rps_minus1")?;
            let mut kept = 0;
            for _ in 0..=pictures {
                let used = bits.read_bit("used_by_curr_pic_flag")?;
                kept += u32::from(used || bits.read_bit("use_delta_flag")?);
            }
            pictures = kept;
        } else {
            let (before, after) = (
                bits.read_ue("num_negative_pics")?,
                bits.read_ue("num_positive_pics")?,
            );
            if before > MAX_REFERENCES || after > MAX_REFERENCES {
                return Ok(false);
            }
            pictures = before + after;
            for _ in 0..pictures {
                bits.read_ue("delta_poc_minus1")?;
                bits.skip(1, "used_by_curr_pic_flag")?;
            }
        }
        if pictures > 2 * MAX_REFERENCES {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Section E.2.1, as far as the timing.
fn read_timing(bits: &mut Bits<'_>) -> Result<Option<FrameRate>, BitReaderError> {
    const EXTENDED_SAR: u8 = 255;
    if bits.read_bit("aspect_ratio_info_present_flag")?
        && bits.read_to::<u8>("aspect_ratio_idc")? == EXTENDED_SAR
    {
        bits.skip(32, "sar_width")?;
    }
    if bits.read_bit("overscan_info_present_flag")? {
        bits.skip(1, "overscan_appropriate_flag")?;
    }
    if bits.read_bit("video_signal_type_present_flag")? {
        bits.skip(4, "video_format")?;
        if bits.read_bit("colour_description_present_flag")? {
            bits.skip(24, "colour_primaries")?;
        }
    }
    if bits.read_bit("chroma_loc_info_present_flag")? {
        bits.read_ue("chroma_sample_loc_type_top_field")?;
        bits.read_ue("chroma_sample_loc_type_bottom_field")?;
    }
    bits.skip(3, "neutral_chroma_indication_flag")?;
    if bits.read_bit("default_display_window_flag")? {
        for _ in 0..4 {
            bits.read_ue("def_disp_win_offset")?;
        }
    }
    if !bits.read_bit("vui_timing_info_present_flag")? {
        return Ok(None);
    }
    let ticks = bits.read_to("vui_num_units_in_tick")?;
    Ok(FrameRate::new(bits.read_to("vui_time_scale")?, ticks))
}
