//! How many runs events and requests to flows' own addresses may begin: so many in a minute for one key. What begins itself through something outside that
//! takes the depth off is found by nothing else.
//!
//! Minutes are those of the clock. What was begun in the present one before the process started is counted in the store.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use nexus_core::{
    event::{Once, StoredEvent},
    id::EventId,
    limits::IDEMPOTENCY_WINDOW,
    problem::{Code, Problem},
    record::{Record, Value as Cell},
    store::{Commit, IndexQuery, Range},
    time::Timestamp,
};
use nexus_engine::desk::unreadable;
use ring::digest;
use serde_json::{Value, json};

use super::{Flows, record::Run, shelf::Held, trigger::Asked};
use crate::{openapi::plain, plan::Definition};

/// Runs in a minute for one key, unless the flow says otherwise.
pub const KEYED: u32 = 1_000;
/// Runs in a minute for all events that have no key.
pub const UNKEYED: u32 = 60_000;
/// The event that says that a budget is spent.
pub(super) const SPENT: &str = "flow.budget_spent";
/// Runs whose columns are read at a time.
const COUNTED: usize = 1_000;

/// What was begun in the present minute, by flow.
#[derive(Default)]
pub(super) struct Budgets(tokio::sync::Mutex<HashMap<String, Minute>>);

#[derive(Default)]
struct Minute {
    minute: i64,
    begun: HashMap<String, u32>,
    told: HashSet<String>,
}

/// A run's place in a budget.
pub(super) struct Spent {
    flow: String,
    minute: i64,
    /// What the run is counted under.
    pub(super) under: String,
}

/// What a run is counted under, as people know it.
struct Account {
    key: Option<String>,
    most: u32,
    under: String,
}

fn minute_of(at: Timestamp) -> i64 {
    at.secs().div_euclid(60)
}

/// What a run is begun by that counts.
pub(super) struct Cause {
    /// Whom it is about, where it is an event that says so.
    pub(super) subject: Option<String>,
    /// The event; none: a request.
    pub(super) event: Option<EventId>,
    pub(super) correlation: Option<String>,
    /// Steps from the first cause, those of the run.
    pub(super) depth: u8,
}

impl Cause {
    pub(super) fn of(event: &StoredEvent) -> Self {
        Self {
            subject: event.subject.as_deref().map(ToString::to_string),
            event: Some(event.id),
            correlation: Some(event.correlation_id()),
            depth: event.depth.saturating_add(1),
        }
    }
}

/// The key and the bound for a run that is begun by this.
fn account(definition: &Definition, cause: &Cause, input: &Value) -> Account {
    let settings = &definition.settings;
    let own = settings.budget.as_ref();
    let by_key = |expression: &crate::expression::Expression| {
        let found = expression.eval(input, &()).ok().filter(|value| !value.is_null());
        found.map(|value| plain(&value))
    };
    let key = match (own.and_then(|budget| budget.key.as_ref()), settings.concurrency.as_ref()) {
        (Some(key), _) => by_key(key),
        (None, Some(concurrency)) => by_key(&concurrency.key),
        (None, None) => cause.subject.clone(),
    };
    let most = own.map_or(if key.is_some() { KEYED } else { UNKEYED }, |budget| budget.runs);
    // Of the key itself nothing is kept.
    let digest = digest::digest(
        &digest::SHA256,
        json!([definition.id.namespace, definition.id.name, key]).to_string().as_bytes(),
    );
    let under = data_encoding::HEXLOWER.encode(digest.as_ref().get(..8).unwrap_or_default());
    Account { key, most, under }
}

