//! Replay: past events once more to one subscription, marked as such.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{Client, Error, Page, client::Path};

const REPLAYS: &str = "/api/v1/replays";

/// A place in the log: a seq, or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// This seq.
    Seq(u64),
    /// This time, RFC 3339.
    Time(String),
}

impl From<&str> for At {
    /// Digits are a seq, anything else a time.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Time(text.to_owned()), Self::Seq)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seq(seq) => s.serialize_u64(*seq),
            Self::Time(time) => s.serialize_str(time),
        }
    }
}

/// What to replay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayRequest {
    /// To whom.
    pub subscription: String,
    /// From here on; the log's begin when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<At>,
    /// Up to here; the present head when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
    /// Only count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Client {
    /// Starts a replay, or counts what it would send.
    pub async fn replay(&self, request: &ReplayRequest) -> Result<Value, Error> {
        self.post(REPLAYS, request).await
    }

    /// All replays.
    pub async fn replays(&self) -> Result<Page<Value>, Error> {
        self.page(REPLAYS).await
    }

    /// One replay with its progress.
    pub async fn replay_status(&self, id: &str) -> Result<Value, Error> {
        self.get(Path::new(REPLAYS).segment(id).as_str()).await
    }

    /// Ends a replay.
    pub async fn cancel_replay(&self, id: &str) -> Result<Value, Error> {
        self.post(Path::new(REPLAYS).segment(id).segment("cancel").as_str(), &serde_json::json!({})).await
    }
}
