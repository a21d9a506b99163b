//! The hub over a real SQLite store, with real endpoints.

mod deliveries;
mod rig;
mod simulation;
