//! Whose turn it is: quotas over sliding spans, resets that providers told of, and a queue in which a higher priority goes
//! first. State and decisions only; [`super::turn`] waits, and writes down what must outlast a restart.

mod usage;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use nexus_core::event::Priority;

pub(super) use self::usage::Used;
use super::manifest::{LimitOf, Quota};

/// The longest time that a provider's word keeps calls back.
pub(super) const LIMIT_CAP: Duration = Duration::from_secs(24 * 3600);
/// Calls of one connector that wait at once; one more is refused.
pub(super) const WAITERS: usize = 256;

/// One thing that is counted.
#[derive(Debug, Default)]
struct Counter {
    /// When each counted request began; the oldest first.
    begun: VecDeque<Duration>,
    blocked_until: Duration,
    /// Requests that may still begin before it must be written down again.
    allowed: u32,
    /// Requests that began and are not written down.
    owed: u32,
    /// The longest span of which is written down what was used; nothing = none is.
    span: Duration,
}

impl Counter {
    /// When there is room under all quotas, from `now` on.
    fn free_at(&self, quotas: &[Quota], now: Duration) -> Duration {
        let room = |quota: &Quota| {
            let count = usize::try_from(quota.requests).unwrap_or(usize::MAX);
            let behind = self.begun.len().checked_sub(count)?;
            self.begun.get(behind).map(|begun| *begun + quota.per.0)
        };
        quotas.iter().filter_map(room).fold(self.blocked_until.max(now), Duration::max)
    }

    fn take(&mut self, quotas: &[Quota], now: Duration) {
        let Some(longest) = quotas.iter().map(|quota| quota.per.0).max() else { return };
        while self.begun.front().is_some_and(|begun| *begun + longest <= now) {
            self.begun.pop_front();
        }
        self.begun.push_back(now);
        self.span = usage::longest(quotas);
        if !self.span.is_zero() {
            match self.allowed.checked_sub(1) {
                Some(left) => self.allowed = left,
                None => self.owed = self.owed.saturating_add(1),
            }
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.begun.is_empty() && self.blocked_until <= now
    }
}

/// What a call needs a place in.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) account: String,
    pub(super) operation: String,
    pub(super) priority: Priority,
    /// Those of the operation.
    pub(super) quotas: Vec<Quota>,
}

/// Names one waiting call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Whether a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now; it was counted.
    Go,
    /// Not before this moment.
    At(Duration),
    /// There would be room, but another call is first.
    Behind,
}

/// The gate of one connector.
#[derive(Debug, Default)]
pub(super) struct Gate {
    app_quotas: Vec<Quota>,
    account_quotas: Vec<Quota>,
    app: Counter,
    accounts: HashMap<String, Counter>,
    operations: HashMap<(String, String), Counter>,
    /// In the order of their coming.
    waiting: VecDeque<(Ticket, Wanted)>,
    next: u64,
}

impl Gate {
    /// With these quotas.
    pub(super) fn new(app: Vec<Quota>, account: Vec<Quota>) -> Self {
        Self { app_quotas: app, account_quotas: account, ..Self::default() }
    }

    /// Queues up; `None` when too many wait.
    pub(super) fn enter(&mut self, wanted: Wanted) -> Option<Ticket> {
        if self.waiting.len() >= WAITERS {
            return None;
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        self.waiting.push_back((ticket, wanted));
        Some(ticket)
    }

    /// Leaves the queue, having gone or given up.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|(t, _)| *t != ticket);
    }

    /// Whether it is this call's turn; it is counted when it is.
    pub(super) fn ask(&mut self, ticket: Ticket, now: Duration) -> Turn {
        let Some(place) = self.waiting.iter().position(|(t, _)| *t == ticket) else { return Turn::Behind };
        let Some((_, wanted)) = self.waiting.get(place) else { return Turn::Behind };
        let at = self.free_at(wanted, now);
        if at > now {
            return Turn::At(at);
        }
        let ahead = self.waiting.iter().enumerate().any(|(n, (_, other))| {
            let first = other.priority > wanted.priority || (other.priority == wanted.priority && n < place);
            first && self.free_at(other, now) <= now
        });
        if ahead {
            return Turn::Behind;
        }
        let wanted = wanted.clone();
        self.leave(ticket);
        self.app.take(&self.app_quotas, now);
        if !self.account_quotas.is_empty() {
            self.accounts.entry(wanted.account.clone()).or_default().take(&self.account_quotas, now);
        }
        if !wanted.quotas.is_empty() {
            let key = (wanted.account, wanted.operation);
            self.operations.entry(key).or_default().take(&wanted.quotas, now);
        }
        Turn::Go
    }

    /// When a call could be sent were nobody else waiting.
    pub(super) fn free_at(&self, wanted: &Wanted, now: Duration) -> Duration {
        let account = self.accounts.get(&wanted.account);
        let operation = self.operations.get(&(wanted.account.clone(), wanted.operation.clone()));
        let account = account.map_or(now, |counter| counter.free_at(&self.account_quotas, now));
        let operation = operation.map_or(now, |counter| counter.free_at(&wanted.quotas, now));
        self.app.free_at(&self.app_quotas, now).max(account).max(operation)
    }

    /// Whether it is the provider's word that keeps a call back, rather than a quota of the manifest.
    pub(super) fn is_asked(&self, wanted: &Wanted, now: Duration) -> bool {
        let account = self.accounts.get(&wanted.account);
        let operation = self.operations.get(&(wanted.account.clone(), wanted.operation.clone()));
        [Some(&self.app), account, operation].into_iter().flatten().any(|counter| counter.blocked_until > now)
    }

    /// Nothing is sent until then.
    pub(super) fn block(&mut self, of: LimitOf, account: &str, operation: &str, until: Duration) {
        let counter = self.counter(of, account, operation);
        counter.blocked_until = counter.blocked_until.max(until);
    }

    fn counter(&mut self, of: LimitOf, account: &str, operation: &str) -> &mut Counter {
        match of {
            LimitOf::App => &mut self.app,
            LimitOf::Account => self.accounts.entry(account.to_owned()).or_default(),
            LimitOf::Operation => self.operations.entry((account.to_owned(), operation.to_owned())).or_default(),
        }
    }

    /// Forgets what no longer limits anything.
    pub(super) fn tidy(&mut self, now: Duration) {
        let longest = |quotas: &[Quota]| quotas.iter().map(|q| q.per.0).max().unwrap_or_default();
        let (account, any) = (longest(&self.account_quotas), Duration::from_secs(31 * 86_400));
        let drain = |counter: &mut Counter, span: Duration| {
            counter.begun.retain(|begun| *begun + span > now);
            !counter.is_idle(now)
        };
        self.accounts.retain(|_, counter| drain(counter, account));
        self.operations.retain(|_, counter| drain(counter, any));
    }
}

#[cfg(test)]
mod tests;
