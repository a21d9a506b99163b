//! Hears what the dispatcher decided and makes it known: in the store, in the log, to people.

use std::sync::Arc;

use nexus_core::{
    event::NewEvent,
    problem::{Code, Problem},
    store::{Commit, Key, SubNo, Write},
    time::Timestamp,
};
use tokio::sync::mpsc;

use crate::{
    alerts::{Alert, Alerts, Severity},
    deaths::Obituary,
    delivery::notice::Notice,
    desk::Desk,
    notes::Note,
    replays::Replays,
    subscriptions::Subscriptions,
    supervisor::{Spawn, TaskKind},
};

/// The keeper.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub(crate) desk: Desk,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) replays: Arc<Replays>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) obituary: Obituary,
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
            Notice::Dead(death) => self.obituary.tell(death),
            Notice::ManyDead => self.obituary.missed(),
            Notice::Failing { sub, since } => {
                if let Err(error) = self.note_failing(sub, since).await {
                    tracing::error!(subscription = sub, %error, "since when an endpoint fails can't be noted");
                }
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

    async fn note_failing(&self, no: SubNo, since: Option<(Timestamp, Timestamp)>) -> Result<(), Problem> {
        let write = match since {
            Some((since, last)) => Write::put(&Note::Failing { no, since, last })
                .map_err(|e| Problem::new(Code::Internal, e.to_string()))?,
            None => Write::Delete(Key::of::<Note>(Note::failing(no))),
        };
        self.desk.commit(Commit { documents: vec![write], ..Commit::default() }).await.map(drop)
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
