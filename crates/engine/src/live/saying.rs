//! Lines of text that somebody says to a stream by a command.

use roomtone_hls::{TextCue, TextRefused, is_language};

use super::program::Program;
use crate::failure::Failure;
use crate::values::{ErrorCode, StreamText};

/// How far from the newest of the lists a line may begin, in milliseconds.
const DELAY_MS: std::ops::RangeInclusive<i32> = -10_000..=30_000;
/// How long it may be shown.
const DURATION_MS: std::ops::RangeInclusive<u32> = 100..=60_000;

/// Have it shown; refused where nobody would see it.
pub(super) fn show(program: &Program, wish: StreamText) -> Result<(), Failure> {
    if !DELAY_MS.contains(&wish.delay_ms) {
        return Err(Failure::invalid("delay_ms is -10000 to 30000"));
    }
    if wish
        .duration_ms
        .is_some_and(|ms| !DURATION_MS.contains(&ms))
    {
        return Err(Failure::invalid("duration_ms is 100 to 60000"));
    }
    if wish
        .language
        .as_deref()
        .is_some_and(|tag| !is_language(tag))
    {
        return Err(Failure::invalid("language is a tag of BCP 47: en, pt-BR"));
    }
    let begun = || Failure::wrong_state("the stream has not begun");
    let channel = program.channel.as_ref().ok_or_else(begun)?;
    channel.with(|packager| {
        let start_us = packager.newest_us().ok_or_else(begun)? + i64::from(wish.delay_ms) * 1000;
        let end_us = wish.duration_ms.map(|ms| start_us + i64::from(ms) * 1000);
        let cue = TextCue {
            language: wish.language,
            start_us,
            end_us,
            text: wish.text,
        };
        packager.handle_text(cue).map_err(|refused| match refused {
            TextRefused::TooLong => Failure::invalid("text is up to 4096 bytes"),
            TextRefused::Late => Failure::invalid("the line is over before it could be shown"),
            TextRefused::Early | TextRefused::TooManyLanguages => {
                Failure::new(ErrorCode::Limit, refused.to_string())
            }
            TextRefused::Ended => Failure::wrong_state("the stream has ended"),
        })
    })
}
