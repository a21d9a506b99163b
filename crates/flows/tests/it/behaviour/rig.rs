//! A hub with flows over the real store, on a test clock. A crash leaves the folder as it is at that moment.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use nexus_core::{
    access::Principal,
    event::{NewEvent, StoredEvent},
    problem::Problem,
    store::{Appended, Limit, SeqRange, Store},
    time::Timestamp,
    topic::Topic,
};
use nexus_engine::{
    Hub,
    clock::SystemClock,
    delivery::handler::{Handed, Handler},
    vault::VaultKey,
};
use nexus_flows::host::{Door, Flows, HISTORY, Publishing, Remembered, RunFilter, RunView, collections};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Rig {
    pub(super) hub: Hub,
    pub(super) flows: Flows,
    door: Door,
    clock: SystemClock,
    runtime: Option<tokio::runtime::Runtime>,
    folder: tempfile::TempDir,
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let into = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&into).expect("a folder");
            copy(&entry.path(), &into);
        } else {
            std::fs::copy(entry.path(), into).expect("a copy");
        }
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::begin(tempfile::tempdir().expect("a temporary folder"), SystemClock::new())
    }

    fn begin(folder: tempfile::TempDir, clock: SystemClock) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let collections = [Hub::collections(), collections()].concat();
        let store = SqliteStore::open(folder.path(), &collections, Arc::new(clock.clone()), SqliteOptions::default());
        let store: Arc<dyn Store> = Arc::new(store.expect("the store opens"));
        let (hub, flows, door) = runtime.block_on(async {
            let door = Door::default();
            let builder = Hub::builder(store, Arc::new(clock.clone()), VaultKey::new([7; 32], Vec::new()));
            let hub = door.attach(builder).test_clock(clock.clone()).start().await.expect("the hub starts");
            let flows = Flows::open(&hub, &door).await.expect("the flows open");
            flows.go_on(HISTORY).await.expect("the flows go on");
            hub.start_timers();
            (hub, flows, door)
        });
        Self { hub, flows, door, clock, runtime: Some(runtime), folder }
    }

    /// Everything stops; a hub begins anew with what was on disk, `after` later by the clock.
    pub(super) fn crash(mut self, after: Duration) -> Self {
        drop(self.runtime.take());
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(self.folder.path(), folder.path());
        self.clock.advance(after);
        Self::begin(folder, self.clock.clone())
    }

    pub(super) fn run<T>(&self, what: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref().expect("alive");
        runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await.expect("it ends in time") })
    }

    pub(super) fn publish(&self, text: &str) {
        self.try_publish(text).unwrap_or_else(|problem| panic!("{}\n{text}", problem.message));
    }

    pub(super) fn try_publish(&self, text: &str) -> Result<(), Problem> {
        self.run(self.flows.publish(text, Publishing::default(), &Principal::admin("test"))).map(|_| ())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.hub.clock().now()
    }

    /// Publishes an event; nobody has looked at it yet.
    pub(super) fn send(&self, topic: &str, data: Value) -> Appended {
        let event = NewEvent::new(Topic::parse(topic).expect("a topic"), "test", data.to_string(), self.now());
        self.run(self.hub.publish(event)).expect("accepted")
    }

    /// Publishes an event and lets everything settle.
    pub(super) fn event(&self, topic: &str, data: Value) -> Appended {
        let sent = self.send(topic, data);
        self.settle();
        sent
    }

    pub(super) fn advance(&self, by: Duration) {
        self.run(self.hub.advance(by)).expect("a test clock");
    }

    pub(super) fn settle(&self) {
        self.advance(Duration::ZERO);
    }

    /// Shows an event to the detectors of a flow once more.
    pub(super) fn deliver_again(&self, seq: u64, flow: &str) {
        let log = self.log();
        let event = log.iter().find(|event| event.seq == seq).expect("there is such an event");
        let argument = format!("detect:{flow}");
        let handed = Handed { announced: None, delivery_id: "again", argument: Some(&argument) };
        self.run(self.door.handle(event, handed)).expect("taken");
        self.settle();
    }

    /// Shows a match to the beginning of runs once more, as another delivery.
    pub(super) fn begin_again(&self, event: &StoredEvent, flow: &str) {
        let handed = Handed { announced: None, delivery_id: "again", argument: Some(flow) };
        self.run(self.door.handle(event, handed)).expect("taken");
        self.settle();
    }

    pub(super) fn log(&self) -> Vec<Arc<StoredEvent>> {
        let mut found: Vec<Arc<StoredEvent>> = Vec::new();
        loop {
            let after = found.last().map_or(0, |event| event.seq);
            let range = SeqRange { after, until: None, priority: None };
            let page = self.run(self.hub.desk().store.read(range, Limit::items(1_000))).expect("a page");
            if page.is_empty() {
                return found;
            }
            found.extend(page);
        }
    }

    /// The events of a type.
    pub(super) fn of_type(&self, topic: &str) -> Vec<Arc<StoredEvent>> {
        self.log().into_iter().filter(|event| event.topic.as_str() == topic).collect()
    }

    /// All runs of a flow, the oldest first.
    pub(super) fn runs(&self, flow: &str) -> Vec<RunView> {
        let filter = RunFilter { flow: Some(flow.to_owned()), ..RunFilter::default() };
        let mut found = self.run(self.flows.runs(&filter, None, 200)).expect("a page").items;
        found.reverse();
        found
    }

    /// Waits until a flow has so many runs, and all have ended.
    pub(super) fn ended(&self, flow: &str, count: usize) -> Vec<RunView> {
        let since = Instant::now();
        loop {
            let runs = self.runs(flow);
            if runs.len() >= count && runs.iter().all(|run| run.ended_at.is_some()) {
                assert_eq!(runs.len(), count, "{runs:#?}");
                return runs;
            }
            assert!(since.elapsed() < PATIENCE, "{count} runs of {flow} never ended: {runs:#?}");
            self.settle();
        }
    }

    pub(super) fn remembered(&self) -> Vec<Remembered> {
        let found = self.run(self.hub.desk().load::<Remembered>()).expect("records");
        found.into_iter().map(|(remembered, _)| remembered).collect()
    }
}
