//! The system calls, as thin as they go.
#![expect(unsafe_code, reason = "what is measured is the call itself")]

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Where a datagram goes, in the kernel's form.
pub(crate) struct Target(libc::sockaddr_in);

#[repr(C, align(8))]
struct Control([u8; 64]);

impl Target {
    pub(crate) fn new(address: SocketAddrV4) -> Self {
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut name = unsafe { std::mem::zeroed::<libc::sockaddr_in>() };
        name.sin_family = libc::AF_INET as libc::sa_family_t;
        name.sin_port = address.port().to_be();
        name.sin_addr.s_addr = u32::from(*address.ip()).to_be();
        Self(name)
    }

    /// One datagram.
    pub(crate) fn send(&self, socket: RawFd, data: &[u8]) -> io::Result<()> {
        // SAFETY: data and name are alive for the call and of the lengths given.
        let sent = unsafe {
            libc::sendto(
                socket,
                data.as_ptr().cast(),
                data.len(),
                libc::MSG_NOSIGNAL,
                (&raw const self.0).cast(),
                size_of::<libc::sockaddr_in>() as libc::socklen_t,
            )
        };
        checked(sent)
    }

    /// Datagrams of `segment` bytes by one call.
    pub(crate) fn send_segmented(
        &self,
        socket: RawFd,
        data: &[u8],
        segment: u16,
    ) -> io::Result<()> {
        let mut control = Control([0; 64]);
        let mut vector = libc::iovec {
            iov_base: data.as_ptr().cast_mut().cast(),
            iov_len: data.len(),
        };
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut header = unsafe { std::mem::zeroed::<libc::msghdr>() };
        header.msg_name = (&raw const self.0).cast_mut().cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: the buffer is aligned for cmsghdr and has room for one message with a u16; the header points to
        // locals and to `data`, alive for the call; the kernel only reads them.
        let sent = unsafe {
            header.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::SOL_UDP;
            (*message).cmsg_type = libc::UDP_SEGMENT;
            (*message).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
            libc::CMSG_DATA(message)
                .cast::<u16>()
                .write_unaligned(segment);
            libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL)
        };
        checked(sent)
    }
}

/// Asks the kernel to hand over runs of equal datagrams as one.
pub(crate) fn enable_gro(socket: RawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option value is one readable int of the length given.
    let rc = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    checked(rc as isize)
}

fn checked(sent: isize) -> io::Result<()> {
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// CPU time of the calling thread, user and system.
pub(crate) fn thread_cpu() -> Duration {
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut time = unsafe { std::mem::zeroed::<libc::timespec>() };
    // SAFETY: `time` is writable for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Returns when a socket can be read or `timeout` is over.
pub(crate) fn wait(sockets: &[UdpSocket], timeout: Duration) {
    let poll = |socket: &UdpSocket| libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut fds: Vec<libc::pollfd> = sockets.iter().map(poll).collect();
    // SAFETY: `fds` is a valid array of its length for the whole call; a failed poll only returns early.
    unsafe {
        libc::poll(
            fds.as_mut_ptr(),
            fds.len() as libc::nfds_t,
            timeout.as_millis() as libc::c_int,
        )
    };
}
