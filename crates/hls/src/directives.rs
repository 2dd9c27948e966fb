//! Delivery directives in the query of a playlist request (section 6.2.5).

use thiserror::Error;

/// What a client asks of a media playlist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn` and, with it, `_HLS_part`.
    pub wanted: Option<Wanted>,
    /// Whether segments may be left out.
    pub skip: bool,
}

/// The media that the playlist must have before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Media sequence number.
    pub segment: u64,
    /// Which part of it; none: the whole.
    pub part: Option<u64>,
}

/// Why a request cannot be answered: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DirectiveError {
    /// A number that is none.
    #[error("a delivery directive is not a whole number")]
    NotANumber,
    /// `_HLS_part` without `_HLS_msn`.
    #[error("_HLS_part stands without _HLS_msn")]
    PartAlone,
    /// A word for `_HLS_skip` that means nothing.
    #[error("_HLS_skip is neither YES nor v2")]
    UnknownSkip,
    /// Further ahead than anybody can wish.
    #[error("the playlist asked for is too far in the future")]
    TooFar,
}

impl Directives {
    /// Read a query string, without its question mark; other parameters are left alone.
    pub fn parse(query: &str) -> Result<Self, DirectiveError> {
        let (mut segment, mut part, mut skip) = (None, None, false);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => segment = Some(number(value)?),
                "_HLS_part" => part = Some(number(value)?),
                "_HLS_skip" if matches!(value, "YES" | "v2") => skip = true,
                "_HLS_skip" => return Err(DirectiveError::UnknownSkip),
                _ => {}
            }
        }
        match (segment, part) {
            (None, Some(_)) => Err(DirectiveError::PartAlone),
            (None, None) => Ok(Self { wanted: None, skip }),
            (Some(segment), part) => Ok(Self {
                wanted: Some(Wanted { segment, part }),
                skip,
            }),
        }
    }
}

/// Digits alone: a sign or a space is none.
fn number(value: &str) -> Result<u64, DirectiveError> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DirectiveError::NotANumber);
    }
    value.parse().map_err(|_| DirectiveError::NotANumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_in_any_order_among_others() {
        let directives = Directives::parse("token=x&_HLS_part=2&_HLS_msn=7&_HLS_skip=YES").unwrap();
        assert_eq!(
            directives,
            Directives {
                wanted: Some(Wanted {
                    segment: 7,
                    part: Some(2)
                }),
                skip: true
            }
        );
        assert_eq!(Directives::parse("").unwrap(), Directives::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (query, error) in [
            ("_HLS_part=1", DirectiveError::PartAlone),
            ("_HLS_msn=-1", DirectiveError::NotANumber),
            ("_HLS_msn=%2B1", DirectiveError::NotANumber),
            ("_HLS_msn=", DirectiveError::NotANumber),
            ("_HLS_msn=1&_HLS_part=x", DirectiveError::NotANumber),
            ("_HLS_msn=99999999999999999999", DirectiveError::NotANumber),
            ("_HLS_skip=maybe", DirectiveError::UnknownSkip),
        ] {
            assert_eq!(Directives::parse(query), Err(error), "{query}");
        }
    }
}
