//! How often: one token bucket per (class, address or principal), in a bounded map. What long windows have used is written
//! down by [`crate::server`], so that a restart does not begin them anew.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use nexus_core::{
    bucket::{Bucket, Rate},
    problem::{Code, Problem},
    time::Timestamp,
};

/// Buckets are spread over so many locks.
const SHARDS: usize = 16;
/// Buckets of one shard; when it is full, the idle ones are forgotten, and if none is idle, half of the others.
const SHARD_ENTRIES: usize = 4_096;

/// Windows at least this long outlive the process.
const KEPT_WINDOW: Duration = Duration::from_secs(60);
/// Buckets of one shard that are written down.
const PAGE_ENTRIES: usize = 1_024;

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

impl Caller<'_> {
    /// As text, for what is written down.
    fn label(self, class: &str) -> String {
        match self {
            Self::Address(address) => format!("{class} a {address}"),
            Self::Principal(name) => format!("{class} p {name}"),
            Self::Source(id, address) => format!("{class} s {address} {id}"),
        }
    }
}

/// Where a caller stands with a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    rate: Rate,
    left: u32,
    full_in: Duration,
}

impl Standing {
    /// As headers: how many in which time, how many are left, and in how many seconds all are there again.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let reset = self.full_in.as_millis().div_ceil(1_000);
        headers.insert("ratelimit-limit", HeaderValue::from(self.rate.count));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.left));
        headers.insert("ratelimit-reset", HeaderValue::from(u64::try_from(reset).unwrap_or(u64::MAX)));
        let policy = format!("{};w={}", self.rate.count, self.rate.per.as_secs());
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert("ratelimit-policy", policy);
        }
    }
}

/// Over the rate.
#[derive(Debug)]
pub(crate) struct OverRate {
    /// The refusal.
    pub(crate) problem: Box<Problem>,
    /// For its headers.
    pub(crate) standing: Standing,
}

impl From<OverRate> for Problem {
    fn from(over: OverRate) -> Self {
        *over.problem
    }
}

#[derive(Default)]
struct Entry {
    bucket: Bucket,
    /// Whose it is, where the window is long enough to be written down.
    label: Option<Box<str>>,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<u64, Entry>,
    /// A bucket with a long window was drawn from since it was written down.
    drawn: bool,
}

