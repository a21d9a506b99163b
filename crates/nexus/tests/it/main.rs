//! The real binary, from outside: started, loaded, killed, asked. And the house itself, kept tidy.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test that can not go on says where; its modules are nobody else's"
)]

mod approvals;
mod cli;
mod connectors;
mod crash;
mod demo;
mod doors;
mod durable;
mod escalation;
mod files;
mod flow_crash;
mod flow_files;
mod flow_services;
mod flows_crash;
mod flows_offline;
mod http;
mod hub;
mod identity;
mod mail;
mod operators;
mod private_ca;
mod registry;
mod serve;
mod service;
mod sink;
mod sockets;
mod state;
mod state_crash;
mod state_guards;
mod state_rules;
mod tidy;
