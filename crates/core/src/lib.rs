//! The vocabulary of Nexus and the ports its rooms meet at.
//!
//! Everything here is pure: no runtime, no SQL, no HTTP, no clock of its own. A decision is a synchronous function of
//! its inputs; whatever performs I/O implements one of the traits below and lives in another crate.
//!
//! - [`event`], [`topic`], [`id`], [`time`]: what the log holds.
//! - [`store`]: the commit, the log and the documents, as one trait with a written contract.
//! - [`own`]: which events only the hub itself may say.
//! - [`record`]: how a collection of documents declares its columns and indexes.
//! - [`chain`]: the hash chain over the log and its signed checkpoints.
//! - [`sign`], [`json`], [`cloudevents`]: parsing and proving what comes from outside.
//! - [`retry`], [`breaker`], [`bucket`]: small state machines shared by doors and deliveries.
//! - [`access`], [`problem`], [`wording`]: who may do what, and how a refusal is said.
//! - [`plugin`]: where plugins may look on, change or refuse.

pub mod access;
pub mod breaker;
pub mod bucket;
pub mod chain;
pub mod cloudevents;
pub mod event;
pub mod id;
pub mod json;
pub mod limits;
pub mod own;
pub mod plugin;
pub mod problem;
pub mod ranged;
pub mod record;
pub mod retry;
pub mod sign;
pub mod store;
pub mod time;
pub mod topic;
pub mod wording;
