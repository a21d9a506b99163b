//! The real binary, from outside: started, loaded, killed, asked. And the house itself, kept tidy.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test that can not go on says where")]

mod cli;
mod crash;
mod demo;
mod doors;
mod files;
mod http;
mod hub;
mod serve;
mod sink;
mod tidy;
