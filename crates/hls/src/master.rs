//! The multivariant playlist (section 4.4.6).

use std::fmt::Write as _;

use crate::rendition::Rendition;
use crate::subtitles::Subtitles;

/// Write it: every video rendition is a variant, with all sound of a codec as its alternatives; without video every
/// sound is one. Text goes with all of them.
pub(crate) fn master_playlist(renditions: &[Rendition], subtitles: &[Subtitles]) -> String {
    let mut out = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    let (videos, sounds): (Vec<&Rendition>, Vec<&Rendition>) =
        renditions.iter().partition(|one| one.format.is_video());
    for text in subtitles {
        subtitles_of(&mut out, text);
    }
    let texts = subtitles.iter().map(|text| text.list.bandwidth());
    let text = texts.max();
    if videos.is_empty() {
        for sound in sounds {
            variant(&mut out, sound, None, text);
        }
        return out;
    }
    let mut groups: Vec<(String, Vec<&Rendition>)> = Vec::new();
    for sound in sounds {
        let codec = sound.format.name();
        let is_first = groups.is_empty();
        match groups
            .iter_mut()
            .find(|(_, of)| of[0].format.name() == codec)
        {
            Some((_, group)) => group.push(sound),
            // A player has one codec of sound, and takes the variants that are with it.
            None if is_first => groups.push(("audio".to_owned(), vec![sound])),
            None => groups.push((codec.to_lowercase(), vec![sound])),
        }
    }
    let all = groups.iter().flat_map(|(group, sounds)| {
        let numbered = sounds.iter().enumerate();
        numbered.map(move |(number, sound)| (group, number, sound))
    });
    for (group, number, sound) in all {
        let default = if number == 0 { "YES" } else { "NO" };
        let Some(channels) = sound.format.channels() else {
            continue;
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{name}\",DEFAULT={default},AUTOSELECT=YES,\
             CHANNELS=\"{channels}\",URI=\"{name}/index.m3u8\"",
            name = sound.name
        );
    }
    for video in &videos {
        if groups.is_empty() {
            variant(&mut out, video, None, text);
        }
    }
    for (group, sounds) in &groups {
        // A variant may be heard with the dearest of its sounds.
        let dearest = sounds.iter().max_by_key(|sound| sound.bandwidth());
        for video in &videos {
            let with = dearest.map(|sound| (&group[..], *sound));
            variant(&mut out, video, with, text);
        }
    }
    out
}

fn subtitles_of(out: &mut String, text: &Subtitles) {
    let name = &text.list.name;
    let language = text.language.as_ref();
    let shown = language.unwrap_or(name);
    let language = language.map_or_else(String::new, |tag| format!(",LANGUAGE=\"{tag}\""));
    let _ = writeln!(
        out,
        "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"{shown}\"{language},DEFAULT=NO,AUTOSELECT=YES,\
         FORCED=NO,URI=\"{name}/index.m3u8\""
    );
}

/// A variant, with the dearest sound that may be heard with it, and so many bits a second of text, where there is any.
fn variant(
    out: &mut String,
    rendition: &Rendition,
    with: Option<(&str, &Rendition)>,
    text: Option<u64>,
) {
    let sound = with.map(|(_, sound)| sound);
    let sound_bps = sound.map_or(0, |sound| sound.bandwidth());
    let peak = rendition.bandwidth() + sound_bps + text.unwrap_or(0);
    let mean = rendition.mean_bps() + sound.map_or(0, |sound| sound.mean_bps());
    let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak}");
    if mean > 0 {
        let _ = write!(out, ",AVERAGE-BANDWIDTH={}", mean.min(peak));
    }
    let codecs = rendition.format.codec_string();
    let _ = match sound {
        Some(sound) => write!(out, ",CODECS=\"{codecs},{}\"", sound.format.codec_string()),
        None => write!(out, ",CODECS=\"{codecs}\""),
    };
    if let Some((width, height)) = rendition.format.size() {
        let _ = write!(out, ",RESOLUTION={width}x{height}");
        if let Some(rate) = rendition.frame_rate() {
            let _ = write!(out, ",FRAME-RATE={rate:.3}");
        }
    }
    if let Some((group, _)) = with {
        let _ = write!(out, ",AUDIO=\"{group}\"");
    }
    if text.is_some() {
        out.push_str(",SUBTITLES=\"subtitles\"");
    }
    let _ = writeln!(out, "\n{}/index.m3u8", rendition.name);
}
