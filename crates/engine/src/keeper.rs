//! Hears what the dispatcher decided and makes it known: in the store, in the log, to people.

use std::sync::Arc;

use nexus_core::{
    event::NewEvent,
    limits::EVENT_DEPTH,
    store::{Commit, Limit, SeqRange},
};
use tokio::sync::mpsc;

use crate::{
    alerts::{Alert, Alerts, Severity},
    delivery::driver::Notice,
    desk::Desk,
    replays::Replays,
    subscriptions::Subscriptions,
    supervisor::{Spawn, TaskKind},
};

/// Events of this family are not reported when they die: the report would be one of them.
const FAMILY: &str = "delivery.";

/// The keeper.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub(crate) desk: Desk,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) replays: Arc<Replays>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) spawn: Spawn,
}

impl Keeper {
    /// Runs until the dispatcher is gone.
    pub async fn run(self, mut notices: mpsc::Receiver<Notice>) {
        while let Some(notice) = notices.recv().await {
            self.hear(notice).await;
        }
    }

    async fn hear(&self, notice: Notice) {
        match notice {
            Notice::Stop { sub, disabled, reason } => {
                let name = self.subscriptions.name_of(sub).unwrap_or_default();
                if let Err(error) = self.subscriptions.stopped(sub, disabled, &reason).await {
                    tracing::error!(subscription = %name, %error, "recording that a subscription stopped failed");
                }
                tracing::warn!(subscription = %name, %reason, "a subscription stopped");
                let kind = if disabled { "subscription_disabled" } else { "subscription_paused" };
                self.alert(kind, Severity::Critical, name, reason);
            }
            Notice::Dead { sub, seq, attempts, error, lane } => {
                let name = self.subscriptions.name_of(sub).unwrap_or_default();
                tracing::warn!(subscription = %name, event.seq = seq, attempts, %error, "a delivery is dead");
                let severity = if lane == 3 { Severity::Critical } else { Severity::Warning };
                let message = format!("event {seq} could not be delivered in {attempts} attempts: {error}");
                self.alert("dead_letter", severity, name.clone(), message);
                self.report_dead(&name, seq, attempts, &error).await;
            }
            Notice::Breaker { sub, opened } => {
                let name = self.subscriptions.name_of(sub).unwrap_or_default();
                let topic = if opened { "delivery.breaker_opened" } else { "delivery.breaker_closed" };
                tracing::info!(subscription = %name, opened, "a breaker changed");
                self.emit(self.desk.notice(topic, &serde_json::json!({"subscription": name}))).await;
                if opened {
                    let message = "its endpoint failed several times in a row; deliveries wait for a probe".into();
                    self.alert("breaker_opened", Severity::Warning, name, message);
                }
            }
            Notice::Replayed { generation, completed } => {
                if let Err(error) = self.replays.finished(generation, completed).await {
                    tracing::error!(replay = generation, %error, "recording the end of a replay failed");
                }
            }
        }
    }

    async fn report_dead(&self, name: &str, seq: u64, attempts: u16, error: &str) {
        let range = SeqRange { after: seq - 1, until: Some(seq), priority: None };
        let Ok(found) = self.desk.store.read(range, Limit::items(1)).await else { return };
        let Some(event) = found.first().filter(|e| !e.topic.as_str().starts_with(FAMILY)) else { return };
        let detail = serde_json::json!({
            "subscription": name, "event_id": event.id, "event": event.topic, "seq": seq, "attempts": attempts, "error": error,
        });
        let notice = self.desk.notice("delivery.dead", &detail).caused_by(event);
        if notice.depth <= EVENT_DEPTH {
            self.emit(notice).await;
        }
    }

    async fn emit(&self, event: NewEvent) {
        let topic = event.topic.clone();
        if let Err(error) = self.desk.commit(Commit { events: vec![event], ..Commit::default() }).await {
            tracing::error!(%topic, %error, "the hub could not log an event of its own");
        }
    }

    /// In a task of its own: a slow chat service must not hold up the keeper.
    fn alert(&self, kind: &'static str, severity: Severity, subject: String, message: String) {
        let alerts = Arc::clone(&self.alerts);
        self.spawn.start(TaskKind::Background, async move {
            alerts.send(&Alert { kind, severity, subject, message }).await;
        });
    }
}
