//! The client against real sockets: answers, misbehaviour, and the guard.

#![expect(clippy::expect_used, reason = "a test server that can't start ends its test")]

mod answers;
mod guard;
mod server;
mod smtp;
mod tls;
