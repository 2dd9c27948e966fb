//! Datagrams in, many a system call: `recvmmsg` with `UDP_GRO`; one datagram out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use super::address::{from_kernel, to_kernel};

/// Most datagrams the kernel makes of one segmented send (UDP_MAX_SEGMENTS of older kernels).
pub(crate) const MAX_SEGMENTS: usize = 64;

/// Messages taken by one `recvmmsg`.
const MESSAGES: usize = 32;
/// A coalesced message may be as long as an IP packet can.
const MESSAGE_BYTES: usize = 65_536;
/// Room for one control message with an int.
const CONTROL_BYTES: usize = 64;

/// Lets the kernel hand over runs of equal datagrams as one.
pub(crate) fn enable_gro(socket: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option value is one readable int of the length given.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// Where received datagrams lie. One is shared by all sockets of a shard; it does not move to another thread.
pub(crate) struct Datagrams {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Datagrams {
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
            bytes: vec![0; MESSAGES * MESSAGE_BYTES],
            names: vec![name; MESSAGES],
            controls: vec![Control([0; CONTROL_BYTES]); MESSAGES],
            vectors: vec![vector; MESSAGES],
            headers: vec![header; MESSAGES],
        }
    }

    /// Takes what waits on a non-blocking socket; how many messages came, 0 when none waits.
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        self.receive_some(socket, MESSAGES)
    }

    /// Takes at most so many messages: the kernel looks for one more than there is, which costs most where one comes
    /// at a time.
    pub(crate) fn receive_some(&mut self, socket: &impl AsRawFd, most: usize) -> io::Result<usize> {
        let most = most.min(MESSAGES);
        for index in 0..most {
            self.vectors[index] = libc::iovec {
                iov_base: self.bytes[index * MESSAGE_BYTES..].as_mut_ptr().cast(),
                iov_len: MESSAGE_BYTES,
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
            header.msg_flags = 0;
        }
        // SAFETY: every header points into vectors of `self`, which outlive the call and are not touched meanwhile.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                most as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(count).or_else(|_| none_or(io::Error::last_os_error()))
    }

    /// Takes one datagram from a socket that has no `UDP_GRO`, so that no run can come: how many there were, and
    /// message 0 is it. The kernel has no headers and vectors to read first.
    pub(crate) fn receive_alone(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        let mut name_len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        // SAFETY: buffer and name belong to `self` and are as long as said; the call ends before they are used again.
        let len = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                self.bytes.as_mut_ptr().cast(),
                MESSAGE_BYTES,
                libc::MSG_DONTWAIT,
                (&raw mut self.names[0]).cast(),
                &raw mut name_len,
            )
        };
        let Ok(len) = usize::try_from(len) else {
            return none_or(io::Error::last_os_error());
        };
        let header = &mut self.headers[0];
        header.msg_len = len as libc::c_uint;
        header.msg_hdr.msg_namelen = name_len;
        header.msg_hdr.msg_control = std::ptr::null_mut();
        header.msg_hdr.msg_controllen = 0;
        Ok(1)
    }

    /// How many messages one `receive` can return; that many mean that more may wait.
    pub(crate) const fn capacity() -> usize {
        MESSAGES
    }

    /// Message `index` of the last `receive`: sender, length of each segment, bytes of all segments.
    pub(crate) fn message(&mut self, index: usize) -> Option<(SocketAddr, usize, &mut [u8])> {
        let header = &self.headers[index];
        // SAFETY: the kernel wrote the sender's address when msg_namelen is not zero.
        let from = (header.msg_hdr.msg_namelen > 0)
            .then(|| unsafe { from_kernel((&raw const self.names[index]).cast()) })??;
        let len = (header.msg_len as usize).min(MESSAGE_BYTES);
        let segment = gro_segment(&header.msg_hdr).unwrap_or(len).max(1);
        let start = index * MESSAGE_BYTES;
        Some((from, segment, &mut self.bytes[start..start + len]))
    }
}

/// The datagrams of a message. An empty one is one too, of which `chunks_mut` would make none.
pub(crate) fn datagrams_of(bytes: &mut [u8], segment: usize) -> impl Iterator<Item = &mut [u8]> {
    let empty: Option<&mut [u8]> = bytes.is_empty().then(Default::default);
    empty.into_iter().chain(bytes.chunks_mut(segment))
}

/// Nothing came, or a real error: that of an earlier send (ICMP) shows up here and says nothing about what waits.
fn none_or(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock
        | io::ErrorKind::Interrupted
        | io::ErrorKind::ConnectionRefused => Ok(0),
        _ => Err(error),
    }
}

fn gro_segment(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: `header` was filled by recvmmsg and its control buffer is alive.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return headers that lie whole inside the buffer.
        let (level, kind) = unsafe { ((*control).cmsg_level, (*control).cmsg_type) };
        if level == libc::SOL_UDP && kind == libc::UDP_GRO {
            // SAFETY: a UDP_GRO message carries one int.
            let size = unsafe {
                libc::CMSG_DATA(control)
                    .cast::<libc::c_int>()
                    .read_unaligned()
            };
            return usize::try_from(size).ok().filter(|size| *size > 0);
        }
        // SAFETY: as above.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}

/// Sends one datagram.
pub(crate) fn send(socket: RawFd, to: SocketAddr, data: &[u8]) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of these plain C structures.
    let (mut name, mut header) = unsafe {
        (
            std::mem::zeroed::<libc::sockaddr_storage>(),
            std::mem::zeroed::<libc::msghdr>(),
        )
    };
    let mut vector = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    header.msg_namelen = to_kernel(to, &mut name);
    header.msg_name = (&raw mut name).cast();
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    // SAFETY: the header points to locals and to `data`, all alive for the length of the call; the kernel only reads them.
    let sent = unsafe {
        libc::sendmsg(
            socket,
            &raw const header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_datagram_alone_is_the_first_message_also_after_a_run() {
        let source = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = sink.local_addr().unwrap();
        let mut datagrams = Datagrams::new();
        assert_eq!(datagrams.receive_alone(&sink).unwrap(), 0);
        for data in [&b"one"[..], b"two", b"three", b""] {
            source.send_to(data, to).unwrap();
        }
        assert_eq!(datagrams.receive_some(&sink, 2).unwrap(), 2);
        for expected in [&b"three"[..], b""] {
            assert_eq!(datagrams.receive_alone(&sink).unwrap(), 1);
            let (from, segment, bytes) = datagrams.message(0).unwrap();
            assert_eq!(from, source.local_addr().unwrap());
            assert_eq!((segment, &*bytes), (expected.len().max(1), expected));
            let datagrams: Vec<_> = datagrams_of(bytes, segment).collect();
            assert_eq!(datagrams, [expected]);
        }
    }

    #[test]
    fn a_run_is_its_datagrams_and_the_last_may_be_shorter() {
        let mut run = *b"oneTWOth";
        let datagrams: Vec<_> = datagrams_of(&mut run, 3).collect();
        assert_eq!(datagrams, [&b"one"[..], b"TWO", b"th"]);
    }
}
