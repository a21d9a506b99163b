//! `[delivery]`: how events leave.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value::Period;

/// The outbound client and endpoints.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// For resolving, connecting and TLS together.
    pub(crate) connect_timeout: Period,
    /// Idle connections kept per endpoint.
    pub(crate) idle_connections: usize,
    /// How long one is kept.
    pub(crate) idle_time: Period,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            connect_timeout: Period(Duration::from_secs(5)),
            idle_connections: 64,
            idle_time: Period(Duration::from_secs(60)),
        }
    }
}
