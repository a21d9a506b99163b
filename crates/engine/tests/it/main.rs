//! The hub over a real SQLite store, with real endpoints.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test they help"
)]

mod connectors;
mod consumers;
mod deliveries;
mod faults;
mod jwks;
mod keeping;
mod library;
mod load;
mod outages;
mod provider;
mod recovery;
mod rig;
mod rights;
mod scale;
mod secrecy;
mod shipped;
mod simulation;
mod vendor;
