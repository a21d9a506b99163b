//! Per-key order: one event of a key at a time, the rest in line.

use std::collections::{HashMap, VecDeque};

use nexus_core::event::Seq;

use super::lane::Waiting;

/// Seq and generation: names a delivery within its subscription.
pub type DeliveryKey = (Seq, u32);

#[derive(Debug, Default)]
struct Queue {
    /// In flight, or retrying, or a dead letter that holds its key.
    busy: Option<DeliveryKey>,
    waiting: VecDeque<Waiting>,
}

/// The keys of an ordered subscription that have something under way.
#[derive(Debug, Default)]
pub struct Keys {
    queues: HashMap<String, Queue>,
    /// Keys that are not busy and have someone waiting.
    ready: VecDeque<String>,
    queued: usize,
}

impl Keys {
    /// Events in line.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether something could be sent.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts an event in line.
    pub fn push(&mut self, key: String, waiting: Waiting) {
        let queue = self.queues.entry(key.clone()).or_default();
        queue.waiting.push_back(waiting);
        self.queued += 1;
        if queue.busy.is_none() && queue.waiting.len() == 1 {
            self.ready.push_back(key);
        }
    }

    /// Takes the next event of a key that is free, and makes the key busy with it.
    pub fn take(&mut self) -> Option<(String, Waiting)> {
        let key = self.ready.pop_front()?;
        let queue = self.queues.get_mut(&key)?;
        let waiting = queue.waiting.pop_front()?;
        queue.busy = Some((waiting.seq, 0));
        self.queued -= 1;
        Some((key, waiting))
    }

    /// Puts an event back at the head of its line, as if it had not been taken.
    pub fn put_back(&mut self, key: String, waiting: Waiting) {
        let queue = self.queues.entry(key.clone()).or_default();
        queue.busy = None;
        queue.waiting.push_front(waiting);
        self.queued += 1;
        self.ready.push_front(key);
    }

    /// Takes those out of line whose seq is `gone`.
    pub fn withdraw(&mut self, gone: impl Fn(Seq) -> bool) -> Vec<Waiting> {
        let mut found = Vec::new();
        for queue in self.queues.values_mut() {
            for waiting in std::mem::take(&mut queue.waiting) {
                if gone(waiting.seq) { found.push(waiting) } else { queue.waiting.push_back(waiting) }
            }
        }
        self.queued -= found.len();
        self.queues.retain(|_, q| q.busy.is_some() || !q.waiting.is_empty());
        self.ready.retain(|key| self.queues.contains_key(key));
        found
    }

    /// Who keeps `key` busy.
    pub fn busy_with(&self, key: &str) -> Option<DeliveryKey> {
        self.queues.get(key).and_then(|q| q.busy)
    }

    /// Makes `key` busy with `delivery`, and hands over whoever was in line: they now wait in its exception.
    pub fn block(&mut self, key: &str, delivery: DeliveryKey) -> Vec<Waiting> {
        self.ready.retain(|k| k != key);
        let queue = self.queues.entry(key.to_owned()).or_default();
        queue.busy = Some(delivery);
        self.queued -= queue.waiting.len();
        queue.waiting.drain(..).collect()
    }

    /// Frees `key` if `delivery` keeps it busy.
    pub fn release(&mut self, key: &str, delivery: DeliveryKey) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        if queue.busy != Some(delivery) {
            return;
        }
        queue.busy = None;
        if queue.waiting.is_empty() {
            self.queues.remove(key);
        } else {
            self.ready.push_back(key.to_owned());
        }
    }
}
