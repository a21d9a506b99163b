//! A hub with flows, from its start to its end, which comes without a word where a test pulls the plug.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nexus_core::{
    access::Principal,
    event::{NewEvent, Once, StoredEvent},
    problem::Problem,
    store::{Appended, Limit, SeqRange, Store},
    topic::Topic,
};
use nexus_engine::{
    Hub, HubConfig,
    clock::SystemClock,
    delivery::handler::{Handed, Handler},
    vault::VaultKey,
};
use nexus_flows::host::{Asked, Begun, Door, Flows, Lineage, Publishing, RunFilter, RunView, Trigger};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::Value;

use super::plug::{Plug, Trouble};

/// What anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder and a clock: what stays from life to life.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) folder: Arc<tempfile::TempDir>,
    pub(crate) clock: SystemClock,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: Arc::new(tempfile::tempdir().expect("a temporary folder")), clock: SystemClock::new() }
    }
}

/// One life.
pub(crate) struct Life {
    pub(crate) place: Place,
    pub(crate) plug: Arc<Plug>,
    pub(crate) hub: Hub,
    pub(crate) flows: Flows,
    door: Door,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self::begin(&Place::new(), None)
    }

    /// Starts a hub where another may have been.
    pub(crate) fn begin(place: &Place, trouble: Option<Trouble>) -> Self {
        Self::with(place, trouble, HubConfig::default())
    }

    /// The same with a hub that is set up in another way.
    pub(crate) fn with(place: &Place, trouble: Option<Trouble>, config: HubConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self::begin_on(runtime, place, trouble, config)
    }

    /// The same on several threads, where things happen side by side.
    pub(crate) fn begin_with_threads(place: &Place, trouble: Option<Trouble>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
        Self::begin_on(runtime.expect("a runtime"), place, trouble, HubConfig::default())
    }

    fn begin_on(
        runtime: tokio::runtime::Runtime,
        place: &Place,
        trouble: Option<Trouble>,
        config: HubConfig,
    ) -> Self {
        let (place, clock) = (place.clone(), place.clock.clone());
        let collections = [Hub::collections(), nexus_flows::host::collections()].concat();
        let options = SqliteOptions::default();
        let store = SqliteStore::open(place.folder.path(), &collections, Arc::new(clock.clone()), options);
        let plug = Plug::new(store.expect("the store opens"));
        plug.set(trouble);
        let store: Arc<dyn Store> = Arc::clone(&plug) as _;
        let (hub, flows, door) = runtime.block_on(async {
            let door = Door::default();
            let builder = Hub::builder(store, Arc::new(clock.clone()), VaultKey::new([7; 32], Vec::new()));
            let builder = door.attach(builder.config(config)).test_clock(clock);
            let hub = builder.start().await.expect("the hub starts");
            let flows = Flows::open(&hub, &door).await.expect("the flows open");
            flows.go_on(nexus_flows::host::HISTORY).await.expect("the flows go on");
            hub.start_timers();
            (hub, flows, door)
        });
        Self { place, plug, hub, flows, door, runtime: Some(runtime) }
    }

    /// Runs something of this life; `None`: the plug was pulled before its end.
    pub(crate) fn attempt<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let runtime = self.runtime.as_ref().expect("alive");
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.plug.out() => None,
                done = tokio::time::timeout(PATIENCE * 2, what) => Some(done.expect("it ends in time")),
            }
        })
    }

    /// As [`Self::attempt`], where nobody pulls the plug.
    pub(crate) fn run<T>(&self, what: impl Future<Output = T>) -> T {
        self.attempt(what).expect("the plug is in")
    }

    /// Nothing more happens: no task ends well, nothing is written any more.
    pub(crate) fn crash(mut self) -> Place {
        let store = self.plug.take();
        drop(self.runtime.take());
        let place = self.place.clone();
        drop(self);
        let store = store.expect("nobody took it before");
        let since = Instant::now();
        while Arc::strong_count(&store) > 1 {
            assert!(since.elapsed() < PATIENCE, "somebody holds the store");
            std::thread::yield_now();
        }
        drop(store);
        place
    }

    /// A crash and a new beginning.
    pub(crate) fn again(self) -> Self {
        Self::begin(&self.crash(), None)
    }

    pub(crate) fn publish(&self, text: &str) {
        self.try_publish(text, &Principal::admin("test"))
            .unwrap_or_else(|problem| panic!("{}\n{text}", problem.message));
    }

    pub(crate) fn try_publish(&self, text: &str, by: &Principal) -> Result<(), Problem> {
        self.run(self.flows.publish(text, Publishing::default(), by)).map(|_| ())
    }

    pub(crate) fn secret(&self, name: &str, value: &str) {
        self.run(self.hub.secrets().set_named(name, value, &Principal::admin("test"))).expect("kept");
    }

    /// Begins a run by hand.
    pub(crate) fn start(&self, flow: &str, input: Value) -> String {
        self.run(self.flows.start(asked(flow, input, None))).expect("begun").run().to_owned()
    }

    pub(crate) fn begin_run(&self, flow: &str, input: Value) -> Result<Begun, Problem> {
        self.run(self.flows.start(asked(flow, input, None)))
    }

    /// Publishes an event.
    pub(crate) fn event(&self, topic: &str, data: Value) -> Appended {
        self.run(self.hub.publish(event(&self.hub, topic, data, None))).expect("accepted")
    }

    /// Hands an event over to a flow, as a delivery of its own.
    pub(crate) fn hand(&self, flow: &str, event: &StoredEvent, delivery_id: &str) {
        let announced = self.door.coming(event.seq, Some(flow));
        let handed = Handed { announced: announced.as_ref(), delivery_id, argument: Some(flow) };
        self.run(self.door.handle(event, handed)).expect("taken");
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.run(self.hub.advance(Duration::from_secs(seconds))).expect("a test clock");
    }

    pub(crate) fn view(&self, run: &str) -> RunView {
        self.run(self.flows.run(run)).expect("there is such a run")
    }

    /// All runs of a flow, the oldest first.
    pub(crate) fn runs(&self, flow: &str) -> Vec<RunView> {
        let filter = RunFilter { flow: Some(flow.to_owned()), ..RunFilter::default() };
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.run(self.flows.runs(&filter, after, 200)).expect("a page");
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                found.reverse();
                return found;
            }
        }
    }

    /// Waits until a run is there and stands like this.
    pub(crate) fn until(&self, run: &str, status: &str) -> RunView {
        self.wait_for(&format!("run {run} is {status}"), || {
            let view = self.view(run);
            if view.status == status { Ok(view) } else { Err(format!("{view:#?}")) }
        })
    }

    /// Lets things settle until this holds.
    pub(crate) fn wait_for<T>(&self, what: &str, there: impl Fn() -> Result<T, String>) -> T {
        let since = Instant::now();
        loop {
            match there() {
                Ok(found) => return found,
                Err(last) => assert!(since.elapsed() < PATIENCE, "{what} never came true: {last}"),
            }
            self.run(self.hub.advance(Duration::ZERO)).expect("a test clock");
        }
    }

    /// The whole log.
    pub(crate) fn log(&self) -> Vec<Arc<StoredEvent>> {
        let mut found: Vec<Arc<StoredEvent>> = Vec::new();
        loop {
            let after = found.last().map_or(0, |event| event.seq);
            let range = SeqRange { after, until: None, priority: None };
            let page = self.run(self.plug.read(range, Limit::items(1_000))).expect("a page");
            if page.is_empty() {
                return found;
            }
            found.extend(page);
        }
    }

    /// The data of every event of a type.
    pub(crate) fn data(&self, topic: &str) -> Vec<Value> {
        let log = self.log();
        let of_topic = log.iter().filter(|event| event.topic.as_str() == topic);
        of_topic.map(|event| serde_json::from_slice(event.json()).expect("JSON")).collect()
    }

    /// The tasks of a run that came to an end or failed, in order: name and phase.
    pub(crate) fn steps(&self, run: &str) -> Vec<nexus_flows::effect::Step> {
        self.run(self.flows.steps(run)).expect("steps")
    }
}

pub(crate) fn asked(flow: &str, input: Value, key: Option<String>) -> Asked {
    Asked {
        flow: flow.to_owned(),
        input,
        trigger: Trigger::Manual { by: "test".into() },
        idempotency_key: key,
        lineage: Lineage::default(),
    }
}

pub(crate) fn event(hub: &Hub, topic: &str, data: Value, key: Option<String>) -> NewEvent {
    let topic = Topic::parse(topic).expect("a topic");
    let mut event = NewEvent::new(topic, "test", data.to_string(), hub.clock().now());
    event.once = key.map(|key| Once {
        scope: "test".into(),
        key,
        digest: [0; 16],
        strict: false,
        window: Duration::from_secs(24 * 3600),
    });
    event
}
