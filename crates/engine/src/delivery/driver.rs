//! The shell around the machine: it feeds the log in, performs the effects, and saves.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use nexus_core::{
    event::Seq,
    store::{Entry, Fence, SaveError, SeqRange, Store, SubNo},
    time::Clock,
};
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

mod messages;
mod saving;
mod tasks;

pub use messages::{Change, Command};

use super::{
    attempt::Sender,
    key::DeliveryKey,
    machine::{Effect, Machine, Now},
    notice::Notice,
    outcome::{Answer, Made},
};
use crate::{consumers::Consumers, metrics::Metrics, supervisor::Spawn, tail::Tail};

/// Bookkeeping is saved at least this often while there is any.
const SAVE_EVERY: Duration = Duration::from_millis(250);
/// Receipts after which it is saved at once.
const SAVE_RECEIPTS: usize = 512;
/// Events fed to the machine in one step.
const FEED: usize = 256;
/// Answers heard in one step.
const OUTCOMES: usize = 256;
/// Notices that wait for their reader.
const NOTICES: usize = 10_000;
/// Pages read from the store at once.
const READS: usize = 4;

type Saving = Pin<Box<dyn Future<Output = Result<(), SaveError>> + Send>>;

/// The dispatcher's parts.
pub struct Driver {
    pub(crate) machine: Machine,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) spawn: Spawn,
    pub(crate) fence: Fence,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// What came of an attempt.
type Outcome = (SubNo, DeliveryKey, Made);
type PageRead = (SubNo, u8, SeqRange, tasks::Page);

struct Running {
    driver: Driver,
    outcomes: (mpsc::Sender<Outcome>, mpsc::Receiver<Outcome>),
    pages: (mpsc::Sender<PageRead>, mpsc::Receiver<PageRead>),
    reads: Arc<Semaphore>,
    pending: VecDeque<Notice>,
    /// Dead letters whose rows are not saved yet, and those whose rows are being saved.
    dying: Vec<Notice>,
    buried: Vec<Notice>,
    /// Where the time of each subscription's attempts is counted.
    timings: HashMap<SubNo, Histogram>,
    saving: Option<Saving>,
    batch: Vec<Entry>,
    saved_at: Duration,
    flushes: Vec<oneshot::Sender<()>>,
    flushing: Vec<oneshot::Sender<()>>,
    /// End of the log when this began.
    known: Seq,
    broken: bool,
}

impl Driver {
    /// Runs until the engine is told to stop; then waits for what is out, and saves.
    pub async fn run(self) {
        let saved_at = self.clock.mono();
        let known = self.store.head().seq;
        let running = Running {
            driver: self,
            outcomes: mpsc::channel(1024),
            pages: mpsc::channel(64),
            reads: Arc::new(Semaphore::new(READS)),
            pending: VecDeque::new(),
            dying: Vec::new(),
            buried: Vec::new(),
            timings: HashMap::new(),
            saving: None,
            batch: Vec::new(),
            saved_at,
            flushes: Vec::new(),
            flushing: Vec::new(),
            known,
            broken: false,
        };
        running.run().await;
    }
}

impl Running {
    fn now(&self) -> Now {
        Now { wall: self.driver.clock.now(), mono: self.driver.clock.mono() }
    }

    async fn run(mut self) {
        let stop = self.driver.spawn.engine_stopping();
        let mut head = self.driver.tail.watch();
        while !stop.is_cancelled() && !self.broken {
            let fed = self.feed().await;
            let now = self.now();
            self.driver.machine.tick(now);
            self.perform();
            self.send_notices();
            self.start_saving();
            if fed {
                // More may be in the log; hear the others in between.
                self.outcomes_waiting();
                tokio::task::yield_now().await;
                if self.commands_waiting() {
                    self.wait(&mut head, &stop).await;
                }
                continue;
            }
            self.wait(&mut head, &stop).await;
        }
        self.finish().await;
    }

    fn commands_waiting(&self) -> bool {
        !self.driver.commands.is_empty() || !self.pages.1.is_empty() || self.saving.is_some()
    }

