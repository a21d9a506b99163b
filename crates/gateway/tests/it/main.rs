//! The doors over a real hub, on a free port, with plain clients.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test they help")]

mod admin;
mod bad_input;
mod cloudevents;
mod consumers;
mod doors;
mod graphql;
mod graphql_sockets;
mod identity;
mod ingress;
mod limits;
mod log;
mod rig;
mod sockets;
mod streams;
mod walk;
mod webhooks;
