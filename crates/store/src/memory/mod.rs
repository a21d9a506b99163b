//! The store without a disk: the same semantics in one mutex, deterministic from a seed, with faults on demand.
//!
//! For the simulator and for tests. Everything acknowledged is "durable": [`MemoryStore::crash`] gives the store a
//! restarted process would open.

mod documents;
mod entries;
mod log;
mod state;
mod store;
mod upkeep;

pub use store::{FaultKind, MemoryStore};
