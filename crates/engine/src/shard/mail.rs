//! Sends of several peers gathered in one buffer, on their way to one system call.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use crate::counters::Counters;
use crate::sys::{MAX_SEGMENTS, SendBatch, Sending, send};

/// Room for the bursts of several peers, so that they leave with one system call.
const BUFFER: usize = 128 * 1024;
/// Bytes of one segmented send: a little under what an IPv4 packet holds.
const MAX_RUN_BYTES: usize = 64_000;
/// One datagram socket and one destination: gathers equal packets into one segmented send.
pub(super) struct Run {
    socket: RawFd,
    to: SocketAddr,
    /// The socket is connected to it.
    connected: bool,
    start: usize,
    end: usize,
    segment: usize,
    count: usize,
}

impl Run {
    pub(super) fn new(socket: RawFd, to: SocketAddr) -> Self {
        Self {
            socket,
            to,
            connected: false,
            start: 0,
            end: 0,
            segment: 0,
            count: 0,
        }
    }

    /// A run by a socket that is connected to where it goes.
    pub(super) fn by_connected(socket: RawFd, to: SocketAddr) -> Self {
        Self {
            connected: true,
            ..Self::new(socket, to)
        }
    }

    /// The packet `at..at + len` of the mail's buffer joins the run; earlier ones are posted when it cannot.
    pub(super) fn push(&mut self, post: &mut Post<'_>, buffer: &[u8], at: usize, len: usize) {
        let fits = len <= self.segment
            && self.count < MAX_SEGMENTS
            && at == self.end
            && at + len - self.start <= MAX_RUN_BYTES;
        if self.count > 0 && !fits {
            self.finish(post, buffer);
        }
        if self.count == 0 {
            (self.start, self.segment) = (at, len);
        }
        self.end = at + len;
        self.count += 1;
        // Only the last segment may be shorter than the others.
        if len < self.segment {
            self.finish(post, buffer);
        }
    }

    /// Posts what the run has.
    pub(super) fn finish(&mut self, post: &mut Post<'_>, buffer: &[u8]) {
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            return;
        }
        if post.batch.is_full() {
            post.send(buffer);
        }
        post.batch.push(Sending {
            socket: self.socket,
            to: self.to,
            connected: self.connected,
            start: self.start,
            end: self.end,
            segment: self.segment,
            count,
        });
    }
}

/// The sends of several peers, on their way to one system call.
pub(super) struct Post<'a> {
    batch: &'a mut SendBatch,
    counters: &'a Counters,
}

impl Post<'_> {
    /// Sends what waits; the buffer may be used anew.
    pub(super) fn send(&mut self, buffer: &[u8]) {
        let counters = self.counters;
        let calls = self.batch.send(buffer, |sending, sent| {
            let bytes = sending.end - sending.start;
            match sent {
                Ok(()) => {
                    if sending.count > 1 {
                        counters.gso_runs.up();
                        counters.gso_segments.add(sending.count as u64);
                    }
                    note_sent(counters, sending.count, bytes);
                }
                // Longer than the link's packets, or a device that cannot: the datagrams go one by one.
                Err(error)
                    if sending.count > 1 && error.kind() != std::io::ErrorKind::WouldBlock =>
                {
                    counters.gso_refused.up();
                    let data = buffer.get(sending.start..sending.end).unwrap_or_default();
                    for one in data.chunks(sending.segment.max(1)) {
                        send_alone(sending.socket, sending.to, one, counters);
                    }
                }
                Err(error) => note_failed(counters, &error, sending.count),
            }
        });
        counters.send_calls.add(calls);
    }
}

/// Sends one datagram at once.
pub(super) fn send_alone(socket: RawFd, to: SocketAddr, data: &[u8], counters: &Counters) {
    counters.send_calls.up();
    match send(socket, to, data) {
        Ok(()) => note_sent(counters, 1, data.len()),
        Err(error) => note_failed(counters, &error, 1),
    }
}

fn note_sent(counters: &Counters, count: usize, bytes: usize) {
    counters.datagrams_sent.add(count as u64);
    counters.bytes_sent.add(bytes as u64);
}

fn note_failed(counters: &Counters, error: &std::io::Error, count: usize) {
    // A full buffer means that the link is slower than we are; the peer asks again for what it misses.
    let counter = match error.kind() {
        std::io::ErrorKind::WouldBlock => &counters.send_dropped_full,
        _ => &counters.send_errors,
    };
    counter.add(count as u64);
}

/// What waits to be sent to several peers, and the buffer it lies in.
pub(super) struct Mail {
    batch: SendBatch,
    buffer: Box<[u8]>,
    /// Where the buffer is free.
    free: usize,
}

impl Mail {
    pub(super) fn new() -> Self {
        Self {
            batch: SendBatch::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            free: 0,
        }
    }

    /// What sends, the buffer, and where it is free.
    pub(super) fn open<'a>(
        &'a mut self,
        counters: &'a Counters,
    ) -> (Post<'a>, &'a mut [u8], &'a mut usize) {
        if self.batch.is_empty() {
            self.free = 0;
        }
        let post = Post {
            batch: &mut self.batch,
            counters,
        };
        (post, &mut self.buffer, &mut self.free)
    }

    /// Sends what waits.
    pub(super) fn send(&mut self, counters: &Counters) {
        if !self.batch.is_empty() {
            let (mut post, buffer, _) = self.open(counters);
            post.send(buffer);
        }
    }

    /// The buffer, with nothing in it that still waits.
    pub(super) fn emptied(&mut self, counters: &Counters) -> &mut [u8] {
        self.send(counters);
        &mut self.buffer
    }
}
