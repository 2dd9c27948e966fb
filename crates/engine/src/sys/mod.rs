//! The only unsafe code of the engine: what the kernel offers beyond the standard library.
//!
//! Each call wraps one system call in a safe signature; no policy lives here.
#![allow(unsafe_code)]

mod address;
mod batch;
mod epoll;
mod eventfd;
mod fetch;
mod interfaces;
mod limits;
mod udp;

pub(crate) use batch::{SendBatch, Sending};
pub(crate) use epoll::{Epoll, Ready};
pub(crate) use eventfd::{EventFd, wait_readable};
pub(crate) use fetch::fetch;
pub(crate) use interfaces::interface_addresses;
pub(crate) use limits::open_files_limit;
pub(crate) use udp::{Datagrams, MAX_SEGMENTS, datagrams_of, enable_gro, send};
