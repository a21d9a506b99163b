//! The log itself: verify, checkpoints, redaction, export, import, backup.

use std::{path::Path as FilePath, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::{
    Client, Error,
    client::{Path, unwrap},
};

/// How long the hub may take to verify a whole log or to begin a backup.
const LONG: Duration = Duration::from_secs(3600);

/// Whose data to erase.
#[derive(Clone, Debug)]
pub enum Redact {
    /// That of one event.
    Event(String),
    /// That of every event about one subject.
    Subject(String),
}

impl Client {
    /// Head of the log.
    pub async fn log_head(&self) -> Result<Value, Error> {
        self.get("/api/v1/log").await
    }

    /// Verifies the chain from its begin, and against an earlier checkpoint where one is given.
    pub async fn verify_log(&self, against: Option<&Value>) -> Result<Value, Error> {
        let body = against.map_or_else(|| serde_json::json!({}), |c| serde_json::json!({ "against": c }));
        self.clone().timeout(LONG).post("/api/v1/log/verify", &body).await
    }

    /// Verifies up to `limit` events after `after`, an earlier part's `next` (`None` = from the beginning). A report with
    /// a `next` is of a part; `last` and `head` tell how far it is.
    pub async fn verify_log_part(
        &self,
        against: Option<&Value>,
        after: Option<&Value>,
        limit: u64,
    ) -> Result<Value, Error> {
        let mut body = serde_json::json!({ "limit": limit });
        for (name, value) in [("against", against), ("after", after)] {
            if let Some(value) = value {
                body[name] = value.clone();
            }
        }
        self.clone().timeout(LONG).post("/api/v1/log/verify", &body).await
    }

    /// A signed checkpoint of the log's head, to be kept elsewhere.
    pub async fn checkpoint(&self) -> Result<Value, Error> {
        self.get("/api/v1/log/checkpoint").await
    }

    /// Erases data; the log still verifies.
    pub async fn redact(&self, what: &Redact, reason: &str) -> Result<Value, Error> {
        let body = match what {
            Redact::Event(id) => serde_json::json!({ "event_id": id, "reason": reason }),
            Redact::Subject(subject) => serde_json::json!({ "subject": subject, "reason": reason }),
        };
        self.clone().timeout(LONG).post("/api/v1/log/redact", &body).await
    }

    /// Up to `limit` events after `after`, one JSON object per line.
    pub async fn export(&self, after: u64, limit: usize) -> Result<Bytes, Error> {
        let path = Path::new("/api/v1/log/export").query("after", Some(after)).query("limit", Some(limit));
        let answer = self.send(Method::GET, path.as_str(), HeaderMap::new(), None).await?;
        let body = answer.into_body().collect().await.map_err(|e| self.unreadable(&e))?;
        Ok(body.to_bytes())
    }

    /// Stores exported lines; an event that the log has already is counted as repeated.
    pub async fn import(&self, lines: Bytes) -> Result<Value, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        self.json(Method::POST, "/api/v1/log/import", headers, Some(lines)).await.map(unwrap)
    }

    /// Writes a consistent copy of a running hub's database to `file`, which must not exist. `progress` hears the bytes
    /// written so far, and the whole size where it is known.
    pub async fn backup(&self, file: &FilePath, mut progress: impl FnMut(u64, Option<u64>)) -> Result<u64, Error> {
        let local = |e: std::io::Error| Error::Local(format!("{}: {e}", file.display()));
        let answer = self.clone().timeout(LONG).send(Method::POST, "/api/v1/backup", HeaderMap::new(), None).await?;
        let total =
            answer.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let mut out = tokio::fs::OpenOptions::new().write(true).create_new(true).open(file).await.map_err(local)?;
        let mut body = answer.into_body();
        let mut written = 0u64;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| self.unreadable(&e))?;
            if let Some(data) = frame.data_ref() {
                out.write_all(data).await.map_err(local)?;
                written += data.len() as u64;
                progress(written, total);
            }
        }
        out.sync_all().await.map_err(local)?;
        Ok(written)
    }
}
