//! The hub itself: what is accepted is stored, what is stored is delivered, and every event has a fate.
//!
//! ```text
//! publish ─► store.commit ─► tail ─┬─► dispatcher (machine + driver) ─► endpoints, handlers
//!                                  └─► followers (sockets, streams)
//! ```
//!
//! - [`hub`], [`embed`]: the builder and the handle, also for programs that embed it; everything else hangs on it.
//! - [`delivery`]: the pure machine that decides on deliveries, and its driver.
//! - [`tail`], [`matcher`], [`receipts`], [`fate`]: following the log, matching it, proving and telling what became of it.
//! - [`consumers`]: deliveries that remote consumers take, instead of being called.
//! - [`source`]/[`sources`], [`subscription`]/[`subscriptions`], [`tokens`], [`jwt`], [`vault`], [`deliveries`], [`replays`],
//!   [`log`]: records and the desks that change them. [`commands`], [`plan`]: changes that are asked for and done once.
//! - [`connectors`]: calling outside services as their manifests say, with the accounts that the hub has there.
//! - [`timers`]: durable timers, fired once, for the hub's customers.
//! - [`keeper`], [`deaths`], [`notes`], [`quotas`], [`alerts`], [`retention`], [`health`], [`metrics`], [`trace`]: keeping house and showing it.
//! - `hide`, [`clock`], [`supervisor`], [`jq`], [`schema`], [`desk`], [`dispatch`], [`document`]: what they stand on.

pub mod alerts;
pub mod clock;
pub mod commands;
pub mod connectors;
pub mod consumers;
pub mod deaths;
pub mod deliveries;
pub mod delivery;
pub mod desk;
pub mod dispatch;
pub mod document;
pub mod embed;
pub mod fate;
pub mod health;
mod hide;
pub mod hub;
pub mod jq;
pub mod jwt;
pub mod keeper;
pub mod log;
pub mod matcher;
pub mod metrics;
pub mod notes;
pub mod plan;
pub mod quotas;
pub mod receipts;
pub mod replays;
pub mod retention;
pub mod schema;
pub mod source;
pub mod sources;
pub mod subscription;
pub mod subscriptions;
pub mod supervisor;
pub mod tail;
pub mod timers;
pub mod tokens;
pub mod trace;
pub mod vault;

pub use hub::{Hub, HubBuilder, HubConfig, StartError};
