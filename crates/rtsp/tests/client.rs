//! A client against a server that is written down here, message by message.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use roomtone_rtsp::{Choice, Client, ClientConfig, ClientEnd, ClientEvent, Placed, Target};

const SDP: &str = "v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:one\r\n\
    m=audio 0 RTP/AVP 8\r\na=control:rtsp://cam.example/live/two\r\n";

struct Line {
    client: Client,
    now: Instant,
    number: u32,
}

impl Line {
    fn new(login: &str) -> Self {
        let now = Instant::now();
        let config = ClientConfig {
            target: Target::parse(&format!("rtsp://{login}cam.example/live")).unwrap(),
            agent: "test".to_owned(),
        };
        Self {
            client: Client::new(config, [7; 32], now),
            now,
            number: 0,
        }
    }

    /// The next request.
    fn asked(&mut self) -> String {
        let bytes = self.client.poll_output().expect("something is asked for");
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let number = text
            .split("CSeq: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        self.number = number.unwrap().parse().unwrap();
        text
    }

    fn answer(&mut self, status: &str, headers: &str, body: &str) {
        let text = format!(
            "RTSP/1.0 {status}\r\nCSeq: {}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.number,
            body.len()
        );
        self.client.handle_bytes(text.as_bytes(), self.now);
    }

    /// Up to what is described.
    fn describe(&mut self) {
        assert!(
            self.asked()
                .starts_with("OPTIONS rtsp://cam.example/live RTSP/1.0\r\n")
        );
        self.answer("200 OK", "Public: DESCRIBE, GET_PARAMETER\r\n", "");
        assert!(
            self.asked()
                .starts_with("DESCRIBE rtsp://cam.example/live RTSP/1.0\r\n")
        );
        self.answer("200 OK", "Content-Base: rtsp://cam.example/live/\r\n", SDP);
        let Some(ClientEvent::Described(media)) = self.client.poll_event() else {
            panic!("nothing is described")
        };
        assert_eq!(media.len(), 2);
    }

    fn set_up(&mut self, choices: &[Choice], transports: &[&str]) {
        self.client.set_up(choices, self.now);
        for transport in transports {
            assert!(self.asked().starts_with("SETUP "));
            self.answer(
                "200 OK",
                &format!("Session: 12;timeout=20\r\nTransport: {transport}\r\n"),
                "",
            );
        }
        let play = self.asked();
        assert!(
            play.starts_with("PLAY rtsp://cam.example/live/ RTSP/1.0\r\n"),
            "{play}"
        );
        assert!(play.contains("Session: 12\r\n"));
        self.answer("200 OK", "", "");
    }
}

const BOTH: [Choice; 2] = [
    Choice {
        media: 0,
        ports: None,
    },
    Choice {
        media: 1,
        ports: None,
    },
];

#[test]
fn packets_come_by_the_channels_that_the_server_gives_them() {
    let mut line = Line::new("");
    line.describe();
    line.client.set_up(&BOTH, line.now);
    let first = line.asked();
    assert!(
        first.starts_with("SETUP rtsp://cam.example/live/one RTSP/1.0\r\n"),
        "{first}"
    );
    assert!(first.contains("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"));
    line.answer(
        "200 OK",
        "Session: 12\r\nTransport: RTP/AVP/TCP;interleaved=4-5\r\n",
        "",
    );
    assert!(
        line.asked()
            .starts_with("SETUP rtsp://cam.example/live/two RTSP/1.0\r\n")
    );
    line.answer("200 OK", "Session: 12\r\n", "");
    assert!(line.asked().starts_with("PLAY "));
    line.answer("200 OK", "", "");
    assert!(
        matches!(line.client.poll_event(), Some(ClientEvent::Playing(placed)) if placed.len() == 2)
    );
    line.client
        .handle_bytes(b"$\x05\x00\x01a$\x02\x00\x01b$\x09\x00\x01c", line.now);
    let got: Vec<_> = std::iter::from_fn(|| line.client.poll_event()).collect();
    let data = |media, is_rtcp, payload: &'static [u8]| ClientEvent::Data {
        media,
        is_rtcp,
        payload: payload.into(),
    };
    assert_eq!(got, [data(0, true, b"a"), data(1, false, b"b")]);
    assert!(line.client.send_report(0, b"report"));
    assert_eq!(
        &line.client.poll_output().unwrap()[..],
        b"$\x05\x00\x06report"
    );
}