impl Flows {
    /// Takes a run out of its flow's budget; an error says that it is spent.
    pub(super) async fn spend(
        &self,
        held: &Held,
        cause: Cause,
        input: &Value,
    ) -> Result<Result<Spent, String>, Problem> {
        let flow = held.flow.name.clone();
        let Account { key, most, under } = account(&held.current.definition, &cause, input);
        let minute = minute_of(self.desk().now());
        let first_time;
        {
            let mut budgets = self.inner.budgets.0.lock().await;
            let known = budgets.get(&flow).is_some_and(|known| known.minute == minute);
            if !known {
                // Only the minute in which the process began may have runs that it does not know of.
                let begun = match minute == minute_of(self.inner.opened) {
                    true => self.begun_since(&flow, minute).await?,
                    false => HashMap::new(),
                };
                budgets.insert(flow.clone(), Minute { minute, begun, told: HashSet::new() });
            }
            let Some(known) = budgets.get_mut(&flow) else { return Ok(Err(String::new())) };
            let begun = known.begun.entry(under.clone()).or_default();
            if *begun < most {
                *begun += 1;
                return Ok(Ok(Spent { flow, minute, under }));
            }
            first_time = known.told.insert(under.clone());
        }
        let of =
            key.as_ref().map_or_else(|| "events and requests without a key".to_owned(), |key| format!("key {key:?}"));
        let reason = format!(
            "events and requests have begun {most} runs of flow {flow} for {of} in this minute, which is its budget (nexus.dev/budget): that looks like a loop, so this one begins none"
        );
        if first_time {
            let detail = json!({"flow": flow, "key": key, "runs": most, "event": cause.event, "reason": reason});
            let mut notice = self.desk().notice(SPENT, &detail);
            notice.subject = cause.subject;
            notice.correlation = cause.correlation;
            notice.causation = cause.event;
            notice.depth = cause.depth.min(nexus_core::limits::EVENT_DEPTH);
            notice.once = Some(Once {
                scope: SPENT.into(),
                key: format!("{under} {minute}"),
                digest: [0; 16],
                strict: false,
                window: IDEMPOTENCY_WINDOW,
            });
            self.desk().commit(Commit { events: vec![notice], ..Commit::default() }).await?;
            tracing::warn!(flow, runs = most, "a flow's budget of runs is spent for one of its keys");
        }
        Ok(Err(reason))
    }

    /// The run did not begin, or had begun before.
    pub(super) async fn give_back(&self, spent: &Spent) {
        let mut budgets = self.inner.budgets.0.lock().await;
        if let Some(known) = budgets.get_mut(&spent.flow).filter(|known| known.minute == spent.minute)
            && let Some(begun) = known.begun.get_mut(&spent.under)
        {
            *begun = begun.saturating_sub(1);
        }
    }

    /// Takes a run that a request begins out of its flow's budget.
    pub(super) async fn spend_for_request(
        &self,
        held: &Held,
        asked: &Asked,
        run: &str,
    ) -> Result<Option<Spent>, Problem> {
        let cause = Cause {
            subject: None,
            event: None,
            correlation: asked.lineage.correlation.clone(),
            depth: asked.lineage.depth,
        };
        match self.spend(held, cause, &asked.input).await? {
            Ok(spent) => Ok(Some(spent)),
            // The same request again: its run is there, and stays the answer.
            Err(_) if self.is_there(run).await? => Ok(None),
            Err(reason) => {
                let next = 60 - self.desk().now().secs().rem_euclid(60);
                let next = Duration::from_secs(next.unsigned_abs());
                Err(Problem::new(Code::RateLimited, reason).retry_after(next))
            }
        }
    }

    /// What events and requests have begun in this minute, by what it was counted under.
    async fn begun_since(&self, flow: &str, minute: i64) -> Result<HashMap<String, u32>, Problem> {
        let place = Run::COLLECTION.columns.iter().position(|column| column.name == "spent").unwrap_or_default();
        let (mut begun, mut after) = (HashMap::new(), None);
        loop {
            let range = Range {
                collection: Run::COLLECTION,
                index: "by_flow",
                prefix: vec![flow.into()],
                from: Some(Timestamp::from_secs(minute.saturating_mul(60)).into()),
                until: None,
            };
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after, limit: COUNTED };
            let page = self.desk().store.scan(query).await.map_err(unreadable)?;
            for (_, columns) in page.items {
                if let Some(Cell::Text(under)) = columns.get(place) {
                    *begun.entry(under.clone()).or_default() += 1;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(begun);
            }
        }
    }
}
