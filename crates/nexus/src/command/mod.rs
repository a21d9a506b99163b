//! Commands that talk to a running hub through the client library, or work on files while no hub runs.

pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod connectors;
pub(crate) mod consume;
pub(crate) mod dead;
pub(crate) mod deliveries;
pub(crate) mod event;
pub(crate) mod flows;
pub(crate) mod generate;
pub(crate) mod log;
pub(crate) mod replay;
pub(crate) mod secret;
pub(crate) mod services;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod subscription;
pub(crate) mod token;
pub(crate) mod transfer;