/// All buckets.
pub(crate) struct RateLimits {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

/// What is to be written down: pages of labels, and when each bucket is full again.
pub(crate) type Pages = Vec<(u32, Vec<(String, Timestamp)>)>;

impl RateLimits {
    /// No bucket yet.
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), shards }
    }

    fn shard(&self, key: u64) -> Option<&Mutex<Shard>> {
        self.shards.get(usize::try_from(key % SHARDS as u64).unwrap_or(0))
    }

    /// Takes one token, or says how long until there is one.
    pub(crate) fn take(
        &self,
        class: &str,
        caller: Caller<'_>,
        rate: Rate,
        now: Duration,
    ) -> Result<Standing, OverRate> {
        // A 64-bit keyed hash stands for the key: a collision is as likely as being struck by lightning, and only means
        // that two callers share a bucket.
        let key = self.hasher.hash_one((class, caller));
        let (taken, standing) = match self.shard(key) {
            None => (Ok(()), Standing { rate, left: rate.count, full_in: Duration::ZERO }),
            Some(shard) => {
                let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                if shard.entries.len() >= SHARD_ENTRIES && !shard.entries.contains_key(&key) {
                    evict(&mut shard.entries, now);
                }
                shard.drawn |= rate.per >= KEPT_WINDOW;
                let entry = shard.entries.entry(key).or_default();
                if rate.per >= KEPT_WINDOW && entry.label.is_none() {
                    entry.label = Some(caller.label(class).into());
                }
                let taken = entry.bucket.take(rate, now);
                let (left, full_in) = (entry.bucket.left(rate, now), entry.bucket.full_in(now));
                (taken, Standing { rate, left, full_in })
            }
        };
        taken.map(|()| standing).map_err(|wait| {
            let message = format!("more than {rate} requests; try again in {:.1} s", wait.as_secs_f64().max(0.1));
            OverRate { problem: Box::new(Problem::new(Code::RateLimited, message).retry_after(wait)), standing }
        })
    }

    /// What was drawn since the last time from buckets with a long window. The emptiest are kept where there are too many.
    pub(crate) fn dump(&self, now: Duration, wall: Timestamp) -> Pages {
        let mut pages = Pages::new();
        for (page, shard) in (0u32..).zip(&self.shards) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::take(&mut shard.drawn) {
                continue;
            }
            let labelled = shard.entries.values().filter(|entry| !entry.bucket.is_full(now));
            let mut used: Vec<(String, Timestamp)> = labelled
                .filter_map(|entry| Some((entry.label.as_deref()?.to_owned(), wall.plus(entry.bucket.full_in(now)))))
                .collect();
            used.sort_by_key(|(_, full_at)| std::cmp::Reverse(*full_at));
            used.truncate(PAGE_ENTRIES);
            pages.push((page, used));
        }
        pages
    }

    /// What is written down after all was lost to `pages`: they are to be written again.
    pub(crate) fn not_written(&self, pages: &[u32]) {
        for page in pages {
            if let Some(shard) = self.shards.get(usize::try_from(*page).unwrap_or(usize::MAX)) {
                shard.lock().unwrap_or_else(PoisonError::into_inner).drawn = true;
            }
        }
    }

    /// Takes over what an earlier process wrote down.
    pub(crate) fn restore(&self, used: Vec<(String, Timestamp)>, now: Duration, wall: Timestamp) {
        for (label, full_at) in used.into_iter().filter(|(_, full_at)| *full_at > wall) {
            let Some(key) = self.key_of(&label) else { continue };
            let Some(shard) = self.shard(key) else { continue };
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let bucket = Bucket::full_after(full_at.since(wall), now);
            shard.entries.insert(key, Entry { bucket, label: Some(label.into()) });
            shard.drawn = true;
        }
    }

    fn key_of(&self, label: &str) -> Option<u64> {
        let mut parts = label.splitn(3, ' ');
        let (class, kind, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let caller = match kind {
            "a" => Caller::Address(rest.parse().ok()?),
            "p" => Caller::Principal(rest),
            "s" => {
                let (address, id) = rest.split_once(' ')?;
                Caller::Source(id, address.parse().ok()?)
            }
            _ => return None,
        };
        Some(self.hasher.hash_one((class, caller)))
    }
}

fn evict(buckets: &mut HashMap<u64, Entry>, now: Duration) {
    buckets.retain(|_, entry| !entry.bucket.is_full(now));
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
        let refused = take("192.0.2.1").expect_err("used up").problem;
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
        let total: usize = limits.shards.iter().map(|s| s.lock().expect("not poisoned").entries.len()).sum();
        assert!(total <= SHARDS * SHARD_ENTRIES, "{total}");
    }

    #[test]
    fn what_a_long_window_has_used_outlives_the_process_and_a_short_one_does_not() {
        let (hour, second): (Rate, Rate) = ("4/h".parse().expect("valid"), "4/s".parse().expect("valid"));
        let (before, wall) = (RateLimits::new(), Timestamp::from_secs(1_000));
        let callers = [
            Caller::Address("192.0.2.1".parse().expect("valid")),
            Caller::Principal("jwt:a b"),
            Caller::Source("pay", "2001:db8::".parse().expect("valid")),
        ];
        for caller in callers {
            for _ in 0..3 {
                assert!(before.take("api", caller, hour, Duration::from_secs(9)).is_ok());
            }
            assert!(before.take("publish", caller, second, Duration::from_secs(9)).is_ok());
        }
        let pages = before.dump(Duration::from_secs(9), wall);
        assert_eq!(pages.iter().map(|(_, used)| used.len()).sum::<usize>(), 3);
        assert!(before.dump(Duration::from_secs(9), wall).is_empty(), "nothing was drawn since");
        let after = RateLimits::new();
        let used = pages.into_iter().flat_map(|(_, used)| used).collect();
        after.restore(used, Duration::from_secs(1), wall);
        for caller in callers {
            let now = Duration::from_secs(1);
            assert_eq!(after.take("api", caller, hour, now).expect("the fourth").left, 0);
            assert!(after.take("api", caller, hour, now).is_err());
        }
    }
}
