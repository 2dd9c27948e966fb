//! One direction of the network.

use crate::{ConfigError, LinkConfig, Random};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Datagrams that may be on their way at a time; what comes then is dropped and counted.
pub const MAX_IN_FLIGHT: usize = 65_536;

/// What a link has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Datagrams given to [`Link::send`].
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Datagrams given out by [`Link::poll`], duplicates included.
    pub delivered: u64,
    /// Bytes of them.
    pub delivered_bytes: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Dropped because the queue was full.
    pub queue_dropped: u64,
    /// Dropped because [`MAX_IN_FLIGHT`] were on their way.
    pub flight_dropped: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// Held back to be overtaken.
    pub reordered: u64,
}

/// One direction of a bad network.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    random: Random,
    in_burst: bool,
    /// Waiting for the link to be free.
    queue: VecDeque<Waiting>,
    queued_bytes: usize,
    /// When the datagram before the queue's head has been sent.
    free_at: Option<Instant>,
    flight: BinaryHeap<InFlight>,
    /// When the last datagram that keeps its order arrives.
    last_arrival: Option<Instant>,
    next_number: u64,
    counters: LinkCounters,
}

#[derive(Clone, Debug)]
struct Waiting {
    data: Vec<u8>,
    since: Instant,
    fate: Fate,
}

/// What happens to a datagram, drawn when it is sent, in a fixed number of draws: so changing
/// one setting does not change the others' luck.
#[derive(Clone, Copy, Debug)]
struct Fate {
    lost: bool,
    duplicate: bool,
    reorder: bool,
    jitter: f64,
}

#[derive(Clone, Debug)]
struct InFlight {
    arrival: Instant,
    number: u64,
    data: Vec<u8>,
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for InFlight {}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    /// The earliest arrival is the greatest, for a heap that gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.arrival, other.number).cmp(&(self.arrival, self.number))
    }
}

impl Link {
    /// A link whose luck follows from `seed`.
    pub fn new(config: LinkConfig, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            random: Random::new(seed),
            in_burst: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            free_at: None,
            flight: BinaryHeap::new(),
            last_arrival: None,
            next_number: 0,
            counters: LinkCounters::default(),
        })
    }

    /// What the link does now.
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// What the link has done.
    pub const fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// Changes what the link does, from the next datagram that begins to be sent. What is on its
    /// way stays on it.
    pub fn set_config(&mut self, now: Instant, config: LinkConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.transmit(now);
        self.config = config;
        // What waited while nothing went through begins now, not in the past.
        if self.free_at.is_none_or(|at| at < now) {
            self.free_at = Some(now);
        }
        self.transmit(now);
        Ok(())
    }

    /// Gives the link a datagram.
    pub fn send(&mut self, now: Instant, data: Vec<u8>) {
        self.transmit(now);
        self.counters.sent += 1;
        self.counters.sent_bytes += data.len() as u64;
        let fate = self.draw();
        if self.is_queue_full(now, data.len()) {
            self.counters.queue_dropped += 1;
            return;
        }
        self.queued_bytes += data.len();
        self.queue.push_back(Waiting {
            data,
            since: now,
            fate,
        });
        self.transmit(now);
    }

    /// The next datagram that has arrived by `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.transmit(now);
        if self.flight.peek()?.arrival > now {
            return None;
        }
        let data = self.flight.pop()?.data;
        self.counters.delivered += 1;
        self.counters.delivered_bytes += data.len() as u64;
        Some(data)
    }

    /// When [`Link::poll`] can next give something, or the link's state changes towards it.
    pub fn next_timeout(&self) -> Option<Instant> {
        let arrival = self.flight.peek().map(|datagram| datagram.arrival);
        let departure = self.head_departure();
        match (arrival, departure) {
            (Some(arrival), Some(departure)) => Some(arrival.min(departure)),
            (either, None) | (None, either) => either,
        }
    }

    /// Bytes waiting for the link to be free, the one being sent included.
    pub const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    fn draw(&mut self) -> Fate {
        let change = self.random.unit();
        let (duplicate, reorder) = (self.random.unit(), self.random.unit());
        let jitter = self.random.unit();
        // Two states (Gilbert): losing, left with probability 1/burst, and not losing, left so
        // often that the overall share is `loss`. A high share needs bursts of some length.
        let LinkConfig {
            loss, loss_burst, ..
        } = self.config;
        let odds = loss / (1.0 - loss);
        let burst = loss_burst.max(odds);
        self.in_burst = if loss_burst <= 1.0 {
            change < loss
        } else if self.in_burst {
            change >= 1.0 / burst
        } else {
            change < odds / burst || loss >= 1.0
        };
        Fate {
            lost: self.in_burst && loss > 0.0,
            duplicate: duplicate < self.config.duplicate,
            reorder: reorder < self.config.reorder,
            jitter,
        }
    }

    fn is_queue_full(&self, now: Instant, len: usize) -> bool {
        if self.config.rate_bps.is_none() || self.queue.is_empty() {
            return false;
        }
        if self.queued_bytes + len > self.config.queue_bytes {
            return true;
        }
        let Some(limit) = self.config.queue_delay else {
            return false;
        };
        let waits = self.config.sending_time(self.queued_bytes);
        let begun = self
            .free_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        waits.is_none_or(|wait| wait.saturating_sub(begun) > limit)
    }

    /// When the head of the queue has been sent.
    fn head_departure(&self) -> Option<Instant> {
        let head = self.queue.front()?;
        let begins = self.free_at.map_or(head.since, |at| at.max(head.since));
        begins.checked_add(self.config.sending_time(head.data.len())?)
    }

    /// Moves on what has been sent by `now`.
    fn transmit(&mut self, now: Instant) {
        while let Some(departure) = self.head_departure().filter(|&at| at <= now) {
            let Some(Waiting { data, fate, .. }) = self.queue.pop_front() else {
                return;
            };
            self.queued_bytes -= data.len();
            self.free_at = Some(departure);
            self.launch(departure, data, fate);
        }
    }

    fn launch(&mut self, departure: Instant, data: Vec<u8>, fate: Fate) {
        if fate.lost {
            self.counters.lost += 1;
            return;
        }
        let mut arrival = departure + self.config.delay + self.config.jitter.mul_f64(fate.jitter);
        if fate.reorder {
            self.counters.reordered += 1;
            arrival += self.config.reorder_delay;
        } else {
            arrival = self.last_arrival.map_or(arrival, |last| last.max(arrival));
            self.last_arrival = Some(arrival);
        }
        if fate.duplicate {
            self.counters.duplicated += 1;
            self.fly(arrival, data.clone());
        }
        self.fly(arrival, data);
    }

    fn fly(&mut self, arrival: Instant, data: Vec<u8>) {
        if self.flight.len() >= MAX_IN_FLIGHT {
            self.counters.flight_dropped += 1;
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.flight.push(InFlight {
            arrival,
            number,
            data,
        });
    }
}