    /// Hands the next run of the log to the machine. True when there was one.
    async fn feed(&mut self) -> bool {
        let after = self.driver.machine.head();
        if after >= self.driver.tail.position().1 {
            return false;
        }
        match self.driver.tail.read(after, FEED).await {
            Ok(entries) if !entries.is_empty() => {
                let events: Vec<_> = entries.iter().map(|e| Arc::clone(&e.event)).collect();
                let now = self.now();
                self.driver.metrics.dispatched(&events);
                self.driver.machine.events(&events, now);
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::error!(%error, "the dispatcher can't read the log");
                self.driver.clock.sleep(SAVE_EVERY).await;
                false
            }
        }
    }

    /// Takes what has come already, without waiting: under load something always has. True when anything had.
    async fn hear(&mut self) -> bool {
        let mut heard = self.outcomes_waiting();
        if let Ok(page) = self.pages.1.try_recv() {
            self.page(page);
            heard = true;
        }
        if let Ok(command) = self.driver.commands.try_recv() {
            self.command(command).await;
            heard = true;
        }
        if let Some(result) = poll(&mut self.saving).now_or_never() {
            self.saved(result);
            heard = true;
        }
        heard
    }

    /// Takes the answers that have come, up to a bound. True when there was one.
    fn outcomes_waiting(&mut self) -> bool {
        for taken in 0..OUTCOMES {
            let Ok(outcome) = self.outcomes.1.try_recv() else { return taken > 0 };
            self.outcome(outcome);
        }
        true
    }

    async fn wait(&mut self, head: &mut tokio::sync::watch::Receiver<Seq>, stop: &CancellationToken) {
        if self.hear().await {
            // Whoever is about to answer may do so before the next look.
            tokio::task::yield_now().await;
            return;
        }
        let sleep = self.driver.clock.sleep(self.patience());
        tokio::select! {
            _ = head.changed() => {}
            Some(outcome) = self.outcomes.1.recv() => {
                self.outcome(outcome);
                self.outcomes_waiting();
            }
            Some(page) = self.pages.1.recv() => self.page(page),
            Some(command) = self.driver.commands.recv() => self.command(command).await,
            result = poll(&mut self.saving) => self.saved(result),
            () = sleep => {}
            () = stop.cancelled() => {}
        }
    }

    /// How long nothing needs to happen by itself.
    fn patience(&self) -> Duration {
        let now = self.now();
        let (wall, mono) = self.driver.machine.next_wake();
        let mut patience = Duration::from_secs(3600);
        if let Some(at) = wall {
            patience = patience.min(at.since(now.wall));
        }
        if let Some(at) = mono {
            patience = patience.min(at.saturating_sub(now.mono));
        }
        if self.driver.machine.has_unsaved() && self.saving.is_none() {
            patience = patience.min((self.saved_at + SAVE_EVERY).saturating_sub(now.mono));
        }
        if !self.pending.is_empty() || self.driver.machine.has_busy() {
            patience = patience.min(SAVE_EVERY);
        }
        // A deadline that lies a hair in the future must not make the loop spin.
        patience.max(Duration::from_millis(1))
    }

    fn outcome(&mut self, (sub, delivery, made): Outcome) {
        let now = self.now();
        match made {
            Made::Answered(answer) => {
                self.count(sub, &answer);
                self.driver.machine.outcome(sub, delivery, answer, now);
            }
            Made::Expired => self.driver.machine.expired(sub, delivery, now),
            Made::Withdrawn(event) => self.driver.machine.withdrawn(sub, delivery, &event, now),
        }
    }

    fn count(&mut self, sub: SubNo, answer: &Answer) {
        let Running { driver, timings, .. } = self;
        driver.metrics.attempted(answer.verdict);
        let Some(state) = driver.machine.state(sub) else { return };
        let timing = timings.entry(sub).or_insert_with(|| driver.metrics.timing(&state.spec.subscription.name));
        timing.observe(answer.latency.as_secs_f64());
    }

    /// A page from the store, with what was dispatched since it was asked for, where memory still has that: so that
    /// whoever is behind does catch up while events keep coming.
    fn page(&mut self, (sub, lane, range, mut page): PageRead) {
        let head = self.driver.machine.head();
        if page.whole
            && let Some(recent) = self.driver.tail.recent(page.through, FEED)
        {
            let recent = recent.into_iter().map(|e| Arc::clone(&e.event)).take_while(|e| e.seq <= head);
            for event in recent {
                page.through = event.seq;
                if range.priority.is_none_or(|p| p == event.priority) {
                    page.events.push(event);
                }
            }
        }
        let now = self.now();
        self.driver.machine.page(sub, lane, &page.events, page.through, now);
    }

