//! The registry and the state over a real hub.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test they help")]

mod choice;
mod churn;
mod heartbeats;
mod policies;
mod rig;
mod vitals;
