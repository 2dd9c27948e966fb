//! Waiting for many sockets at once.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Returns when a socket can be read or `timeout` is over.
#[expect(unsafe_code, reason = "poll(2) has no wrapper in std")]
pub(crate) fn wait(sockets: &[&UdpSocket], timeout: Duration) {
    let mut fds: Vec<libc::pollfd> = sockets
        .iter()
        .map(|socket| libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let ms = timeout.as_micros().div_ceil(1000) as libc::c_int;
    // SAFETY: `fds` is a valid array of its length for the whole call; a failed poll only returns early.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, ms) };
}
