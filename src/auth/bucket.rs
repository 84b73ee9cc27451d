//! Budgets that refill steadily, one per key: what throttling and rate limits count with (the generic cell rate
//! algorithm).
//!
//! Knows neither who the keys are nor what is paid for. Memory is bounded: a full store forgets what was least used.
use chrono::TimeDelta;
use quick_cache::unsync::Cache;
use std::net::{IpAddr, Ipv6Addr};

/// So many tries at once, refilling evenly over the window. In any window's length at most twice as many get through: a
/// full bucket and its refill.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Tries in a row before the first wait; at least one.
    pub tries: u32,
    /// How long an empty bucket takes to fill; at least a microsecond for each try.
    pub window: TimeDelta,
}

/// Buckets of one limit. A bucket is a single number, the moment at which it will be full again, in microseconds since
/// 1970; one that is full need not be kept.
#[derive(Debug)]
pub struct Buckets {
    full_at: Cache<u64, i64>,
    /// What one try costs, in microseconds.
    price: i64,
    /// What a full bucket holds, in microseconds.
    depth: i64,
}

impl Buckets {
    /// Full buckets, remembering `capacity` others.
    pub fn new(limit: Limit, capacity: usize) -> Self {
        let tries = i64::from(limit.tries.max(1));
        let price = (limit.window.num_microseconds().unwrap_or(i64::MAX / 4) / tries).clamp(1, i64::MAX / 4 / tries);
        Self { full_at: Cache::new(capacity), price, depth: price * tries }
    }

    /// Microseconds until the bucket is full. Never more than filling it takes: a clock set back must not lock anyone out.
    pub fn missing(&self, key: u64, now: i64) -> i64 {
        self.full_at.get(&key).map_or(0, |full_at| (full_at - now).clamp(0, self.depth))
    }

    /// Tries that are left.
    pub fn left(&self, key: u64, now: i64) -> i64 {
        (self.depth - self.missing(key, now)) / self.price
    }

    /// Microseconds until there is a try; not positive when there is one.
    pub fn wait(&self, key: u64, now: i64) -> i64 {
        self.missing(key, now) + self.price - self.depth
    }

    /// Takes a try, whether or not there is one.
    pub fn take(&mut self, key: u64, now: i64) {
        let full_at = now + self.missing(key, now) + self.price;
        self.full_at.insert(key, full_at);
    }

    /// Returns a try.
    pub fn give_back(&mut self, key: u64) {
        if let Some(mut full_at) = self.full_at.get_mut(&key) {
            *full_at -= self.price;
        }
    }

    /// Forgets what was taken.
    pub fn refill(&mut self, key: u64) {
        self.full_at.remove(&key);
    }

    /// Buckets that are remembered.
    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        self.full_at.len()
    }
}

/// Microseconds as whole seconds, at least one: the value of `Retry-After` (RFC 9110).
pub fn whole_seconds(micros: i64) -> u64 {
    micros.max(1).unsigned_abs().div_ceil(1_000_000)
}

/// The part of an address that stands for one subscriber: of IPv6 the first 64 bits, since whoever has one has them all.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address_and_a_mapped_ipv4_is_itself() {
        assert_eq!(subscriber(ip("2001:db8:1:2:3:4:5:6")), subscriber(ip("2001:db8:1:2::9")));
        assert_ne!(subscriber(ip("2001:db8:1:2::")), subscriber(ip("2001:db8:1:3::")));
        assert_eq!(subscriber(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
