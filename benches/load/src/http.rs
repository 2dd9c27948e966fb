//! The little of HTTP/1.1 that posting an offer takes, over plain TCP on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer with the headers a WHIP client reads.
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Value of `Location`, empty when absent.
    pub(crate) location: String,
    /// Body as text.
    pub(crate) body: String,
}

/// Sends one request and reads the whole answer; the connection is closed after it.
pub(crate) fn request(method: &str, url: &str, bearer: &str, body: &str) -> Result<Answer, String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("only http:// is spoken, not {url}"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let fail = |what: &str, e: std::io::Error| format!("{what} {url}: {e}");
    let mut stream = TcpStream::connect(host).map_err(|e| fail("connect", e))?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(|e| fail("configure", e))?;
    let authorization = if bearer.is_empty() {
        String::new()
    } else {
        format!("Authorization: Bearer {bearer}\r\n")
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/sdp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()))
        .map_err(|e| fail("send to", e))?;
    let mut raw = Vec::new();
    stream
        .read_to_end(&mut raw)
        .map_err(|e| fail("read from", e))?;
    parse(&raw).ok_or_else(|| format!("{url}: the answer is not HTTP"))
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(raw);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let chunked = header("transfer-encoding").eq_ignore_ascii_case("chunked");
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        location: header("location"),
        body: if chunked {
            unchunk(body)?
        } else {
            body.to_owned()
        },
    })
}

fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
}
