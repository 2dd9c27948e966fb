//! What the kernel lets this process have.

/// How many descriptors this process may have open; 0 if the kernel does not say.
pub(crate) fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit, which lives for the length of the call.
    let rc = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if rc < 0 { 0 } else { limit.rlim_cur }
}
