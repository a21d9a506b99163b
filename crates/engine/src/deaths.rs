//! Dead letters made known: in the log exactly once, to people at least once.
//!
//! A dead letter is told after its row is saved, and everything that is told stands in the row. So whatever was not told
//! before a crash (or because too much died at once) is found among the rows and told then: the event's key keeps it
//! from being stored twice, and a note says up to which time of death nobody need look.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    event::{Once, StoredEvent},
    limits::EVENT_DEPTH,
    problem::Problem,
    store::{Commit, Exception, ExceptionQuery, ExceptionState, Limit, SeqRange, Write},
    time::Timestamp,
};
use tokio::sync::mpsc;

use crate::{
    alerts::{Alert, Alerts, Severity},
    delivery::{notice::Death, outcome::AttemptRecord},
    desk::{Desk, unreadable},
    notes::Note,
    subscriptions::Subscriptions,
};

/// Events of this family are not reported when they die: the report would be one of them.
const FAMILY: &str = "delivery.";
/// Dead letters waiting to be told; more are found in the store.
const WAITING: usize = 1_024;
/// Told before the note is moved, where there are always more.
const NOTED_EVERY: usize = 64;
/// How long the log remembers that a dead letter was told.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);
/// The wall clock may have been set back between two deaths: so far before the note is looked again.
const SLACK: Duration = Duration::from_secs(3600);
/// Until what could not be told is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Rows read at once.
const PAGE: usize = 1_000;

/// Whether a dead letter has its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logged {
    Now,
    Before,
    /// It is of the hub's own reports, or one step too deep.
    Never,
}

/// Hands dead letters over to be told.
#[derive(Clone, Debug)]
pub struct Obituary {
    queue: mpsc::Sender<Death>,
    missed: Arc<AtomicBool>,
}

impl Obituary {
    /// One dead letter.
    pub fn tell(&self, death: Death) {
        if self.queue.try_send(death).is_err() {
            self.missed();
        }
    }

    /// Some were not handed over; they are to be found in the store.
    pub fn missed(&self) {
        self.missed.store(true, Ordering::Release);
    }
}

/// Tells what died.
#[derive(Debug)]
pub struct Deaths {
    desk: Desk,
    subscriptions: Arc<Subscriptions>,
    alerts: Arc<Alerts>,
    queue: mpsc::Receiver<Death>,
    missed: Arc<AtomicBool>,
    told_until: Timestamp,
    noted_until: Timestamp,
}

impl Deaths {
    /// Over the note of an earlier process; without one, nothing that died before now is told.
    pub fn new(
        desk: Desk,
        subscriptions: Arc<Subscriptions>,
        alerts: Arc<Alerts>,
        noted: Option<Timestamp>,
    ) -> (Self, Obituary) {
        let (sender, queue) = mpsc::channel(WAITING);
        let missed = Arc::new(AtomicBool::new(noted.is_some()));
        let obituary = Obituary { queue: sender, missed: Arc::clone(&missed) };
        let told_until = noted.unwrap_or_else(|| desk.now());
        let noted_until = noted.unwrap_or_default();
        (Self { desk, subscriptions, alerts, queue, missed, told_until, noted_until }, obituary)
    }

    /// Runs until nobody hands anything over any more.
    pub async fn run(mut self) {
        self.note().await;
        loop {
            if self.missed.swap(false, Ordering::AcqRel)
                && let Err(error) = self.look().await
            {
                tracing::error!(%error, "dead letters that were not told can't be looked up; it is tried again");
                self.missed.store(true, Ordering::Release);
            }
            let again = self.missed.load(Ordering::Acquire).then(|| self.desk.clock.sleep(AGAIN));
            let death = tokio::select! {
                death = self.queue.recv() => death,
                () = async { again.unwrap_or_else(|| Box::pin(std::future::pending())).await } => continue,
            };
            let Some(death) = death else { break };
            self.tell(death).await;
            for _ in 1..NOTED_EVERY {
                let Ok(death) = self.queue.try_recv() else { break };
                self.tell(death).await;
            }
            self.note().await;
        }
    }

