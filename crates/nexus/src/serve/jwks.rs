//! Which JSON Web Tokens are taken: the settings, and a key set in a file.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use nexus_engine::jwt::{JwtConfig, KeySource, Rules, UrlKeys};

use crate::{config::Jwt, output::Failure};

/// Bytes of a key set.
const SET_BYTES: u64 = 256 << 10;

/// A key set in a file.
#[derive(Debug)]
struct FileKeys(PathBuf);

#[async_trait]
impl KeySource for FileKeys {
    async fn fetch(&self) -> Result<String, String> {
        let wrong = |e: std::io::Error| format!("{}: {e}", self.0.display());
        let length = tokio::fs::metadata(&self.0).await.map_err(wrong)?.len();
        if length > SET_BYTES {
            return Err(format!("{} is larger than {SET_BYTES} bytes", self.0.display()));
        }
        tokio::fs::read_to_string(&self.0).await.map_err(wrong)
    }
}

/// As the hub takes them.
pub(super) fn settings(jwt: &Jwt) -> Result<JwtConfig, Failure> {
    let source: Option<Arc<dyn KeySource>> = match (&jwt.jwks_url, &jwt.jwks_file) {
        (Some(url), _) => {
            let keys = UrlKeys::new(url.clone()).map_err(|e| Failure::usage(format!("[jwt] jwks_url: {e}")))?;
            Some(Arc::new(keys))
        }
        (None, Some(file)) => Some(Arc::new(FileKeys(file.clone()))),
        (None, None) => None,
    };
    Ok(JwtConfig {
        rules: Rules {
            issuers: jwt.issuer.clone(),
            audiences: jwt.audience.clone(),
            leeway: jwt.leeway.0,
            scope_claim: Some(jwt.scope_claim.clone()).filter(|claim| !claim.is_empty()),
        },
        source,
        refresh: jwt.refresh.0,
        interval: jwt.refresh_interval.0,
    })
}
