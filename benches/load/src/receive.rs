//! Receiving, with or without `UDP_GRO`: with it a segmented send that crosses loopback whole arrives whole, as it does
//! behind a network card that segments or coalesces; without it the kernel splits it on the sender's time.
#![expect(unsafe_code, reason = "UDP_GRO has no wrapper in std")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// As long as a coalesced message can be.
pub(crate) const SPACE: usize = 65_536;

#[repr(C, align(8))]
struct Control([u8; 64]);

/// Asks the kernel to hand over runs of equal datagrams as one.
pub(crate) fn enable_gro(socket: &UdpSocket) -> io::Result<()> {
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
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// One message: its length, the length of each datagram in it but the last, and who sent it.
pub(crate) fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, usize, SocketAddr)> {
    let mut control = Control([0; 64]);
    // SAFETY: all-zero is a valid value of these plain C structures.
    let (mut name, mut header) = unsafe {
        (
            std::mem::zeroed::<libc::sockaddr_storage>(),
            std::mem::zeroed::<libc::msghdr>(),
        )
    };
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: the header points to locals and to the buffer, which outlive the call and are not read meanwhile.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let segment = segment_of(&header).unwrap_or(len).max(1);
    let source = address(&name).ok_or(io::ErrorKind::InvalidData)?;
    Ok((len, segment, source))
}

fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: `header` was filled by recvmsg and its control buffer is alive.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give headers that lie whole inside the buffer.
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

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, which sockaddr_storage has room and alignment for.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, which sockaddr_storage has room and alignment for.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddr::new(
                IpAddr::V6(ip),
                u16::from_be(name.sin6_port),
            ))
        }
        _ => None,
    }
}
