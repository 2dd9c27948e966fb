//! Lines of text that encoders send beside their media: `onTextData`, as FFmpeg and Wowza write it. No end of a line is
//! among what they say.

use crate::Value;

/// A line of text that is shown with the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextLine {
    /// When, on the zero of the tracks.
    pub milliseconds: i64,
    /// Which language it is in, as the encoder names it.
    pub language: Option<String>,
    /// Nothing: what was shown before is taken away.
    pub text: String,
}

/// Bytes of a line; a longer one is none.
const MAX_BYTES: usize = 4096;

/// The name of messages that hold one.
pub(super) const NAME: &str = "onTextData";

/// What such a message says: text, and its language; none where it has no text, or too much.
pub(super) fn read(values: &[Value]) -> Option<(String, Option<String>)> {
    let held = values.first()?;
    let member = |name: &str| held.member(name).and_then(Value::as_str);
    let language = member("language").or_else(|| member("lang"));
    let language = language.filter(|tag| !tag.is_empty()).map(str::to_owned);
    let text = member("text").filter(|text| text.len() <= MAX_BYTES)?;
    Some((text.to_owned(), language))
}
