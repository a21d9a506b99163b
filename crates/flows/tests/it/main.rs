//! Flows as documents, as expressions and as runs, from outside.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test they help, and say what was skipped"
)]

mod behaviour;
mod documents;
mod driver;
mod features;
mod gherkin;
mod hosted;
mod limits;
mod random_flows;
mod rehearsals;
mod specs;
