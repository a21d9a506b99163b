//! `[ingress]`: how much may come in, how fast.

use std::time::Duration;

use nexus_core::bucket::Rate;
use serde::{Deserialize, Serialize};

use super::value::RateLimit;

/// Rates of the doors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ingress {
    /// Signed events per client address, unless the source says otherwise.
    pub(crate) rate_limit: RateLimit,
    /// Publishing per token.
    pub(crate) publish_rate: RateLimit,
    /// Administration, reads and commands per token.
    pub(crate) api_rate: RateLimit,
    /// Sockets and streams opened per client address.
    pub(crate) stream_rate: RateLimit,
    /// Frames that one socket sends.
    pub(crate) frame_rate: Rate,
}

impl Default for Ingress {
    fn default() -> Self {
        let per_second = |count| RateLimit(Some(Rate { count, per: Duration::from_secs(1) }));
        Self {
            rate_limit: per_second(10),
            publish_rate: RateLimit(None),
            api_rate: per_second(1_000),
            stream_rate: per_second(2_000),
            frame_rate: Rate { count: 200, per: Duration::from_secs(1) },
        }
    }
}
