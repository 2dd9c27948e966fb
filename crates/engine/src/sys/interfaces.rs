//! The addresses this host has.

use std::io;
use std::net::IpAddr;

use super::address::from_kernel;

/// Every address of every interface that is up; link-local IPv6 left out (they mean nothing without their link).
pub(crate) fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs writes a pointer to a list it owns until freeifaddrs.
    if unsafe { libc::getifaddrs(&raw mut list) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: `entry` is a member of the list, which is freed only below.
        let (flags, address, next) =
            unsafe { ((*entry).ifa_flags, (*entry).ifa_addr, (*entry).ifa_next) };
        if !address.is_null() && flags & (libc::IFF_UP as u32) != 0 {
            // SAFETY: a non-null ifa_addr has the length of its family.
            if let Some(address) = unsafe { from_kernel(address) } {
                found.push(address.ip());
            }
        }
        entry = next;
    }
    // SAFETY: the list came from getifaddrs and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    found.retain(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
