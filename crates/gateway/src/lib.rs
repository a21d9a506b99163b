//! Every door of the hub: REST, webhooks with provider presets, WebSockets, server-sent events.
//!
//! A request goes one way: [`server`] accepts, [`gate`] routes it by the one table in [`routes`], [`identity`] says who
//! asks, [`rates`] how often, a handler parses and asks a service of the engine, [`answer`] and [`error`] dress what
//! comes back. This crate is the only one that knows HTTP statuses.
//!
//! - [`ingress`], [`presets`]: signed events in.
//! - [`stream`]: live events out, in three dialects.
//! - [`state`]: shared state, its history and its watches.
//! - [`connectors`]: calling outside services, and the accounts there.
//! - [`flows`]: automations, their runs, and the addresses that begin them.
//! - [`graphql()`]: the same rooms through one schema.
//! - [`services`]: services found and called.
//! - [`admin`], [`health`], [`pages`]: everything else; handlers are thin.
//! - [`openapi()`]: the description of all of it, generated from the table.

mod address;
mod admin;
mod answer;
mod asyncapi;
mod call;
mod config;
mod connectors;
mod consume;
mod cors;
mod error;
mod flows;
mod gate;
mod graphql;
mod health;
mod identity;
mod ingress;
mod metrics;
mod openapi;
mod pages;
pub mod presets;
mod query;
mod rates;
mod routes;
mod schemas;
mod server;
mod services;
mod state;
mod stream;

pub use asyncapi::{asyncapi, asyncapi_yaml};
pub use config::{GatewayConfig, Network};
pub use graphql::graphql;
pub use openapi::openapi;
pub use server::{Rooms, ServeError, Tls, TlsError, serve};
