//! `[delivery]`: how events leave.

use std::{path::PathBuf, time::Duration};

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
    /// File of certificates in PEM that endpoints may be signed by, beside the public authorities.
    pub(crate) ca_file: Option<PathBuf>,
    /// Failures in a row that open an endpoint's breaker.
    pub(crate) breaker_failures: u32,
    /// How long a breaker stays open before one delivery is let through.
    pub(crate) breaker_open: Period,
    /// Failure without a success in between after which an endpoint is disabled, with an event and an alert.
    pub(crate) disable_after: Period,
    /// Retrying deliveries at which a subscription is paused, with an event and an alert.
    pub(crate) open_exceptions: usize,
    /// Events waiting behind one retrying key at which an ordered subscription is paused.
    pub(crate) key_waiters: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        let seconds = |n| Period(Duration::from_secs(n));
        Self {
            connect_timeout: seconds(5),
            idle_connections: 64,
            idle_time: seconds(60),
            ca_file: None,
            breaker_failures: 5,
            breaker_open: seconds(30),
            disable_after: seconds(5 * 24 * 3600),
            open_exceptions: nexus_core::limits::OPEN_EXCEPTIONS,
            key_waiters: nexus_core::limits::KEY_WAITERS,
        }
    }
}
