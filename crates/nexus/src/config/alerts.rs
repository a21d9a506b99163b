//! `[alerts]`: who is told when something is critical.

use serde::{Deserialize, Serialize};

use super::value::Hidden;

/// Where alerts go; both may be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// A Discord webhook; its URL is a secret.
    pub(crate) discord: Option<Hidden>,
    /// Any HTTP endpoint; it gets the alert as JSON.
    pub(crate) url: Option<Hidden>,
}
