//! Deliveries: a pure state machine that decides, and a driver that does.
//!
//! [`machine::Machine`] takes in events, answers and the passing of time, and gives out effects: attempts to make, pages
//! of the log to read, bookkeeping to save. It performs no I/O and reads no clock, so that a simulator can drive it
//! through every failure. [`driver`] is the thin shell around it.

pub mod attempt;
mod change;
pub mod driver;
pub mod exchange;
pub mod found;
pub mod handler;
pub mod key;
pub mod lane;
pub mod machine;
pub mod notice;
pub mod outcome;
mod reading;
pub mod recover;
mod replaying;
pub mod save;
mod sending;
pub mod spec;
pub mod state;
mod withdrawn;
