//! The brake on guessing passwords: so many failures per account and per address, then one at a time.
//!
//! Each account and each address has a bucket of tries that refills steadily. A try is taken *before* the password is
//! compared and given back when it was right, so guesses sent all at once do not slip past the count. What is counted is
//! forgotten when the process ends, and each node counts for itself: this slows guessing down, it decides nothing.
//!
//! Memory is bounded: a full store forgets what was least used. Filling it takes tries, which addresses run out of first.
use super::bucket::{Buckets, Limit, subscriber, whole_seconds};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many accounts, and how many addresses, are remembered.
const REMEMBERED: usize = 100_000;

impl Limit {
    /// Failures against one account: 10 in 15 minutes.
    pub const ACCOUNT: Self = Self { tries: 10, window: TimeDelta::minutes(15) };
    /// Failures from one address: 50 in 15 minutes.
    pub const ADDRESS: Self = Self { tries: 50, window: TimeDelta::minutes(15) };
}

/// A try that came too soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed sign-ins: try again in {retry_after} s")]
pub struct Throttled {
    /// Whole seconds, at least one, after which a try is allowed again: the value of `Retry-After` (RFC 9110).
    pub retry_after: u64,
}

/// Counts failed sign-ins per account and per address.
#[derive(Debug)]
pub struct Throttle {
    counts: Mutex<Counts>,
    /// Keeps account names out of memory, at eight bytes each; its seed keeps collisions from being sought.
    hasher: RandomState,
}

#[derive(Debug)]
struct Counts {
    accounts: Buckets,
    addresses: Buckets,
}

/// A try under way. Dropped without a word it counts as failed, so an error on the way cannot be had for free.
#[derive(Debug)]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    account: u64,
    address: u64,
}

impl Throttle {
    /// With [`Limit::ACCOUNT`] and [`Limit::ADDRESS`], remembering 100 000 of each (some 10 MB when full).
    pub fn new() -> Self {
        Self::with_limits(Limit::ACCOUNT, Limit::ADDRESS, REMEMBERED)
    }

    /// With other limits, remembering `capacity` accounts and as many addresses.
    pub fn with_limits(account: Limit, address: Limit, capacity: usize) -> Self {
        let counts = Counts { accounts: Buckets::new(account, capacity), addresses: Buckets::new(address, capacity) };
        Self { counts: Mutex::new(counts), hasher: RandomState::new() }
    }

