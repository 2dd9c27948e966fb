//! Messages and interleaved packets as they lie in a connection (RFC 2326 sections 4 to 7 and 10.12).

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Bytes of a message before its body, at most.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// Headers of a message, at most.
pub const MAX_HEADERS: usize = 64;
/// Bytes of a body, at most.
pub const MAX_BODY_BYTES: usize = 128 << 10;
/// What an interleaved packet begins with, before its channel and length.
const INTERLEAVED: u8 = b'$';
const FRAME_BYTES: usize = 4;

/// What a server sends that is no RTSP, or more of it than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The head does not end.
    #[error("a message's head is longer than 16 KiB")]
    Head,
    /// It has too many headers.
    #[error("a message has more than 64 headers")]
    Headers,
    /// A body is too long, or its length no number.
    #[error("a message's body is longer than 128 KiB, or of no length")]
    Body,
    /// Its first line is of neither an answer nor a request.
    #[error("it does not speak RTSP")]
    NotRtsp,
}

/// Headers of a message, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first of a name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All of a name, in whatever case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self
            .0
            .iter()
            .filter(move |(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerResponse {
    /// As in HTTP.
    pub status: u16,
    /// Its words.
    pub reason: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body; empty where it has none.
    pub body: Bytes,
}

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRequest {
    /// As it stands there.
    pub method: String,
    /// Its headers.
    pub headers: Headers,
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// An answer.
    Response(ServerResponse),
    /// A request of its own.
    Request(ServerRequest),
    /// A packet of RTP or RTCP.
    Data {
        /// Of which, as agreed.
        channel: u8,
        /// The packet.
        payload: Bytes,
    },
}

/// Takes a connection's bytes apart.
///
/// Inputs: bytes as they come. Outputs: [`poll_incoming`](Self::poll_incoming) until it is none. Limits: a message is 16 KiB of head and
/// 128 KiB of body; what is longer is an error, after which nothing can be read.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
}

impl Reader {
    /// Take bytes.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What has come whole.
    pub fn poll_incoming(&mut self) -> Result<Option<Incoming>, WireError> {
        let blank = self
            .buffer
            .iter()
            .take_while(|one| matches!(one, b'\r' | b'\n'));
        let blank = blank.count();
        self.buffer.advance(blank);
        if self.buffer.first() == Some(&INTERLEAVED) {
            return Ok(self.next_data());
        }
        let head_len = find_end(&self.buffer);
        if head_len.map_or(self.buffer.len(), |(end, _)| end) > MAX_HEAD_BYTES {
            return Err(WireError::Head);
        }
        let Some((end, body_at)) = head_len else {
            return self.check_beginning().map(|()| None);
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let mut lines = head.split('\n').map(|line| line.trim_end_matches('\r'));
        let first = lines.next().unwrap_or_default();
        let headers = read_headers(lines)?;
        let len = headers.get("Content-Length").map_or(Ok(0), str::parse);
        let len: usize = len.map_err(|_| WireError::Body)?;
        if len > MAX_BODY_BYTES {
            return Err(WireError::Body);
        }
        if self.buffer.len() < body_at + len {
            return Ok(None);
        }
        self.buffer.advance(body_at);
        let body = self.buffer.split_to(len).freeze();
        read_message(first, headers, body).map(Some)
    }

    fn next_data(&mut self) -> Option<Incoming> {
        let (&channel, len) = (self.buffer.get(1)?, self.buffer.get(2..FRAME_BYTES)?);
        let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
        if self.buffer.len() < FRAME_BYTES + len {
            return None;
        }
        self.buffer.advance(FRAME_BYTES);
        let payload = self.buffer.split_to(len).freeze();
        Some(Incoming::Data { channel, payload })
    }

    /// What speaks something else is not waited for.
    fn check_beginning(&self) -> Result<(), WireError> {
        let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let first = self.buffer.first();
        first
            .is_none_or(is_text)
            .then_some(())
            .ok_or(WireError::NotRtsp)
    }
}

/// Where a head ends, and where what follows begins.
fn find_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let most = &bytes[..bytes.len().min(MAX_HEAD_BYTES + 4)];
    let ends = most.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at)
        .find_map(|at| match most.get(at + 1..) {
            Some([b'\n', ..]) => Some((at, at + 2)),
            Some([b'\r', b'\n', ..]) => Some((at, at + 3)),
            _ => None,
        })
}

