//! `[jwt]`: which JSON Web Tokens are taken.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::value::Period;

/// Whose tokens, for whom, by which keys. Keys of the hub's own are kept with `nexus token key`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Jwt {
    /// `iss` is one of these. Empty: whoever holds a key; with a key set from elsewhere at least one must be named.
    pub(crate) issuer: Vec<String>,
    /// `aud` names one of these.
    pub(crate) audience: Vec<String>,
    /// How far clocks may be apart; 5 minutes at most.
    pub(crate) leeway: Period,
    /// The claim that holds scopes; empty = `scope`, else `scp`.
    pub(crate) scope_claim: String,
    /// A key set behind a URL.
    pub(crate) jwks_url: Option<String>,
    /// A key set in a file.
    pub(crate) jwks_file: Option<PathBuf>,
    /// How old the key set may grow.
    pub(crate) refresh: Period,
    /// Least time between two fetches of the key set.
    pub(crate) refresh_interval: Period,
}

/// Longest leeway.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(300);

impl Default for Jwt {
    fn default() -> Self {
        let seconds = |n| Period(Duration::from_secs(n));
        Self {
            issuer: Vec::new(),
            audience: vec!["nexus".into()],
            leeway: seconds(30),
            scope_claim: String::new(),
            jwks_url: None,
            jwks_file: None,
            refresh: seconds(600),
            refresh_interval: seconds(30),
        }
    }
}

impl Jwt {
    /// What no single value shows.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.leeway.0 > MAX_LEEWAY {
            return Err("leeway is at most 5m: a longer one keeps tokens alive that have expired".into());
        }
        if self.audience.is_empty() {
            return Err("audience must name this hub, or a token made for another service opens it".into());
        }
        if self.jwks_url.is_some() && self.jwks_file.is_some() {
            return Err("set jwks_url or jwks_file, one of the two".into());
        }
        if (self.jwks_url.is_some() || self.jwks_file.is_some()) && self.issuer.is_empty() {
            return Err("issuer must be set with a key set from elsewhere".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_needs_an_issuer_and_a_hub_an_audience() {
        assert!(Jwt::default().check().is_ok());
        let foreign = Jwt { jwks_url: Some("https://id.example.com/keys".into()), ..Jwt::default() };
        assert!(foreign.check().is_err());
        assert!(Jwt { issuer: vec!["https://id.example.com".into()], ..foreign }.check().is_ok());
        assert!(Jwt { audience: Vec::new(), ..Jwt::default() }.check().is_err());
        assert!(Jwt { leeway: Period(Duration::from_secs(301)), ..Jwt::default() }.check().is_err());
    }
}