    /// Takes a try for an account from an address, to be made before the password is looked at.
    ///
    /// `account` is whatever accounts are looked up by, already folded as for the lookup, and is treated the same whether
    /// such an account exists. Of an IPv6 address the first 64 bits count, since whoever has one has them all.
    ///
    /// # Errors
    /// [`Throttled`] when the account or the address has no try left; then none is taken from either.
    pub fn attempt(&self, account: &str, address: IpAddr, now: DateTime<Utc>) -> Result<Attempt<'_>, Throttled> {
        let (account, address) = (self.key(account), self.key(subscriber(address)));
        let now = now.timestamp_micros();
        let mut counts = self.lock();
        let wait = counts.addresses.wait(address, now).max(counts.accounts.wait(account, now));
        if wait > 0 {
            return Err(Throttled { retry_after: whole_seconds(wait) });
        }
        counts.addresses.take(address, now);
        counts.accounts.take(account, now);
        Ok(Attempt { throttle: self, account, address })
    }

    fn key(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    /// No code that holds the lock can leave the counts half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Attempt<'_> {
    /// The password was right: the account starts afresh, and the address has its try back.
    pub fn succeeded(self) {
        let mut counts = self.throttle.lock();
        counts.accounts.refill(self.account);
        counts.addresses.give_back(self.address);
    }

    /// The password was wrong: the try stays counted.
    pub fn failed(self) {}

    /// The password was never compared, through no fault of the caller's: nothing is counted.
    pub fn withdrawn(self) {
        let mut counts = self.throttle.lock();
        counts.accounts.give_back(self.account);
        counts.addresses.give_back(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.1";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000 + second, 0).unwrap()
    }
    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
    fn elsewhere(n: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, n])
    }
    fn wait(throttle: &Throttle, account: &str, address: IpAddr, second: i64) -> Option<u64> {
        throttle.attempt(account, address, at(second)).err().map(|throttled| throttled.retry_after)
    }
    /// Fails as often as it may.
    fn fail_all(throttle: &Throttle, account: &str, address: IpAddr, second: i64) -> usize {
        std::iter::from_fn(|| throttle.attempt(account, address, at(second)).ok().map(Attempt::failed))
            .take(1000)
            .count()
    }

    #[test]
    fn ten_failures_then_one_every_ninety_seconds() {
        let throttle = Throttle::new();
        assert_eq!(fail_all(&throttle, "ada", ip(HOME), 0), 10);
        assert_eq!(wait(&throttle, "ada", ip(HOME), 0), Some(90));
        assert_eq!(wait(&throttle, "ada", ip(HOME), 89), Some(1));
        assert_eq!(fail_all(&throttle, "ada", ip(HOME), 90), 1);
        assert_eq!(wait(&throttle, "ada", ip(HOME), 90), Some(90));
        assert_eq!(fail_all(&throttle, "ada", ip(HOME), 90 + 900), 10);
    }

    #[test]
    fn retry_after_is_kept_and_never_zero() {
        let throttle = Throttle::new();
        fail_all(&throttle, "ada", ip(HOME), 0);
        let just_before = at(90) - TimeDelta::microseconds(1);
        let refused = throttle.attempt("ada", ip(HOME), just_before).unwrap_err();
        assert_eq!(refused.retry_after, 1);
        assert!(throttle.attempt("ada", ip(HOME), just_before + TimeDelta::seconds(1)).is_ok());
    }

    #[test]
    fn an_account_is_throttled_wherever_the_guesses_come_from() {
        let throttle = Throttle::new();
        let through = (0..50).filter(|n| wait(&throttle, "ada", elsewhere(*n), 0).is_none()).count();
        assert_eq!(through, 10);
        assert_eq!(wait(&throttle, "grace", elsewhere(0), 0), None, "others are not");
    }

    #[test]
    fn an_address_is_throttled_whomever_it_tries() {
        let throttle = Throttle::new();
        let through = (0..200).filter(|n| wait(&throttle, &format!("person{n}"), ip(HOME), 0).is_none()).count();
        assert_eq!(through, 50);
        assert_eq!(wait(&throttle, "ada", ip(HOME), 0), Some(18));
        assert_eq!(wait(&throttle, "ada", elsewhere(1), 0), None);
    }

    #[test]
    fn a_refused_try_costs_nobody_anything() {
        let throttle = Throttle::new();
        fail_all(&throttle, "ada", ip(HOME), 0);
        for _ in 0..1000 {
            assert_eq!(wait(&throttle, "ada", ip(HOME), 0), Some(90));
        }
        let others = (0..200).filter(|n| wait(&throttle, &format!("person{n}"), ip(HOME), 0).is_none()).count();
        assert_eq!(others, 40);
    }

    #[test]
    fn success_clears_the_account_and_costs_the_address_nothing() {
        let throttle = Throttle::new();
        for _ in 0..500 {
            for _ in 0..9 {
                throttle.attempt("ada", elsewhere(1), at(0)).unwrap().withdrawn();
            }
            throttle.attempt("ada", ip(HOME), at(0)).unwrap().succeeded();
        }
        for _ in 0..9 {
            throttle.attempt("ada", elsewhere(2), at(0)).unwrap().failed();
        }
        throttle.attempt("ada", elsewhere(2), at(0)).unwrap().succeeded();
        assert_eq!(fail_all(&throttle, "ada", ip(HOME), 0), 10);
        let left = (0..200).filter(|n| wait(&throttle, &format!("person{n}"), elsewhere(2), 0).is_none()).count();
        assert_eq!(left, 41, "success does not wipe out an address's failures");
    }

    #[test]
    fn guesses_sent_all_at_once_are_counted_before_any_is_answered() {
        let throttle = Throttle::new();
        let under_way: Vec<_> = (0..100).filter_map(|_| throttle.attempt("ada", ip(HOME), at(0)).ok()).collect();
        assert_eq!(under_way.len(), 10);
        drop(under_way);
        assert!(throttle.attempt("ada", ip(HOME), at(0)).is_err(), "dropped is failed");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let throttle = Throttle::new();
        fail_all(&throttle, "ada", ip(HOME), 1_000_000);
        assert_eq!(wait(&throttle, "ada", ip(HOME), 0), Some(90), "as if it had just happened, not for eleven days");
    }

    #[test]
    fn memory_is_bounded_and_a_flood_does_not_free_who_is_under_attack() {
        let small = Throttle::with_limits(Limit::ACCOUNT, Limit { tries: 60_000, ..Limit::ADDRESS }, 100);
        for n in 0..50_000 {
            let _ = small.attempt("ada", ip(HOME), at(0));
            let _ = small.attempt(&format!("flood{n}"), ip(HOME), at(0));
        }
        assert!(small.lock().accounts.remembered() <= 100);
        assert_eq!(wait(&small, "ada", elsewhere(1), 0), Some(90));
    }

    #[test]
    fn absurd_limits_do_not_overflow() {
        for limit in [Limit { tries: 0, window: TimeDelta::zero() }, Limit { tries: u32::MAX, window: TimeDelta::MAX }]
        {
            let throttle = Throttle::with_limits(limit, limit, 0);
            let _ = throttle.attempt("ada", ip(HOME), at(0));
            let _ = throttle.attempt("ada", ip(HOME), at(1));
        }
    }
}