fn read_headers<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Headers, WireError> {
    let mut headers = Headers::default();
    for line in lines {
        if headers.0.len() >= MAX_HEADERS {
            return Err(WireError::Headers);
        }
        // What is no header is passed over: cameras send such.
        if let Some((name, value)) = line.split_once(':') {
            headers
                .0
                .push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(headers)
}

fn read_message(first: &str, headers: Headers, body: Bytes) -> Result<Incoming, WireError> {
    let mut words = first.splitn(3, ' ');
    let (one, two) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let three = words.next().unwrap_or_default();
    if one.starts_with("RTSP/") {
        let status = two.parse().map_err(|_| WireError::NotRtsp)?;
        return Ok(Incoming::Response(ServerResponse {
            status,
            reason: three.trim().to_owned(),
            headers,
            body,
        }));
    }
    if !three.starts_with("RTSP/") {
        return Err(WireError::NotRtsp);
    }
    Ok(Incoming::Request(ServerRequest {
        method: one.to_owned(),
        headers,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-length: 3\r\n\r\nabc\
        $\x02\x00\x02xy\r\nREDIRECT rtsp://a/ RTSP/1.0\nLocation: rtsp://b/\n\n$\x01\x00\x00";

    fn read(pieces: &[&[u8]]) -> Vec<Incoming> {
        let (mut reader, mut found) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.handle_bytes(piece);
            while let Some(one) = reader.poll_incoming().unwrap() {
                found.push(one);
            }
        }
        found
    }

    #[test]
    fn answers_requests_and_packets_are_told_apart() {
        let found = read(&[ALL]);
        let [
            Incoming::Response(answer),
            data,
            Incoming::Request(request),
            last,
        ] = &found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
        assert_eq!(answer.headers.get("cseq"), Some("1"));
        assert_eq!(&answer.body[..], b"abc");
        let payload = Bytes::from_static(b"xy");
        assert_eq!(
            data,
            &Incoming::Data {
                channel: 2,
                payload
            }
        );
        assert_eq!(request.method, "REDIRECT");
        assert_eq!(request.headers.get("Location"), Some("rtsp://b/"));
        let payload = Bytes::new();
        assert_eq!(
            last,
            &Incoming::Data {
                channel: 1,
                payload
            }
        );
    }

    proptest! {
        #[test]
        fn where_a_connection_is_cut_changes_nothing(at in 0..ALL.len(), other in 0..ALL.len()) {
            let (at, other) = (at.min(other), at.max(other));
            let pieces = [&ALL[..at], &ALL[at..other], &ALL[other..]];
            prop_assert_eq!(read(&pieces), read(&[ALL]));
        }
    }

    #[test]
    fn what_is_too_much_or_something_else_is_an_error() {
        let fails = |bytes: &[u8]| {
            let mut reader = Reader::default();
            reader.handle_bytes(bytes);
            reader.poll_incoming().unwrap_err()
        };
        assert_eq!(fails(&vec![b'a'; MAX_HEAD_BYTES + 1]), WireError::Head);
        assert_eq!(fails(b"\x16\x03\x01"), WireError::NotRtsp);
        assert_eq!(fails(b"HTTP/1.1 200 OK\r\n\r\n"), WireError::NotRtsp);
        assert_eq!(
            fails(b"RTSP/1.0 200 OK\r\nContent-Length: 999999\r\n\r\n"),
            WireError::Body
        );
        let many = format!(
            "RTSP/1.0 200 OK\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_HEADERS + 1)
        );
        assert_eq!(fails(many.as_bytes()), WireError::Headers);
    }
}
