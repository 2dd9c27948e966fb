//! Request paths as the application will understand them.

/// The path with percent-encoding undone once, or `None` where that leaves no text (bad escape, bad UTF-8, NUL).
///
/// Prefix rules are checked on this form: the application decodes too, so `/%6detrics` is `/metrics`.
pub(crate) fn decode(raw: &str) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        };
        if byte == 0 {
            return None;
        }
        out.push(byte);
    }
    String::from_utf8(out).ok()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Whether a decoded path is `prefix` or below it. Empty segments are passed over, so `//metrics` is `/metrics`.
pub(crate) fn is_under(path: &str, prefix: &str) -> bool {
    remainder(path, prefix).is_some()
}

/// The segments of a decoded path below `prefix`, empty ones left out.
pub(crate) fn remainder<'a>(path: &'a str, prefix: &str) -> Option<Vec<&'a str>> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for expected in prefix.split('/').filter(|segment| !segment.is_empty()) {
        if segments.next() != Some(expected) {
            return None;
        }
    }
    Some(segments.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(decode("/a%20b").as_deref(), Some("/a b"));
        assert_eq!(decode("/%6detrics").as_deref(), Some("/metrics"));
        assert_eq!(decode("/%252e").as_deref(), Some("/%2e"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for raw in ["/%", "/%4", "/%zz", "/%00", "/%ff"] {
            assert_eq!(decode(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert!(is_under("/metrics", "/metrics"));
        assert!(is_under("/metrics/x", "/metrics/"));
        assert!(is_under("//metrics", "/metrics"));
        assert!(!is_under("/metricsx", "/metrics"));
        assert!(is_under("/anything", "/"));
    }

    #[test]
    fn the_remainder_is_what_lies_below() {
        assert_eq!(remainder("/a/b//c", "/a"), Some(vec!["b", "c"]));
        assert_eq!(remainder("/b", "/a"), None);
    }
}