    /// Tells what died lately and may not have been told.
    async fn look(&mut self) -> Result<(), Problem> {
        let from = self.told_until.min(self.desk.now()).minus(SLACK);
        let mut after = None;
        loop {
            let query =
                ExceptionQuery { state: Some(ExceptionState::Dead), after, limit: PAGE, ..ExceptionQuery::default() };
            let page = self.desk.store.exceptions(query).await.map_err(unreadable)?;
            let Some(last) = page.last() else { break };
            after = Some((last.sub, last.seq, last.generation));
            let mut lately: Vec<Death> = page.iter().filter(|row| row.updated_at >= from).map(death).collect();
            lately.sort_by_key(|death| death.at);
            for death in lately {
                self.tell(death).await;
            }
        }
        self.note().await;
        Ok(())
    }

    async fn tell(&mut self, death: Death) {
        let name = self.subscriptions.name_of(death.sub).unwrap_or_default();
        let fresh = match self.report(&name, &death).await {
            Ok(logged) => logged == Logged::Now || death.at > self.noted_until,
            Err(error) => {
                tracing::error!(subscription = %name, event.seq = death.seq, %error, "a dead letter can't be logged; it is tried again");
                self.missed.store(true, Ordering::Release);
                return;
            }
        };
        if fresh {
            let Death { seq, attempts, error, .. } = &death;
            tracing::warn!(subscription = %name, event.seq = seq, attempts, %error, "a delivery is dead");
            let severity = if death.lane == 3 { Severity::Critical } else { Severity::Warning };
            let message = format!("event {seq} could not be delivered in {attempts} attempts: {error}");
            self.alerts.send(&Alert { kind: "dead_letter", severity, subject: name, message }).await;
        }
        self.told_until = self.told_until.max(death.at);
    }

    /// Puts it into the log, unless it is there.
    async fn report(&self, name: &str, death: &Death) -> Result<Logged, Problem> {
        let range = SeqRange { after: death.seq - 1, until: Some(death.seq), priority: None };
        let found = self.desk.store.read(range, Limit::items(1)).await.map_err(unreadable)?;
        let Some(event) = found.first().filter(|e| !e.topic.as_str().starts_with(FAMILY)) else {
            return Ok(Logged::Never);
        };
        let events = vec![self.event(name, death, event)];
        if events[0].depth > EVENT_DEPTH {
            return Ok(Logged::Never);
        }
        let done = self.desk.commit(Commit { events, ..Commit::default() }).await?;
        Ok(if done.events.iter().all(|e| e.repeat) { Logged::Before } else { Logged::Now })
    }

    fn event(&self, name: &str, death: &Death, event: &StoredEvent) -> nexus_core::event::NewEvent {
        let Death { sub, seq, generation, attempts, error, at, .. } = death;
        let detail = serde_json::json!({
            "subscription": name, "event_id": event.id, "event": event.topic, "seq": seq, "attempts": attempts, "error": error,
        });
        let mut notice = self.desk.notice("delivery.dead", &detail).caused_by(event);
        notice.once = Some(Once {
            scope: "hub".into(),
            key: format!("dead/{sub}/{seq}/{generation}/{}", at.micros()),
            digest: [0; 16],
            strict: false,
            window: REMEMBERED,
        });
        notice
    }

    /// Writes down what was told, if that changed.
    async fn note(&mut self) {
        if self.told_until == self.noted_until || self.missed.load(Ordering::Acquire) {
            return;
        }
        let until = self.told_until;
        let written = match Write::put(&Note::DeadTold { until }) {
            Ok(write) => self.desk.commit(Commit { documents: vec![write], ..Commit::default() }).await.map(drop),
            Err(error) => Err(Problem::new(nexus_core::problem::Code::Internal, error.to_string())),
        };
        match written {
            Ok(()) => self.noted_until = until,
            Err(error) => tracing::error!(%error, "what was told of dead letters can't be noted"),
        }
    }
}

/// A dead letter as its row has it.
fn death(row: &Exception) -> Death {
    let attempts: Vec<AttemptRecord> = serde_json::from_str(&row.log).unwrap_or_default();
    Death {
        sub: row.sub,
        seq: row.seq,
        generation: row.generation,
        lane: row.lane,
        attempts: row.attempts,
        error: attempts.last().and_then(|a| a.error.clone()).unwrap_or_default(),
        at: row.updated_at,
    }
}