    async fn command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Hold(reply, change) => {
                // What an earlier process dispatched goes by the rules of then, also when it is dispatched again.
                while self.driver.machine.head() < self.known && self.feed().await {}
                if reply.send(self.driver.machine.head()).is_ok()
                    && let Ok(change) = change.await
                {
                    self.change(change);
                }
            }
            Command::Change(change) => self.change(change),
            Command::Flush(reply) => self.flushes.push(reply),
            Command::Save(entries, reply) => {
                self.settle_saving().await;
                self.batch = entries;
                self.saving = Some(self.save());
                self.flushing.push(reply);
            }
            Command::Ask(question) => question(&self.driver.machine, now),
        }
    }

    fn change(&mut self, change: Change) {
        let now = self.now();
        self.driver.consumers.hear(&change);
        let machine = &mut self.driver.machine;
        match change {
            Change::Add(spec, active, from) => machine.add(spec, active, from, now),
            Change::Update(spec) => machine.update(spec, now),
            Change::Active(sub, active) => machine.set_active(sub, active, now),
            Change::Remove(sub) => {
                self.timings.remove(&sub);
                machine.remove(sub);
            }
            Change::Redrive(exception) => machine.redrive(*exception, now),
            Change::Forget(sub, delivery) => machine.forget(sub, delivery, now),
            Change::Replay(sub, generation, from, until) => machine.replay(sub, generation, from, until),
            Change::CancelReplay(sub) => machine.cancel_replay(sub),
            Change::Erased(seqs) => machine.erased(&seqs, now),
        }
    }

    fn perform(&mut self) {
        for effect in self.driver.machine.take_effects() {
            match effect {
                Effect::Attempt { sub, seq, generation, attempt, event, spec } => {
                    self.attempt(sub, (seq, generation), attempt, event, spec);
                }
                Effect::Read { sub, lane, after, priority, limit } => {
                    let range = SeqRange { after, until: None, priority };
                    self.read(sub, lane, range, limit);
                }
                Effect::Tell(notice) => self.tell(notice),
            }
        }
    }

    /// A dead letter is told once its row is saved: from then on it can be told again, whatever happens.
    fn tell(&mut self, notice: Notice) {
        if let Notice::Dead(_) = notice {
            self.driver.metrics.dead_letters.inc();
            self.dying.push(notice);
            return;
        }
        if let Notice::Stop { sub, .. } = notice {
            self.driver.consumers.close(sub);
        }
        self.pending.push_back(notice);
    }

    /// Notices wait here while their reader is busy; those of dead letters may be dropped, as they are in the store.
    fn send_notices(&mut self) {
        while let Some(notice) = self.pending.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(notice)) = self.driver.notices.try_send(notice) {
                self.pending.push_front(notice);
                break;
            }
        }
        if self.pending.len() > NOTICES {
            self.pending.retain(|n| !matches!(n, Notice::Dead(_) | Notice::Breaker { .. } | Notice::ManyDead));
            self.pending.push_back(Notice::ManyDead);
        }
    }

    /// Everything is saved at once; then what is out is awaited, and each answer is saved as it comes, because the
    /// supervisor's grace period may end this at any moment.
    async fn finish(mut self) {
        // Whoever has a command waits for an answer that does not come any more.
        self.driver.commands.close();
        self.driver.machine.halt();
        self.driver.machine.settle_positions();
        while !self.broken {
            self.perform();
            self.send_notices();
            self.save_soon();
            if self.driver.machine.attempts_out() == 0 {
                break;
            }
            tokio::select! {
                Some(outcome) = self.outcomes.1.recv() => self.outcome(outcome),
                result = poll(&mut self.saving) => self.saved(result),
            }
        }
        self.settle_saving().await;
        self.save_soon();
        self.settle_saving().await;
        for notice in std::mem::take(&mut self.pending) {
            if self.driver.notices.send(notice).await.is_err() {
                break;
            }
        }
    }
}

async fn poll(saving: &mut Option<Saving>) -> Result<(), SaveError> {
    match saving {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
