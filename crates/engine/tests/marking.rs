//! What is on the packets of a plain transport besides their payload: their class of service, their IP version.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "the standard library reads no control messages")]

mod support;

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use roomtone_engine::values::{Command, ErrorCode, Latching};
use support::{Harness, PlainOptions, config, is_rtcp, receive_rtp, rtp, socket, socket_on};

const EF: u8 = 46;
const AF41: u8 = 34;

fn tell_class(socket: &UdpSocket, level: i32, option: i32) {
    let on: libc::c_int = 1;
    // SAFETY: the option value is one readable int of the length given.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as u32,
        )
    };
    assert_eq!(rc, 0);
}

/// The next packet and the byte of its IP header that was the type of service.
fn receive_class(socket: &UdpSocket) -> (Vec<u8>, u8) {
    let mut bytes = [0_u8; 2048];
    let mut control = [0_u64; 16];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header points to buffers that live through the call; the control buffer is aligned for cmsghdr.
    let class = unsafe {
        let len = libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0);
        assert!(len > 0, "no packet in time");
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        assert!(!message.is_null(), "no class of service was told");
        (len as usize, *libc::CMSG_DATA(message))
    };
    (bytes[..class.0].to_vec(), class.1)
}

#[test]
fn what_is_sent_is_marked_with_the_class_asked_for() {
    for (ip, level, option, dscp) in [
        ("127.0.0.1", libc::IPPROTO_IP, libc::IP_RECVTOS, EF),
        ("127.0.0.1", libc::IPPROTO_IP, libc::IP_RECVTOS, AF41),
        ("::1", libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, EF),
    ] {
        let at = if ip.contains(':') {
            "[::1]:0"
        } else {
            "127.0.0.1:0"
        };
        let mut harness = Harness::new(config(1));
        let router = harness.router(None);
        let (peer, peer_at) = socket_on(at);
        let (rtcp_peer, rtcp_at) = socket_on(at);
        tell_class(&peer, level, option);
        tell_class(&rtcp_peer, level, option);
        let (transport, to, _) = harness.plain(PlainOptions {
            ip: ip.into(),
            rtcp_mux: false,
            dscp: Some(dscp),
            ..PlainOptions::on(router)
        });
        harness.done(Command::ConnectPlainTransport {
            transport,
            ip: peer_at.ip().to_string(),
            port: peer_at.port(),
            rtcp_port: Some(rtcp_at.port()),
            srtp: None,
            local_srtp: None,
            dtls: None,
        });
        let producer = harness.produce_opus(transport, Some(1));
        harness.consume_opus(transport, Some(producer), Some(2));
        peer.send_to(&rtp(111, 1, 0, 1, b"x"), to).unwrap();
        let (packet, class) = receive_class(&peer);
        assert!(!is_rtcp(&packet));
        assert_eq!(class >> 2, dscp);
        let (report, class) = receive_class(&rtcp_peer);
        assert!(is_rtcp(&report));
        assert_eq!(class >> 2, dscp);
    }
}

#[test]
fn a_class_beyond_six_bits_is_refused() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let refused = harness.refused(Command::OpenPlainTransport {
        router,
        listen_ip: "127.0.0.1".into(),
        rtcp_mux: true,
        latching: Latching::Fixed,
        rebind_silence_ms: 1000,
        srtp: None,
        secure: false,
        dtls: false,
        dscp: Some(64),
        extended_reports: false,
        cname: String::new(),
    });
    assert_eq!(refused, ErrorCode::Invalid);
    assert_eq!(harness.counter("transports"), 0);
}

#[test]
fn what_comes_over_one_ip_version_leaves_over_the_other() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (four, four_at) = socket();
    let (six, six_at) = socket_on("[::1]:0");
    let (on_four, to_four, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(on_four, four_at);
    let (on_six, to_six, _) = harness.plain(PlainOptions {
        ip: "::1".into(),
        ..PlainOptions::on(router)
    });
    harness.connect_plain(on_six, six_at);
    let from_four = harness.produce_opus(on_four, Some(4));
    let from_six = harness.produce_opus(on_six, Some(6));
    harness.consume_opus(on_four, Some(from_six), None);
    harness.consume_opus(on_six, Some(from_four), None);
    four.send_to(&rtp(111, 1, 0, 4, b"of four"), to_four)
        .unwrap();
    assert_eq!(receive_rtp(&six).payload, b"of four");
    six.send_to(&rtp(111, 1, 0, 6, b"of six"), to_six).unwrap();
    assert_eq!(receive_rtp(&four).payload, b"of six");
}
