//! The doors over a real hub, on a free port, with plain clients.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test they help")]

mod admin;
mod bad_input;
mod cloudevents;
mod commands;
mod consumers;
mod doors;
mod graphql;
mod graphql_sockets;
mod identity;
mod ingress;
mod jwt;
mod limits;
mod log;
mod rig;
mod sockets;
mod streams;
mod tokens;
mod walk;
mod webhooks;
