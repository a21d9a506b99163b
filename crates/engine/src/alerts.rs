//! Alerts to people: to a Discord webhook or any HTTP endpoint, deduplicated and rate limited.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_core::{
    bucket::{Bucket, Rate},
    time::Clock,
};
use nexus_outbound::{Reach, Request};
use serde::{Deserialize, Serialize};

use crate::delivery::attempt::Sender;

/// The same alert is sent once in this time.
const REPEAT_AFTER: Duration = Duration::from_secs(15 * 60);
/// Alerts in all.
const RATE: Rate = Rate { count: 30, per: Duration::from_secs(60) };
/// Attempts per alert.
const ATTEMPTS: u32 = 3;
/// Kinds of alerts remembered.
const REMEMBERED: usize = 1_000;

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AlertTarget {
    /// A Discord webhook.
    Discord {
        /// Its URL, which is its secret.
        url: String,
    },
    /// `POST {"alert","severity","message","subject","at"}`.
    Http {
        /// Its URL.
        url: String,
    },
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something works worse.
    Warning,
    /// Something does not work until a person acts.
    Critical,
}

/// An alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// What kind, for example `dead_letter`; with `subject` it is the key of deduplication.
    pub kind: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What a person should know.
    pub message: String,
}

/// Sends alerts.
pub struct Alerts {
    targets: Vec<AlertTarget>,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
    state: Mutex<(Sent, Bucket)>,
}

/// When each kind of alert about each subject last went out.
type Sent = HashMap<(&'static str, String), Duration>;

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Alerts({} targets)", self.targets.len())
    }
}

impl Alerts {
    /// To these targets. They come from the configuration, so they may name private addresses.
    pub fn new(targets: Vec<AlertTarget>, sender: Arc<Sender>, clock: Arc<dyn Clock>) -> Self {
        Self { targets, sender, clock, state: Mutex::default() }
    }

    /// Whether this alert may go out now: not sent lately, and within the rate.
    fn admit(&self, alert: &Alert) -> bool {
        let now = self.clock.mono();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (sent, bucket) = &mut *state;
        let key = (alert.kind, alert.subject.clone());
        if sent.get(&key).is_some_and(|at| now.saturating_sub(*at) < REPEAT_AFTER) {
            return false;
        }
        if bucket.take(RATE, now).is_err() {
            return false;
        }
        if sent.len() >= REMEMBERED {
            sent.retain(|_, at| now.saturating_sub(*at) < REPEAT_AFTER);
        }
        sent.insert(key, now);
        true
    }

    /// Sends an alert unless the same one was sent lately. Returns when it is sent or given up.
    pub async fn send(&self, alert: &Alert) {
        if self.targets.is_empty() || !self.admit(alert) {
            return;
        }
        for target in &self.targets {
            for attempt in 1..=ATTEMPTS {
                match self.post(target, alert).await {
                    Ok(()) => break,
                    Err(error) if attempt == ATTEMPTS => {
                        tracing::error!(alert = alert.kind, %error, "an alert could not be sent");
                    }
                    Err(_) => self.clock.sleep(Duration::from_secs(1 << attempt)).await,
                }
            }
        }
    }

    async fn post(&self, target: &AlertTarget, alert: &Alert) -> Result<(), String> {
        let (url, body) = match target {
            AlertTarget::Discord { url } => (url, discord(alert)),
            AlertTarget::Http { url } => {
                let at = self.clock.now().to_string();
                let body = serde_json::json!({
                    "alert": alert.kind, "severity": alert.severity, "subject": alert.subject,
                    "message": alert.message, "at": at,
                });
                (url, body)
            }
        };
        let mut request = Request::post(url.clone(), body.to_string(), Reach::Private);
        request.headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        request.timeout = Some(Duration::from_secs(10));
        let response = self.sender.client().send(request).await.map_err(|e| e.message)?;
        if response.status.is_success() { Ok(()) } else { Err(format!("it answered {}", response.status)) }
    }
}

/// Discord's execute-webhook body; mentions are switched off, as the text holds words from outside.
fn discord(alert: &Alert) -> serde_json::Value {
    let color = if alert.severity == Severity::Critical { 0x00d9_2d20 } else { 0x00f7_9009 };
    let cut = |text: &str, limit: usize| text.chars().take(limit).collect::<String>();
    serde_json::json!({
        "username": "Nexus",
        "content": cut(&format!("**{}** {}", alert.kind, alert.subject), 2_000),
        "embeds": [{"title": cut(&alert.subject, 256), "description": cut(&alert.message, 4_000), "color": color}],
        "allowed_mentions": {"parse": []},
    })
}
