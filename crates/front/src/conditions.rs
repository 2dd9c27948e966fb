//! Conditional requests and ranges (RFC 9110 sections 13 and 14).

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

/// Which part of a representation is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// Both ends included.
    Range {
        first: u64,
        last: u64,
    },
    Unsatisfiable,
}

/// Whether the client's copy is current; not everything has a date.
pub(crate) fn is_not_modified(
    headers: &HeaderMap,
    etag: &str,
    modified: Option<SystemTime>,
) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|tags| matches_tag(tags, etag));
    }
    text(headers, &IF_MODIFIED_SINCE)
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .zip(modified)
        .is_some_and(|(since, modified)| is_not_after(modified, since))
}

/// HTTP dates have whole seconds.
fn is_not_after(modified: SystemTime, since: SystemTime) -> bool {
    modified < since + Duration::from_secs(1)
}

fn matches_tag(tags: &str, own: &str) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == own)
}

/// The single range asked for. Several ranges, or a form we do not know, mean the whole.
pub(crate) fn part(headers: &HeaderMap, etag: &str, len: u64) -> Part {
    let is_stale = text(headers, &IF_RANGE).is_some_and(|condition| condition != etag);
    let Some(range) = text(headers, &RANGE).filter(|_| !is_stale) else {
        return Part::Whole;
    };
    parse_range(range, len).unwrap_or(Part::Whole)
}

fn parse_range(text: &str, len: u64) -> Option<Part> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let end = len.checked_sub(1);
    if first.is_empty() {
        let wanted: u64 = last.parse().ok()?;
        return Some(match end {
            Some(last) if wanted > 0 => Part::Range {
                first: len.saturating_sub(wanted),
                last,
            },
            _ => Part::Unsatisfiable,
        });
    }
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() {
        u64::MAX
    } else {
        last.parse().ok()?
    };
    if last < first {
        return None;
    }
    Some(match end {
        Some(end) if first <= end => Part::Range {
            first,
            last: last.min(end),
        },
        _ => Part::Unsatisfiable,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (text, expected) in [
            ("bytes=0-3", Some(Part::Range { first: 0, last: 3 })),
            ("bytes=8-99", Some(Part::Range { first: 8, last: 9 })),
            ("bytes=4-", Some(Part::Range { first: 4, last: 9 })),
            ("bytes=-3", Some(Part::Range { first: 7, last: 9 })),
            ("bytes=-99", Some(Part::Range { first: 0, last: 9 })),
            ("bytes=10-", Some(Part::Unsatisfiable)),
            ("bytes=-0", Some(Part::Unsatisfiable)),
            ("bytes=3-1", None),
            ("bytes=0-1,4-5", None),
            ("lines=0-1", None),
            ("bytes=", None),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_file_has_no_range() {
        assert_eq!(parse_range("bytes=0-", 0), Some(Part::Unsatisfiable));
        assert_eq!(parse_range("bytes=-1", 0), Some(Part::Unsatisfiable));
    }

    #[test]
    fn tags_are_compared_weakly() {
        assert!(matches_tag("\"a\", W/\"b\"", "\"b\""));
        assert!(matches_tag("*", "\"b\""));
        assert!(!matches_tag("\"a\"", "\"b\""));
    }
}
