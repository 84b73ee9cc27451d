//! So many requests per caller: in front of all routes, so that what is at none counts too.
//!
//! A caller is the person whose token is good, else the address it comes from; what is remembered is a number for each, and
//! forgotten when the process ends. A signed token says itself whose it is; of any other, that is known once it was good. The headers are those of the IETF's draft-ietf-httpapi-ratelimit-headers. Probes and
//! figures are free: a busy service must be able to say so.
use crate::{
    Error,
    app::App,
    auth::{
        bucket::{Buckets, Limit, whole_seconds},
        extract::caller_key,
    },
    error::Code,
    id::PersonId,
};
use actix_web::{
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
};

/// How many callers are remembered.
const REMEMBERED: usize = 100_000;
/// How many of their tokens.
const REMEMBERED_HOLDERS: usize = 10_000;
/// A bucket holds this many seconds' worth.
const WINDOW_SECONDS: u32 = 10;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Counts requests per caller.
#[derive(Debug)]
pub struct RateLimit {
    buckets: Mutex<Buckets>,
    hasher: RandomState,
    policy: String,
    /// Whose the tokens are that only the database or a provider could judge, by their SHA-256, if they were good last.
    holders: Cache<[u8; 32], PersonId>,
}

/// How a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// Requests left now.
    left: i64,
    /// Seconds until all are back.
    full_in: u64,
    /// Seconds until the next one, for a request that came too soon.
    retry_after: Option<u64>,
}

impl RateLimit {
    /// `rate` requests a second for long, ten times as many at once; none for 0.
    pub fn new(rate: u32) -> Option<Self> {
        Self::remembering(rate, REMEMBERED)
    }

    fn remembering(rate: u32, capacity: usize) -> Option<Self> {
        let tries = rate.saturating_mul(WINDOW_SECONDS);
        let limit = Limit { tries, window: TimeDelta::seconds(WINDOW_SECONDS.into()) };
        (rate > 0).then(|| Self {
            buckets: Mutex::new(Buckets::new(limit, capacity)),
            hasher: RandomState::new(),
            policy: format!("\"default\";q={tries};w={WINDOW_SECONDS}"),
            holders: Cache::new(REMEMBERED_HOLDERS),
        })
    }

    /// Notes whose a token was found to be; nobody's where it is not good any more.
    pub fn note(&self, token: &str, holder: Option<PersonId>) {
        let digest = Sha256::digest(token).into();
        match holder {
            Some(person) => self.holders.insert(digest, person),
            None => _ = self.holders.remove(&digest),
        }
    }

    /// Whose a token was, if it was good when it last came.
    pub fn holder(&self, token: &str) -> Option<PersonId> {
        self.holders.get(&<[u8; 32]>::from(Sha256::digest(token)))
    }

    fn take(&self, caller: impl Hash, now: DateTime<Utc>) -> Standing {
        let (key, now) = (self.hasher.hash_one(caller), now.timestamp_micros());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = buckets.wait(key, now);
        if wait <= 0 {
            buckets.take(key, now);
        }
        let full_in = buckets.missing(key, now).unsigned_abs().div_ceil(1_000_000);
        Standing { left: buckets.left(key, now), full_in, retry_after: (wait > 0).then(|| whole_seconds(wait)) }
    }
}

/// The layer.
///
/// # Errors
/// None of its own: a refusal is an answer.
pub async fn layer(
    app: web::Data<App>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(limit) = app.rate_limit.as_ref().filter(|_| is_limited(request.path())) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let standing = limit.take(caller_key(request.request(), &app), app.clock.now().utc());
    let mut response = match standing.retry_after {
        None => next.call(request).await?.map_into_boxed_body(),
        Some(seconds) => {
            let detail = format!("You may go on in {seconds} seconds.");
            request.error_response(Error::refused(Code::TooManyRequests, detail).with("retry_after", seconds))
        }
    };
    let current = format!("\"default\";r={};t={}", standing.left, standing.full_in);
    for (name, text) in [(POLICY, &limit.policy), (STANDING, &current)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Whether requests for this path are counted.
pub fn is_limited(path: &str) -> bool {
    !path.starts_with("/health/") && path != "/metrics"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_780_000_000_000 + millis).unwrap()
    }

    #[test]
    fn a_burst_then_so_many_a_second_and_each_caller_for_itself() {
        let limit = RateLimit::new(100).unwrap();
        assert_eq!(limit.policy, "\"default\";q=1000;w=10");
        assert_eq!(limit.take("ada", at(0)), Standing { left: 999, full_in: 1, retry_after: None });
        let through = (1..2000).filter(|_| limit.take("ada", at(0)).retry_after.is_none()).count();
        assert_eq!(through, 999);
        assert_eq!(limit.take("ada", at(0)), Standing { left: 0, full_in: 10, retry_after: Some(1) });
        assert_eq!(limit.take("ada", at(10)), Standing { left: 0, full_in: 10, retry_after: None });
        let later = (0..2000).filter(|_| limit.take("ada", at(1010)).retry_after.is_none()).count();
        assert_eq!(later, 100);
        assert_eq!(limit.take("grace", at(0)).left, 999);
    }

    #[test]
    fn zero_is_no_limit_and_memory_is_bounded() {
        assert!(RateLimit::new(0).is_none());
        let small = RateLimit::remembering(1, 100).unwrap();
        for caller in 0..10_000 {
            small.take(caller, at(0));
        }
        assert!(small.buckets.lock().unwrap().remembered() <= 100);
    }
}
