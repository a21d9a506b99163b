//! One binary for the integration tests of the store.
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod conformance;
mod memory;
