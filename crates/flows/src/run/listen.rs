//! `listen`: which events count, what links them to the run, what is done with each, and when it is enough.

use std::collections::{BTreeMap, VecDeque};

use nexus_core::topic::Topic;
use serde_json::{Value, json};

use super::{
    Env, Machine, Polled, Progress,
    state::{Doing, Each, Frame, Listening, Scope},
};
use crate::{
    effect::{Effect, Input, Interest, Listen},
    error::{FlowError, Standard},
    expression::{Arguments, Place},
    plan::{AttributeTest, FilterPlan, ForeachPlan, ListenPlan, Node, ReadAs, StrategyPlan, Then, UntilPlan},
    run::task_data,
};

/// Events that may wait for `foreach`; beyond, the task fails.
const QUEUED: usize = 1_000;

impl Machine<'_, '_> {
    pub(super) fn begin_listen(
        &mut self,
        plan: &ListenPlan,
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<Doing, FlowError> {
        let mut listening = Listening {
            request: Listen {
                id: self.next_id(),
                task: node.pointer.clone(),
                from_trigger: !self.definition.settings.listen_from_now,
                after: None,
                filters: Vec::new(),
            },
            expect: BTreeMap::new(),
            consumed: Vec::new(),
            met: Vec::new(),
            last_seq: None,
            queue: VecDeque::new(),
            each: None,
            closed: false,
        };
        for filter in plan.strategy.filters() {
            for correlation in &filter.correlate {
                if let Some(expect) = &correlation.expect {
                    let value = self.fill(expect, node, frame, env)?;
                    listening.expect.insert(correlation.name.clone(), value);
                }
            }
        }
        self.register(plan, &mut listening);
        Ok(Doing::Listen(Box::new(listening)))
    }

    /// Tells the host what is of interest, as far as it is known by now.
    fn register(&mut self, plan: &ListenPlan, listening: &mut Listening) {
        let any = matches!(&plan.strategy, StrategyPlan::Any(filters, _) if filters.is_empty());
        let mut interests: Vec<Interest> = plan
            .strategy
            .filters()
            .into_iter()
            .enumerate()
            .map(|(n, filter)| Interest {
                filter: n,
                kind: filter.kind().map(str::to_owned),
                expect: filter
                    .correlate
                    .iter()
                    .filter_map(|c| listening.expect.get(&c.name).map(|value| (c.name.clone(), value.clone())))
                    .collect(),
            })
            .collect();
        if any {
            interests.push(Interest { filter: interests.len(), ..Interest::default() });
        }
        listening.request.filters = interests;
        self.ask(Effect::Listen(listening.request.clone()));
    }

    pub(super) fn listening(
        &mut self,
        node: &Node,
        frame: &Frame,
        plan: &ListenPlan,
        listening: &mut Listening,
        env: &Env<'_>,
    ) -> Polled {
        if let Some(Input::Event { seq, event, .. }) = self.told.remove(&listening.request.id)
            && !listening.closed
            && listening.last_seq.is_none_or(|last| seq > last)
        {
            listening.last_seq = Some(seq);
            self.event(node, frame, plan, listening, event, env)?;
        }
        self.each(node, frame, plan, listening, env)
    }

    /// Takes an event, if it is one that is waited for.
    fn event(
        &mut self,
        node: &Node,
        frame: &Frame,
        plan: &ListenPlan,
        listening: &mut Listening,
        mut event: Value,
        env: &Env<'_>,
    ) -> Result<(), FlowError> {
        let filters = plan.strategy.filters();
        let kept = plan.strategy.kept();
        let all = matches!(plan.strategy, StrategyPlan::All(_));
        let everything = matches!(&plan.strategy, StrategyPlan::Any(filters, _) if filters.is_empty());
        let selected = filters.iter().enumerate().find_map(|(n, filter)| {
            // A filter of `all` that is met waits no more; another may want the same kind of event.
            let done = (all || n >= kept) && listening.met.contains(&n);
            if done {
                return None;
            }
            let arguments = self.arguments(Place::Task, env).of(node, frame);
            filter.select(&event, &listening.expect, &arguments).map(|values| (n, values))
        });
        let (filter, values) = match selected {
            Some((n, values)) => (n, values),
            None if everything => (usize::MAX, Vec::new()),
            None => return Ok(()),
        };
        self.heard = true;
        let learned = values.into_iter().filter(|(name, _)| !listening.expect.contains_key(name)).collect::<Vec<_>>();
        let is_new = !learned.is_empty();
        listening.expect.extend(learned);
        self.host.secrets.hide(&self.state.nonce, &mut event);
        let ends_it = filter != usize::MAX && filter >= kept;
        if ends_it {
            listening.met.push(filter);
            listening.closed = self.until_met(plan, listening);
        } else {
            if all {
                listening.met.push(filter);
            }
            if listening.queue.len() >= QUEUED {
                return Err(FlowError::new(Standard::Runtime, format!("more than {QUEUED} events wait for `foreach`")));
            }
            listening.queue.push_back(event);
            listening.closed = match &plan.strategy {
                StrategyPlan::One(_) | StrategyPlan::Any(_, None) => true,
                StrategyPlan::All(filters) => (0..filters.len()).all(|n| listening.met.contains(&n)),
                StrategyPlan::Any(_, Some(_)) => false,
            };
        }
        if listening.closed {
            self.cancel_wait(Effect::CancelListen { id: listening.request.id });
        } else if is_new {
            self.register(plan, listening);
        }
        Ok(())
    }

    fn until_met(&self, plan: &ListenPlan, listening: &Listening) -> bool {
        let kept = plan.strategy.kept();
        match &plan.strategy {
            StrategyPlan::Any(_, Some(UntilPlan::Events(until))) => match &**until {
                StrategyPlan::All(filters) => (0..filters.len()).all(|n| listening.met.contains(&(kept + n))),
                _ => true,
            },
            _ => false,
        }
    }

    /// Goes through the events that wait, one after the other.
    fn each(
        &mut self,
        node: &Node,
        frame: &Frame,
        plan: &ListenPlan,
        listening: &mut Listening,
        env: &Env<'_>,
    ) -> Polled {
        loop {
            if listening.each.is_none() {
                let Some(event) = listening.queue.pop_front() else { break };
                let read = read(&event, plan.read);
                listening.each = Some(Each { scope: Scope::new(read.clone()), event: read });
            }
            let index = listening.consumed.len();
            let Some(each) = &mut listening.each else { break };
            let output = match &plan.foreach {
                None => each.event.clone(),
                Some(foreach) => {
                    let variables =
                        vec![(foreach.item.as_str(), each.event.clone()), (foreach.at.as_str(), json!(index))];
                    let inner = env.within(variables, Some(index as u64));
                    match self.list(&foreach.tasks, &mut each.scope, &inner)? {
                        Progress::Pending => return Ok(Progress::Pending),
                        Progress::Done(output, Then::End) => {
                            self.stop(listening);
                            return Ok(Progress::Done(output, Then::End));
                        }
                        Progress::Done(output, _) => self.each_output(node, frame, foreach, output, &inner)?,
                    }
                }
            };
            listening.each = None;
            listening.consumed.push(output);
            if let StrategyPlan::Any(_, Some(UntilPlan::Condition(until))) = &plan.strategy {
                let consumed = Value::Array(listening.consumed.clone());
                if until.holds(&consumed, &self.arguments(Place::Task, env).of(node, frame))? {
                    self.stop(listening);
                }
            }
        }
        if listening.closed {
            return Ok(Progress::Done(Value::Array(std::mem::take(&mut listening.consumed)), node.then));
        }
        Ok(Progress::Pending)
    }

    fn stop(&mut self, listening: &mut Listening) {
        listening.queue.clear();
        if !std::mem::replace(&mut listening.closed, true) {
            self.cancel_wait(Effect::CancelListen { id: listening.request.id });
        }
    }

    fn each_output(
        &mut self,
        node: &Node,
        frame: &Frame,
        foreach: &ForeachPlan,
        given: Value,
        env: &Env<'_>,
    ) -> Result<Value, FlowError> {
        let output = match &foreach.output_as {
            Some(as_) => as_.eval(&given, &self.arguments(Place::TaskOutput, env).of(node, frame).gave(&given))?,
            None => given,
        };
        if let Some(as_) = &foreach.export_as {
            let context = as_.eval(&output, &self.arguments(Place::TaskExport, env).of(node, frame).output(&output))?;
            self.set_context(context);
        }
        Ok(output)
    }
}

/// What of an event is wanted.
fn read(event: &Value, read: ReadAs) -> Value {
    match read {
        ReadAs::Envelope => event.clone(),
        ReadAs::Data => task_data(event),
        ReadAs::Raw => match event.get("data_base64") {
            Some(base64) => base64.clone(),
            None => match task_data(event) {
                Value::String(text) => Value::String(text),
                Value::Null => Value::Null,
                other => Value::String(other.to_string()),
            },
        },
    }
}

/// Whether two names are of one type of events: `PAYMENT_RECEIVED` and `payment.received` are.
fn is_same_type(kind: &str, found: &str) -> bool {
    let canonical = |name: &str| Topic::parse(name).ok().map(|topic| topic.alias_of().unwrap_or(topic));
    kind == found || Topic::parse(kind).is_ok_and(|kind| Some(&kind) == canonical(found).as_ref())
}

impl FilterPlan {
    /// The type it selects, where it is one.
    pub fn kind(&self) -> Option<&str> {
        self.attributes.iter().find_map(|(name, test)| match test {
            AttributeTest::Equals(Value::String(kind)) if name == "type" => Some(kind.as_str()),
            _ => None,
        })
    }

