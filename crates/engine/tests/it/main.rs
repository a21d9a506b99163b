//! The hub over a real SQLite store, with real endpoints.

mod deliveries;
mod faults;
mod keeping;
mod library;
mod load;
mod outages;
mod rig;
mod simulation;
