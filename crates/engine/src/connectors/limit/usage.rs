//! What was used of long quotas, as it is written down: before a request goes out that no earlier note covers. A note
//! covers some requests ahead, so that not every call is a commit; a restart counts those as made.

use std::{collections::VecDeque, time::Duration};

use super::{Counter, Gate, LimitOf, Quota, Wanted};

/// A restart takes about as long as the span of a shorter quota.
const LONG: Duration = Duration::from_secs(60);
/// A note covers this part of the smallest long quota ahead.
const AHEAD_PART: u32 = 20;
/// Moments that one note tells apart.
const MOMENTS: u32 = 100;

/// What was used of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connectors) struct Used {
    pub(in crate::connectors) of: LimitOf,
    pub(in crate::connectors) account: String,
    pub(in crate::connectors) operation: String,
    /// When requests began, and how many; never earlier than they did.
    pub(in crate::connectors) begun: Vec<(Duration, u32)>,
    /// Requests that may have begun since.
    pub(in crate::connectors) ahead: u32,
    /// The longest span that is counted.
    pub(in crate::connectors) span: Duration,
    /// Of what began, what no earlier note covered.
    pub(in crate::connectors) owed: u32,
}

fn long(quotas: &[Quota]) -> impl Iterator<Item = &Quota> {
    quotas.iter().filter(|quota| quota.per.0 >= LONG)
}

/// The longest span that outlasts a restart; none is nothing.
pub(super) fn longest(quotas: &[Quota]) -> Duration {
    long(quotas).map(|quota| quota.per.0).max().unwrap_or_default()
}

/// Requests in as few moments as tell them well enough apart, each put off rather than brought forward.
fn moments(begun: &VecDeque<Duration>, span: Duration, now: Duration) -> Vec<(Duration, u32)> {
    let width = (span / MOMENTS).max(Duration::from_secs(1));
    let mut moments: Vec<(Duration, u32)> = Vec::new();
    // From the newest on: each moment is that of its newest request.
    for at in begun.iter().rev().take_while(|at| **at + span > now) {
        match moments.last_mut() {
            Some((moment, count)) if *at + width > *moment => *count += 1,
            _ => moments.push((*at, 1)),
        }
    }
    moments.reverse();
    moments
}

impl Counter {
    /// What began under these quotas, and what a note of it covers ahead. What begins from here on is owed.
    fn used(&mut self, quotas: &[Quota], now: Duration) -> (Vec<(Duration, u32)>, u32) {
        self.allowed = 0;
        let begun = moments(&self.begun, self.span, now);
        let count: u32 = begun.iter().map(|(_, count)| count).sum();
        let room = |quota: &Quota| (quota.requests / AHEAD_PART).min(quota.requests.saturating_sub(count));
        (begun, long(quotas).map(room).min().unwrap_or_default())
    }

    /// A note that is not written after all, as its caller went away, leaves everything owed.
    fn written(&mut self, used: &Used) {
        self.owed = self.owed.saturating_sub(used.owed);
        let covered = self.owed.min(used.ahead);
        self.owed -= covered;
        self.allowed = used.ahead - covered;
    }

    fn restore(&mut self, used: &Used, now: Duration) {
        let earlier = used.begun.iter().flat_map(|(at, count)| (0..*count).map(|_| (*at).min(now)));
        // What was covered ahead may have been made up to the last moment before this process.
        let ahead = (0..used.ahead).map(|_| now);
        self.begun.extend(earlier.chain(ahead).collect::<Vec<_>>());
        self.begun.make_contiguous().sort_unstable();
        self.span = self.span.max(used.span);
    }
}

impl Gate {
    /// Whether something began that no note covers.
    pub(in crate::connectors) fn owes(&self, wanted: &Wanted) -> bool {
        let operation = self.operations.get(&(wanted.account.clone(), wanted.operation.clone()));
        [Some(&self.app), self.accounts.get(&wanted.account), operation].into_iter().flatten().any(|c| c.owed > 0)
    }

    /// What must be written down before a call like this one goes out. Tell [`Self::written`] when it is.
    pub(in crate::connectors) fn used(&mut self, wanted: &Wanted, now: Duration) -> Vec<Used> {
        let operation = (wanted.account.clone(), wanted.operation.clone());
        let counters = [
            (LimitOf::App, Some(&mut self.app), &self.app_quotas),
            (LimitOf::Account, self.accounts.get_mut(&wanted.account), &self.account_quotas),
            (LimitOf::Operation, self.operations.get_mut(&operation), &wanted.quotas),
        ];
        let mut all = Vec::new();
        for (of, counter, quotas) in counters {
            let Some(counter) = counter.filter(|counter| counter.owed > 0) else { continue };
            let (begun, ahead) = counter.used(quotas, now);
            let (account, operation) = (wanted.account.clone(), wanted.operation.clone());
            all.push(Used { of, account, operation, begun, ahead, span: counter.span, owed: counter.owed });
        }
        all
    }

    /// It is on disk.
    pub(in crate::connectors) fn written(&mut self, used: &Used) {
        self.counter(used.of, &used.account, &used.operation).written(used);
    }

    /// Everything that is worth a note when the hub ends: nothing is covered ahead any more.
    pub(in crate::connectors) fn all_used(&mut self, now: Duration) -> Vec<Used> {
        let none = String::new();
        let accounts = self.accounts.iter_mut().map(|(account, c)| (LimitOf::Account, account, &none, c));
        let operations = self.operations.iter_mut().map(|((account, op), c)| (LimitOf::Operation, account, op, c));
        let counters = std::iter::once((LimitOf::App, &none, &none, &mut self.app)).chain(accounts).chain(operations);
        let mut all = Vec::new();
        for (of, account, operation, counter) in counters.filter(|(.., counter)| !counter.span.is_zero()) {
            counter.allowed = 0;
            let (account, operation) = (account.clone(), operation.clone());
            let (begun, span, owed) = (moments(&counter.begun, counter.span, now), counter.span, counter.owed);
            all.push(Used { of, account, operation, begun, ahead: 0, span, owed });
        }
        all
    }

    /// Counts again what an earlier process wrote down.
    pub(in crate::connectors) fn restore(&mut self, used: &Used, now: Duration) {
        self.counter(used.of, &used.account, &used.operation).restore(used, now);
    }
}
