//! One binary for the integration tests of the store.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod chain;
mod conformance;
mod disk;
mod equal;
mod files;
mod formats;
mod load;
mod memory;
mod power;
mod support;
