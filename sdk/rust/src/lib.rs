//! A client of a running Nexus hub.
//!
//! ```no_run
//! # async fn example() -> Result<(), nexus_client::Error> {
//! use nexus_client::{Client, Settings};
//!
//! let hub = Client::discover(Settings::default())?;
//! let published = hub.publish("order.created", &serde_json::json!({"id": 7}), None).await?;
//! let fate = hub.fate(&published.message_id).await?;
//! println!("{fate}");
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] finds the hub and a token ([`Settings`]) and carries every call.
//! - [`event`]: publish, signed dispatch, query, fate. [`tail`]: the log as a stream that survives restarts of the hub.
//! - [`consume`]: deliveries taken by this program, durably, instead of being sent to an endpoint.
//! - [`service`]: services found and called.
//! - [`connector`]: outside services that the hub calls, and the accounts there.
//! - [`state`]: shared keys with versions, and watches over them.
//! - [`flow`]: automations and their runs.
//! - [`source`], [`subscription`], [`delivery`], [`replay`], [`token`], [`log`]: administration, one module per resource.
//! - [`trust`]: what is wrong with a certificate that is not trusted. [`Client::trust`] and [`Settings::ca`] are for hubs whose
//!   certificate is signed by an authority of your own.
//! - [`Error`] carries the hub's own words; show its message to people and compare [`Problem::code`] in programs.
//!
//! Answers are structs of the fields that programs use; whatever else the hub sends is kept in their `more`, so that a
//! newer hub loses nothing by passing through an older client.

pub mod client;
pub mod connector;
pub mod consume;
pub mod delivery;
pub mod discover;
pub mod error;
pub mod event;
pub mod flow;
pub mod log;
pub mod replay;
pub mod service;
mod socket;
pub mod source;
pub mod state;
pub mod subscription;
pub mod tail;
pub mod token;
pub mod trust;

pub use client::{Client, Page};
pub use discover::Settings;
pub use error::{Error, Problem};
pub use trust::Distrust;
