//! Flows in a hub over a real store, in a temporary folder, on the test clock: run, crashed, found again.

#![expect(clippy::disallowed_methods, reason = "bounds and figures of tests are in real time")]

mod again;
mod bad_input;
mod connectors;
mod crash;
mod erasing;
mod journeys;
mod life;
mod log;
mod plug;
mod scale;
mod schedules;
mod stand_in;
mod trouble;
mod turns;
mod views;
