//! The `Forwarded` header (RFC 7239).

use hyper::HeaderMap;
use hyper::header::FORWARDED;

/// What one proxy says; the values are unquoted text, not yet believed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) from: Option<String>,
    pub(crate) proto: Option<String>,
    pub(crate) host: Option<String>,
}

/// All elements, nearest proxy last. Text that does not follow the grammar ends the list's usefulness: from the
/// left up to it nothing is kept, since belief goes from the right.
pub(crate) fn elements(headers: &HeaderMap) -> Vec<Element> {
    let mut all = Vec::new();
    for value in headers.get_all(FORWARDED) {
        for element in split_outside_quotes(value.to_str().unwrap_or(""), ',') {
            match parse_element(element) {
                Some(element) => all.push(element),
                None => all.clear(),
            }
        }
    }
    all
}

fn parse_element(text: &str) -> Option<Element> {
    let mut element = Element::default();
    for pair in split_outside_quotes(text, ';') {
        let pair = pair.trim();
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        let slot = match name.to_ascii_lowercase().as_str() {
            "for" => &mut element.from,
            "proto" => &mut element.proto,
            "host" => &mut element.host,
            _ => continue,
        };
        *slot = Some(unquote(value)?);
    }
    Some(element)
}

/// A token as it is, a quoted string without quotes and escapes; `None` where a quote is left open.
fn unquote(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let mut plain = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(plain),
            '\\' => plain.push(chars.next()?),
            other => plain.push(other),
        }
    }
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c: char| {
        let splits = c == separator && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        splits
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn parsed(text: &'static str) -> Vec<Element> {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, HeaderValue::from_static(text));
        elements(&headers)
    }

    #[test]
    fn the_examples_of_rfc_7239_section_4_are_read() {
        let all =
            parsed(r#"For="[2001:db8:cafe::17]:4711", for=192.0.2.60;proto=http;by=203.0.113.43"#);
        assert_eq!(all[0].from.as_deref(), Some("[2001:db8:cafe::17]:4711"));
        assert_eq!(all[1].from.as_deref(), Some("192.0.2.60"));
        assert_eq!(all[1].proto.as_deref(), Some("http"));
    }

    #[test]
    fn separators_inside_quotes_are_text() {
        let all = parsed(r#"host="a;b,c\"d";for=192.0.2.1"#);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].host.as_deref(), Some("a;b,c\"d"));
        assert_eq!(all[0].from.as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn nothing_left_of_broken_text_is_kept() {
        let all = parsed("for=6.6.6.6, nonsense, for=192.0.2.1");
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].from.as_deref(), Some("192.0.2.1"));
        assert!(parsed(r#"for="192.0.2.1"#).is_empty());
    }
}
