//! The doors over a real hub, on a free port, with plain clients.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test they help")]

mod admin;
mod approvals;
mod bad_input;
mod callbacks;
mod campaigns;
mod cloudevents;
mod commands;
mod connectors;
mod consumers;
mod doors;
mod endings;
mod graphql;
mod graphql_sockets;
mod identity;
mod ingress;
mod jwt;
mod limits;
mod log;
mod own;
mod past;
mod rig;
mod shape;
mod sockets;
mod streams;
mod tokens;
mod walk;
mod webhooks;