#[test]
fn datagrams_are_asked_for_by_ports_and_their_source_is_only_told() {
    let mut line = Line::new("");
    line.describe();
    let choice = Choice {
        media: 0,
        ports: Some((5000, 5001)),
    };
    line.set_up(
        &[choice],
        &["RTP/AVP;client_port=5000-5001;server_port=6000-6001;source=10.0.0.9"],
    );
    let placed = Placed {
        media: 0,
        server_ports: Some((6000, 6001)),
        source: Some(IpAddr::from([10, 0, 0, 9])),
    };
    assert_eq!(
        line.client.poll_event(),
        Some(ClientEvent::Playing(vec![placed]))
    );
    assert!(!line.client.send_report(0, b"report"));
}

#[test]
fn a_login_is_shown_when_it_is_asked_for_and_a_wrong_one_once() {
    let mut line = Line::new("me:secret@");
    let first = line.asked();
    assert!(!first.contains("Authorization") && !first.contains("secret"));
    line.answer("200 OK", "", "");
    line.asked();
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
    line.answer("401 Unauthorized", challenge, "");
    let shown = line.asked();
    assert!(
        shown.starts_with("DESCRIBE ") && shown.contains("Authorization: Digest username=\"me\"")
    );
    assert!(!shown.contains("secret"));
    line.answer(
        "401 Unauthorized",
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\", stale=true\r\n",
        "",
    );
    assert!(line.asked().contains("nonce=\"m\""));
    line.answer("401 Unauthorized", challenge, "");
    assert_eq!(
        line.client.ended(),
        Some(&ClientEnd::Unauthorized { shown: true })
    );
    let mut bare = Line::new("");
    bare.asked();
    bare.answer("401 Unauthorized", challenge, "");
    assert_eq!(
        bare.client.ended(),
        Some(&ClientEnd::Unauthorized { shown: false })
    );
}

#[test]
fn a_session_is_kept_alive_and_one_that_is_not_answered_is_over() {
    let mut line = Line::new("");
    line.describe();
    line.set_up(&BOTH[..1], &["RTP/AVP/TCP;interleaved=0-1"]);
    let at = line.client.next_timeout().unwrap();
    assert_eq!(at - line.now, Duration::from_secs(10));
    line.client
        .handle_timeout(at.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(line.client.poll_output(), None);
    line.client.handle_timeout(at);
    let kept = line.asked();
    assert!(
        kept.starts_with("GET_PARAMETER rtsp://cam.example/live/ ") && kept.contains("Session: 12")
    );
    // What does not know how is alive all the same.
    line.answer("501 Not Implemented", "", "");
    assert_eq!(line.client.ended(), None);
    line.now = at;
    let again = line.client.next_timeout().unwrap();
    line.client.handle_timeout(again);
    line.asked();
    let late = line.client.next_timeout().unwrap();
    line.client.handle_timeout(late);
    assert_eq!(line.client.ended(), Some(&ClientEnd::NotAnswered));
}

#[test]
fn who_sends_elsewhere_is_told_of_and_not_followed() {
    let mut line = Line::new("");
    line.asked();
    line.answer("302 Moved", "Location: rtsp://other.example/a\r\n", "");
    let elsewhere = ClientEnd::Redirected("rtsp://other.example/a".to_owned());
    assert_eq!(line.client.ended(), Some(&elsewhere));
    assert_eq!(line.client.poll_output(), None);
    let mut playing = Line::new("");
    playing.describe();
    playing.set_up(&BOTH[..1], &["RTP/AVP/TCP;interleaved=0-1"]);
    let request = b"REDIRECT * RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://other.example/a\r\n\r\n";
    playing.client.handle_bytes(request, playing.now);
    assert_eq!(playing.client.ended(), Some(&elsewhere));
}

#[test]
fn what_is_refused_and_what_offers_nothing_is_over() {
    let mut line = Line::new("");
    line.describe();
    line.client.set_up(&BOTH, line.now);
    line.asked();
    line.answer("461 Unsupported Transport", "", "");
    let end = line.client.ended().unwrap();
    assert_eq!(end.to_string(), "refused: 461 Unsupported Transport");
    let mut nothing = Line::new("");
    nothing.describe();
    nothing.client.set_up(&[], nothing.now);
    assert_eq!(nothing.client.ended(), Some(&ClientEnd::Nothing));
}

#[test]
fn a_session_that_is_closed_is_torn_down() {
    let mut line = Line::new("");
    line.describe();
    line.set_up(&BOTH[..1], &["RTP/AVP/TCP;interleaved=0-1"]);
    line.client.close(line.now);
    assert!(line.asked().starts_with("TEARDOWN "));
}
