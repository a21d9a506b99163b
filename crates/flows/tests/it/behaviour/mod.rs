//! Behaviour that starts flows, over the real store: each match is told once and begins one run, whatever happens meanwhile.

#![expect(clippy::disallowed_methods, reason = "bounds of tests are in real time")]

mod keeping;
mod looking_back;
mod rig;
mod triggers;
