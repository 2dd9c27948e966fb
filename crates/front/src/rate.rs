//! How often one address may ask, and how many connections it may hold.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber usually has.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing below panics while it holds the lock; if it did, the numbers would still be usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None` lets it pass; otherwise when to try again.
    pub(crate) wait: Option<Duration>,
    /// Whether the shared bucket was asked because the table was full.
    pub(crate) overflow: bool,
}

/// A token bucket an address, in a bounded table.
///
/// When the table is full, addresses whose bucket has filled up again are forgotten; if there are none, further
/// addresses share one bucket.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_second: f64,
    burst: f64,
    max_addresses: usize,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    buckets: HashMap<IpAddr, Bucket>,
    shared: Bucket,
    swept: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// A sweep looks at the whole table, so a full table is swept at most this often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

impl RateLimiter {
    /// `per_second` of 0 lets everything pass.
    pub(crate) fn new(per_second: u32, burst: u32, max_addresses: usize, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        let shared = Bucket {
            tokens: burst,
            at: now,
        };
        let table = Table {
            buckets: HashMap::new(),
            shared,
            swept: now,
        };
        Self {
            per_second: f64::from(per_second),
            burst,
            max_addresses,
            table: Mutex::new(table),
        }
    }

    /// Takes one token of `address`.
    pub(crate) fn admit(&self, address: IpAddr, now: Instant) -> Verdict {
        if self.per_second == 0.0 {
            return Verdict {
                wait: None,
                overflow: false,
            };
        }
        let address = key(address);
        let mut table = lock(&self.table);
        if !table.buckets.contains_key(&address) && table.buckets.len() >= self.max_addresses {
            self.sweep(&mut table, now);
        }
        let overflow =
            !table.buckets.contains_key(&address) && table.buckets.len() >= self.max_addresses;
        let bucket = if overflow {
            &mut table.shared
        } else {
            let full = Bucket {
                tokens: self.burst,
                at: now,
            };
            table.buckets.entry(address).or_insert(full)
        };
        Verdict {
            wait: self.take(bucket, now),
            overflow,
        }
    }

    fn take(&self, bucket: &mut Bucket, now: Instant) -> Option<Duration> {
        bucket.tokens = self.filled(bucket, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64(
            (1.0 - bucket.tokens) / self.per_second,
        ))
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + elapsed * self.per_second).min(self.burst)
    }

    fn sweep(&self, table: &mut Table, now: Instant) {
        if now.saturating_duration_since(table.swept) < SWEEP_INTERVAL {
            return;
        }
        table.swept = now;
        table
            .buckets
            .retain(|_, bucket| self.filled(bucket, now) < self.burst);
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionRefusal {
    /// All places are taken.
    Full,
    /// This address has its share.
    Address,
}

/// Open connections, in all and by address. Bounded by its own limit.
#[derive(Debug)]
pub(crate) struct ConnectionTable {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionTable {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            max,
            max_per_address,
            open: Mutex::default(),
        }
    }

    /// Takes a place until the result is dropped; an `exempt` address has no share of its own.
    pub(crate) fn open(
        self: &Arc<Self>,
        address: IpAddr,
        exempt: bool,
    ) -> Result<ConnectionPlace, ConnectionRefusal> {
        let address = key(address);
        let mut open = lock(&self.open);
        if open.total >= self.max {
            return Err(ConnectionRefusal::Full);
        }
        let own = open.by_address.get(&address).copied().unwrap_or(0);
        if own >= self.max_per_address && !exempt {
            return Err(ConnectionRefusal::Address);
        }
        open.total += 1;
        open.by_address.insert(address, own + 1);
        Ok(ConnectionPlace {
            table: Arc::clone(self),
            address,
        })
    }

    fn close(&self, address: IpAddr) {
        let mut open = lock(&self.open);
        open.total -= 1;
        if let Some(own) = open.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// One connection's place, free again when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    table: Arc<ConnectionTable>,
    address: IpAddr,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.table.close(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_rules() {
        let start = Instant::now();
        let limiter = RateLimiter::new(10, 3, 100, start);
        let waits: Vec<_> = (0..4)
            .map(|_| limiter.admit(address(1), start).wait)
            .collect();
        assert_eq!(waits[..3], [None; 3]);
        assert_eq!(waits[3], Some(Duration::from_millis(100)));
        assert_eq!(
            limiter
                .admit(address(1), start + Duration::from_millis(100))
                .wait,
            None
        );
        assert!(
            limiter
                .admit(address(1), start + Duration::from_millis(100))
                .wait
                .is_some()
        );
    }

    #[test]
    fn one_address_does_not_slow_another() {
        let start = Instant::now();
        let limiter = RateLimiter::new(1, 1, 100, start);
        assert!(limiter.admit(address(1), start).wait.is_none());
        assert!(limiter.admit(address(1), start).wait.is_some());
        assert!(limiter.admit(address(2), start).wait.is_none());
    }

    #[test]
    fn a_full_table_shares_one_bucket_and_forgets_the_quiet() {
        let start = Instant::now();
        let limiter = RateLimiter::new(1, 1, 2, start);
        limiter.admit(address(1), start);
        limiter.admit(address(2), start);
        let third = limiter.admit(address(3), start);
        assert_eq!(
            third,
            Verdict {
                wait: None,
                overflow: true
            }
        );
        assert!(limiter.admit(address(4), start).wait.is_some());
        let later = start + Duration::from_secs(5);
        assert_eq!(
            limiter.admit(address(4), later),
            Verdict {
                wait: None,
                overflow: false
            }
        );
        assert_eq!(lock(&limiter.table).buckets.len(), 1);
    }

    #[test]
    fn a_zero_rate_is_no_limit() {
        let start = Instant::now();
        let limiter = RateLimiter::new(0, 1, 2, start);
        assert!((0..100).all(|_| limiter.admit(address(1), start).wait.is_none()));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_address() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let two: IpAddr = "2001:db8::2:1".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(key(one), key(two));
        assert_ne!(key(one), key(other));
    }

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let table = Arc::new(ConnectionTable::new(3, 2));
        let first = table.open(address(1), false).unwrap();
        let _second = table.open(address(1), false).unwrap();
        assert_eq!(
            table.open(address(1), false).unwrap_err(),
            ConnectionRefusal::Address
        );
        let _third = table.open(address(1), true).unwrap();
        assert_eq!(
            table.open(address(2), false).unwrap_err(),
            ConnectionRefusal::Full
        );
        drop(first);
        assert!(table.open(address(2), false).is_ok());
    }

    #[test]
    fn addresses_without_connections_are_forgotten() {
        let table = Arc::new(ConnectionTable::new(3, 2));
        drop(table.open(address(1), false).unwrap());
        assert!(lock(&table.open).by_address.is_empty());
    }
}
