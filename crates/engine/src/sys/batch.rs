//! Sends to many destinations with one system call: `sendmmsg`, each message a datagram or a segmented run.
//!
//! The kernel's cost of a message is the same as alone. What is saved is going back and forth: the bytes of several
//! peers are written in one go, then the kernel's paths run in one go, each with its own code and data in the caches.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::address::to_kernel;

/// Messages of one call.
const MESSAGES: usize = 32;
/// Room for one control message with a u16.
const CONTROL_BYTES: usize = 24;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// One message that waits: where it goes and which bytes of the caller's buffer it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    pub(crate) socket: RawFd,
    pub(crate) to: SocketAddr,
    /// The socket is connected to it: the kernel need not be told.
    pub(crate) connected: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Length of each datagram but the last, which may be shorter.
    pub(crate) segment: usize,
    /// Datagrams.
    pub(crate) count: usize,
}

/// Messages that wait for one call. It does not move to another thread.
pub(crate) struct SendBatch {
    waiting: Vec<Sending>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl SendBatch {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let (name, vector, header) = unsafe {
            (
                std::mem::zeroed::<libc::sockaddr_storage>(),
                std::mem::zeroed::<libc::iovec>(),
                std::mem::zeroed::<libc::mmsghdr>(),
            )
        };
        Self {
            waiting: Vec::with_capacity(MESSAGES),
            names: vec![name; MESSAGES],
            controls: vec![segment_control(); MESSAGES],
            vectors: vec![vector; MESSAGES],
            headers: vec![header; MESSAGES],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether it must be sent before another message goes in.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() == MESSAGES
    }

    /// Adds a message; one too many is not taken, which [`Self::is_full`] tells before.
    pub(crate) fn push(&mut self, sending: Sending) {
        if !self.is_full() {
            self.waiting.push(sending);
        }
    }

    /// Sends all that waits, taking the bytes from `buffer`, and tells how each message fared. Gives the number of
    /// system calls.
    pub(crate) fn send(
        &mut self,
        buffer: &[u8],
        mut told: impl FnMut(&Sending, io::Result<()>),
    ) -> u64 {
        for index in 0..self.waiting.len() {
            self.prepare(index, buffer);
        }
        let (mut at, mut calls, mut again) = (0, 0, None);
        while at < self.waiting.len() {
            let socket = self.waiting[at].socket;
            let same = self.waiting[at..]
                .iter()
                .take_while(|sending| sending.socket == socket)
                .count();
            calls += 1;
            let sent = if same == 1 && self.waiting[at].count == 1 {
                send_one(socket, &self.headers[at].msg_hdr)
            } else {
                send_prepared(socket, &mut self.headers[at..at + same])
            };
            match sent {
                Ok(sent) => {
                    let done = at + sent.clamp(1, same);
                    for sending in &self.waiting[at..done] {
                        told(sending, Ok(()));
                    }
                    at = done;
                }
                // An ICMP error of an earlier send kept this one from leaving: it is told once.
                Err(error)
                    if self.waiting[at].connected
                        && error.kind() == io::ErrorKind::ConnectionRefused
                        && again != Some(at) =>
                {
                    again = Some(at);
                }
                // The kernel tells of the first message of a call only; the others are still to be tried.
                Err(error) => {
                    told(&self.waiting[at], Err(error));
                    at += 1;
                }
            }
        }
        self.waiting.clear();
        calls
    }

    fn prepare(&mut self, index: usize, buffer: &[u8]) {
        let sending = &self.waiting[index];
        let data = buffer.get(sending.start..sending.end).unwrap_or_default();
        let vector = &mut self.vectors[index];
        vector.iov_base = data.as_ptr().cast_mut().cast();
        vector.iov_len = data.len();
        let header = &mut self.headers[index].msg_hdr;
        if sending.connected {
            header.msg_namelen = 0;
            header.msg_name = std::ptr::null_mut();
        } else {
            header.msg_namelen = to_kernel(sending.to, &mut self.names[index]);
            header.msg_name = (&raw mut self.names[index]).cast();
        }
        header.msg_iov = &raw mut self.vectors[index];
        header.msg_iovlen = 1;
        if sending.count > 1 {
            let control = &mut self.controls[index].0;
            control[VALUE_AT..VALUE_AT + 2]
                .copy_from_slice(&(sending.segment as u16).to_ne_bytes());
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        } else {
            header.msg_control = std::ptr::null_mut();
            header.msg_controllen = 0;
        }
    }
}

/// Where the value lies in a control message (CMSG_DATA is behind an aligned `cmsghdr`).
const VALUE_AT: usize = size_of::<libc::cmsghdr>();

/// A control message UDP_SEGMENT, its value still to be set.
fn segment_control() -> Control {
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: the buffer is aligned for cmsghdr and longer than one; CMSG_LEN only computes.
    unsafe {
        let header = (&raw mut control).cast::<libc::cmsghdr>();
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
    }
    control
}

/// A datagram alone: `sendto` has no headers and vectors for the kernel to read first.
fn send_one(socket: RawFd, header: &libc::msghdr) -> io::Result<usize> {
    // SAFETY: a prepared header has a name or none and one vector, alive for the length of the call; the kernel only reads.
    let sent = unsafe {
        let vector = &*header.msg_iov;
        libc::sendto(
            socket,
            vector.iov_base,
            vector.iov_len,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            header.msg_name.cast(),
            header.msg_namelen,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(1)
    }
}

fn send_prepared(socket: RawFd, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    // SAFETY: the headers point into vectors of the batch and into the caller's buffer, all alive for the length of
    // the call; the kernel writes only msg_len of each header.
    let sent = unsafe {
        libc::sendmmsg(
            socket,
            headers.as_mut_ptr(),
            headers.len() as libc::c_uint,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    fn sending(
        socket: &UdpSocket,
        to: SocketAddr,
        range: (usize, usize),
        segment: usize,
    ) -> Sending {
        Sending {
            socket: socket.as_raw_fd(),
            to,
            connected: false,
            start: range.0,
            end: range.1,
            segment,
            count: (range.1 - range.0).div_ceil(segment),
        }
    }

    #[test]
    fn messages_of_two_sockets_and_a_run_arrive_each_as_it_is() {
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = sink.local_addr().unwrap();
        let (one, two) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let buffer: Vec<u8> = (0..100).collect();
        let mut batch = SendBatch::new();
        batch.push(sending(&one, to, (0, 10), 10));
        batch.push(sending(&one, to, (10, 35), 10));
        batch.push(sending(&two, to, (40, 45), 5));
        let mut told = 0;
        let calls = batch.send(&buffer, |_, sent| told += usize::from(sent.is_ok()));
        assert_eq!((calls, told, batch.is_empty()), (2, 3, true));
        let mut space = [0; 200];
        let mut lengths = vec![];
        for _ in 0..5 {
            let (len, from) = sink.recv_from(&mut space).unwrap();
            lengths.push((len, space[0], from == two.local_addr().unwrap()));
        }
        assert_eq!(
            lengths,
            [
                (10, 0, false),
                (10, 10, false),
                (10, 20, false),
                (5, 30, false),
                (5, 40, true)
            ]
        );
    }

    #[test]
    fn a_connected_socket_sends_on_although_its_peer_was_away() {
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = sink.local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        let connected = Sending {
            connected: true,
            ..sending(&socket, to, (0, 4), 4)
        };
        let mut batch = SendBatch::new();
        let mut send = || {
            let mut told = vec![];
            batch.push(connected);
            let calls = batch.send(b"data", |_, sent| told.push(sent.is_ok()));
            (calls, told)
        };
        assert_eq!(send(), (1, vec![true]));
        drop(sink);
        assert_eq!(send(), (1, vec![true]), "nobody has said yet");
        let sink = UdpSocket::bind(to).unwrap();
        assert_eq!(send(), (2, vec![true]));
        let mut space = [0; 16];
        assert_eq!(sink.recv(&mut space).unwrap(), 4);
    }

    #[test]
    fn a_message_that_fails_does_not_keep_the_others() {
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = sink.local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // An IPv6 destination on an IPv4 socket is refused.
        let wrong: SocketAddr = "[::1]:9".parse().unwrap();
        let mut batch = SendBatch::new();
        for to in [to, wrong, to] {
            batch.push(sending(&socket, to, (0, 4), 4));
        }
        let mut told = vec![];
        batch.send(b"data", |_, sent| told.push(sent.is_ok()));
        assert_eq!(told, [true, false, true]);
        let mut space = [0; 16];
        for _ in 0..2 {
            assert_eq!(sink.recv(&mut space).unwrap(), 4);
        }
    }
}
