//! How often: one token bucket per (class, address or principal), in a bounded map.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nexus_core::{
    bucket::{Bucket, Rate},
    problem::{Code, Problem},
};

/// Buckets are spread over so many locks.
const SHARDS: usize = 16;
/// Buckets of one shard; when it is full, the idle ones are forgotten, and if none is idle, half of the others.
const SHARD_ENTRIES: usize = 4_096;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller<'a> {
    /// A client address (see [`crate::address::counted`]).
    Address(IpAddr),
    /// A principal, by name.
    Principal(&'a str),
    /// A client address posting as a source with a rate of its own.
    Source(&'a str, IpAddr),
}

/// All buckets.
pub(crate) struct RateLimits {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<u64, Bucket>>>,
}

impl RateLimits {
    /// No bucket yet.
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// Takes one token, or says how long until there is one.
    pub(crate) fn take(&self, class: &str, caller: Caller<'_>, rate: Rate, now: Duration) -> Result<(), Problem> {
        // A 64-bit keyed hash stands for the key: a collision is as likely as being struck by lightning, and only means
        // that two callers share a bucket.
        let key = self.hasher.hash_one((class, caller));
        let Some(shard) = self.shards.get(usize::try_from(key % SHARDS as u64).unwrap_or(0)) else { return Ok(()) };
        let taken = {
            let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if buckets.len() >= SHARD_ENTRIES && !buckets.contains_key(&key) {
                evict(&mut buckets, now);
            }
            buckets.entry(key).or_default().take(rate, now)
        };
        taken.map_err(|wait| {
            let message = format!("more than {rate} requests; try again in {:.1} s", wait.as_secs_f64().max(0.1));
            Problem::new(Code::RateLimited, message).retry_after(wait)
        })
    }
}

fn evict(buckets: &mut HashMap<u64, Bucket>, now: Duration) {
    buckets.retain(|_, bucket| !bucket.is_full(now));
    if buckets.len() >= SHARD_ENTRIES {
        let mut keep = false;
        buckets.retain(|_, _| {
            keep = !keep;
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_bucket_and_the_refusal_says_when() {
        let limits = RateLimits::new();
        let rate: Rate = "10/s".parse().expect("valid");
        let now = Duration::from_secs(5);
        let take = |address: &str| limits.take("ingress", Caller::Address(address.parse().expect("valid")), rate, now);
        assert_eq!((0..30).filter(|_| take("192.0.2.1").is_ok()).count(), 10);
        let refused = take("192.0.2.1").expect_err("used up");
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(Duration::from_millis(100))));
        assert!(take("192.0.2.2").is_ok());
    }

    #[test]
    fn the_map_stays_bounded_under_a_flood_of_addresses() {
        let limits = RateLimits::new();
        let rate: Rate = "1/h".parse().expect("valid");
        for n in 0..200_000u32 {
            let caller = Caller::Address(IpAddr::V4(n.into()));
            let _ = limits.take("ingress", caller, rate, Duration::from_secs(1));
        }
        let total: usize = limits.shards.iter().map(|s| s.lock().expect("not poisoned").len()).sum();
        assert!(total <= SHARDS * SHARD_ENTRIES, "{total}");
    }
}
