//! What every backend has to pass: plain functions over a store and a clock that the test moves.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod log;
mod rig;

pub use rig::{ITEMS, Item, ManualClock, Rig, event, items, query};

/// One test of the suite.
pub type Case = fn(Rig) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// All cases by name.
pub const CASES: &[(&str, Case)] =
    &[("commits_append_in_order_without_gaps", |rig| Box::pin(log::commits_append_in_order_without_gaps(rig)))];
