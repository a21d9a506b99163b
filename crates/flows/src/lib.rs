//! Automations: Open Workflow documents (DSL 1.0.0 to 1.0.3), checked once when they are published and interpreted as a pure
//! function of their state. No I/O, no clock, no chance: everything a run does to the world is an [`effect::Effect`] that a
//! host performs, everything it learns is an [`effect::Input`].
//!
//! ```text
//! text ─► yaml ─► model ─► validate ─► Definition ─┐
//!                                                  ├─► run::step(definition, state, input, host) ─► effects
//! stored RunState ─► decode ───────────────────────┘                       └─► state, encoded and stored again
//! ```
//!
//! - [`yaml`], [`model`], [`validate`], [`plan`], [`problem`]: from a text to a [`Definition`], or to problems a person can
//!   act on.
//! - [`expression`], [`uri`], [`duration`], [`secrets`]: what stands in fields. jq comes from `nexus_engine::jq`, screened
//!   and paid for with fuel.
//! - [`run`], [`effect`], [`error`], [`openapi`]: the interpreter.
//! - [`catalog`]: the functions that the hub brings, and what they take.
//! - [`schedule`], [`trigger`], [`detect`], [`webhook`]: what starts a flow.
//! - [`rehearse`], [`graph`], [`template`], [`files`]: flows without a hub: played, drawn, begun, told apart.
//!
//! # What a host must do
//!
//! 1. **One commit per step.** Load the state, call [`run::step`] with one input, then commit the encoded state together with
//!    the step's `Emit`, `Lifecycle`, `Step`, `SetTimer`/`CancelTimer`, `Listen`/`CancelListen`, `StartRun`/`CancelRun` and the
//!    intent of its `Call`s. A step that could not be committed never happened: load again and repeat it.
//! 2. **Reach outside only after the commit**, and tell the run with [`effect::Input::CallDone`]. After a restart ask
//!    [`run::state::RunState::open_effects`] of each run that has not ended: it gives every call, timer, listen and child whose answer is
//!    missing, with the same ids and the same idempotency keys. Performing a call twice is the host's to avoid as far as the
//!    other side can; the key (`Call::key`) is to be sent as `Idempotency-Key` unless the flow set that header itself.
//! 3. **Secrets** go into a request at the last moment ([`effect::HttpRequest::outgoing`]); an `Outgoing` is neither stored nor
//!    logged. The state, emitted events, lifecycle events and steps hold only `[secret name]` or marks that reveal nothing.
//!    Arguments of functions are revealed by `Secrets::reveal_value`.
//! 4. **Timers** are due by wall time. Firing one, and the step it leads to, is one commit that also deletes it.
//! 5. **Events** are told in the order of the log, with their place in it: for a `Listen` with `from_trigger`, beginning after
//!    the event that started the run (after a restart: after `Listen::after`). The host may leave out those that no [`effect::Interest`] can select; the run decides. Telling
//!    one twice is harmless. A suspended run is better not told: on `Resume` the log is read on from there.
//! 6. **Children**: at most one run per `StartRun::key`; its id and parent are the host's to keep. Cancel cascades by
//!    `CancelRun`.
//! 7. **Versions**: a run is stepped only with the [`Definition`] it began with ([`run::state::RunState`] names it).
//! 8. **Continue** is an input like any other: commit first, so that other runs have their turn.
//!
//! A [`run::Taken`] that is `ignored` changed nothing and needs no commit.

pub mod catalog;
pub mod detect;
pub mod duration;
pub mod effect;
pub mod error;
pub mod expression;
pub mod files;
pub mod graph;
pub mod host;
pub mod model;
pub mod openapi;
pub mod plan;
pub mod rehearse;
pub mod run;
pub mod schedule;
pub mod secrets;
pub mod template;
pub mod trigger;
pub mod uri;
pub mod validate;
pub mod webhook;

pub use nexus_engine::document::{pointer, problem, yaml};
pub use plan::Definition;
pub use validate::publish;
