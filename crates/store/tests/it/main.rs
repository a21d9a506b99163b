//! One binary for the integration tests of the store.

mod conformance;
