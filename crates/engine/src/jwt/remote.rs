//! A key set that lies elsewhere: kept while it can't be had, fetched again when a token names a key it lacks, but never
//! more often than an interval allows, and once for all who wait.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use nexus_core::time::{Clock, Timestamp};
use nexus_outbound::{Client, ClientOptions, Reach, Request};

use super::key::VerifyingKey;

/// Bytes of a key set.
const SET_BYTES: usize = 256 << 10;
/// For one fetch.
const FETCH: Duration = Duration::from_secs(5);

/// Where a key set comes from.
#[async_trait]
pub trait KeySource: std::fmt::Debug + Send + Sync {
    /// Its text, or why it can't be had.
    async fn fetch(&self) -> Result<String, String>;
}

/// A key set behind a URL.
#[derive(Debug)]
pub struct UrlKeys {
    client: Client,
    url: String,
}

impl UrlKeys {
    /// At this address. The operator names it, so it may be a private one.
    pub fn new(url: String) -> Result<Self, String> {
        let options = ClientOptions { response_kept_bytes: SET_BYTES, ..ClientOptions::default() };
        Ok(Self { client: Client::new(options).map_err(|e| e.to_string())?, url })
    }
}

#[async_trait]
impl KeySource for UrlKeys {
    async fn fetch(&self) -> Result<String, String> {
        let mut request = Request::post(self.url.clone(), "", Reach::Private);
        request.method = http::Method::GET;
        request.timeout = Some(FETCH);
        let answer = self.client.send(request).await.map_err(|e| e.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("it answered {}", answer.status));
        }
        if answer.truncated {
            return Err(format!("it is larger than {SET_BYTES} bytes"));
        }
        String::from_utf8(answer.body_head.to_vec()).map_err(|_| "it is not UTF-8".to_owned())
    }
}

/// When it was last asked for, by the hub's clock.
#[derive(Debug, Default)]
struct Asked {
    at: Option<Duration>,
}

/// A key set that lies elsewhere.
pub(super) struct Remote {
    source: Arc<dyn KeySource>,
    interval: Duration,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<Vec<Arc<VerifyingKey>>>>,
    read_at: RwLock<Timestamp>,
    asked: tokio::sync::Mutex<Asked>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({:?})", self.source)
    }
}

impl Remote {
    pub(super) fn new(source: Arc<dyn KeySource>, interval: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            interval,
            clock,
            keys: RwLock::default(),
            read_at: RwLock::default(),
            asked: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn keys(&self) -> Arc<Vec<Arc<VerifyingKey>>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// When the set in force was read.
    pub(super) fn read_at(&self) -> Timestamp {
        *self.read_at.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the set, unless that was tried less than an interval ago. Who waits for another's fetch makes none of its
    /// own. True when there may be new keys.
    pub(super) async fn refresh(&self, seen: &Arc<Vec<Arc<VerifyingKey>>>) -> bool {
        let mut asked = self.asked.lock().await;
        if !Arc::ptr_eq(seen, &self.keys()) {
            return true;
        }
        let now = self.clock.mono();
        if asked.at.is_some_and(|at| now.saturating_sub(at) < self.interval) {
            return false;
        }
        asked.at = Some(now);
        let read = match self.source.fetch().await {
            Ok(text) => VerifyingKey::set(&text).map_err(|e| e.to_string()),
            Err(reason) => Err(reason),
        };
        match read {
            Ok((keys, others)) if !keys.is_empty() => {
                tracing::info!(keys = keys.len(), others, "the key set for JSON Web Tokens was read");
                let keys = Arc::new(keys.into_iter().map(Arc::new).collect());
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
                *self.read_at.write().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
                true
            }
            Ok((_, others)) => {
                tracing::error!(others, "the key set holds no key that can be used; the last good ones stay");
                false
            }
            Err(reason) => {
                tracing::error!(reason, "the key set for JSON Web Tokens can't be had; the last good one stays");
                false
            }
        }
    }
}