    /// True when it selects the event; what an event lacks, or what fails on it, does not select it.
    pub fn matches(&self, event: &Value, arguments: &dyn Arguments) -> bool {
        let attributes = self.attributes.iter().all(|(name, test)| {
            let value = event.get(name).unwrap_or(&Value::Null);
            match (name.as_str(), test, value) {
                ("type", AttributeTest::Equals(Value::String(kind)), Value::String(found)) => is_same_type(kind, found),
                _ => test.holds(value, arguments),
            }
        });
        attributes && self.data.as_ref().is_none_or(|test| test.holds(&task_data(event), arguments))
    }

    /// What its correlations take from an event, by name: what a host indexes. `None`: one of them fails.
    pub fn correlation(&self, event: &Value, arguments: &dyn Arguments) -> Option<Vec<(String, Value)>> {
        self.correlate
            .iter()
            .map(|c| {
                let value = c.from.eval(event, arguments).ok().filter(|value| !value.is_null())?;
                Some((c.name.clone(), value))
            })
            .collect()
    }

    fn select(
        &self,
        event: &Value,
        expect: &BTreeMap<String, Value>,
        arguments: &dyn Arguments,
    ) -> Option<Vec<(String, Value)>> {
        if !self.matches(event, arguments) {
            return None;
        }
        let values = self.correlation(event, arguments)?;
        values.iter().all(|(name, value)| expect.get(name).is_none_or(|expected| expected == value)).then_some(values)
    }
}

impl AttributeTest {
    fn holds(&self, value: &Value, arguments: &dyn Arguments) -> bool {
        match self {
            Self::Equals(wanted) => wanted == value,
            Self::Expression(expression) => match expression.eval(value, arguments) {
                Ok(Value::Bool(decided)) => decided,
                Ok(other) => other == *value && !other.is_null(),
                Err(_) => false,
            },
        }
    }
}
