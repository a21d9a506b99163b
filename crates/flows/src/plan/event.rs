//! Events to wait for, compiled: which, what of them is wanted, what links them to a run.

use serde_json::Value;

use super::Node;
use crate::expression::{Expression, Template};

/// `listen`.
#[derive(Debug)]
pub struct ListenPlan {
    /// To which events.
    pub strategy: StrategyPlan,
    /// What of an event is wanted.
    pub read: ReadAs,
    /// What to do with each.
    pub foreach: Option<ForeachPlan>,
}

/// What of an event is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadAs {
    /// Its data.
    #[default]
    Data,
    /// All of it.
    Envelope,
    /// Its data as text.
    Raw,
}

/// What to do with each event.
#[derive(Debug)]
pub struct ForeachPlan {
    /// What it is called.
    pub item: String,
    /// What its index is called.
    pub at: String,
    /// The tasks.
    pub tasks: Vec<Node>,
    /// What each gives.
    pub output_as: Option<Template>,
    /// What each leaves in the context.
    pub export_as: Option<Template>,
}

/// Which events to wait for.
#[derive(Debug)]
pub enum StrategyPlan {
    /// One event.
    One(FilterPlan),
    /// Any of several.
    Any(Vec<FilterPlan>, Option<UntilPlan>),
    /// Each of several.
    All(Vec<FilterPlan>),
}

impl StrategyPlan {
    /// Its filters, those of `until` after the others.
    pub fn filters(&self) -> Vec<&FilterPlan> {
        match self {
            Self::One(filter) => vec![filter],
            Self::All(filters) => filters.iter().collect(),
            Self::Any(filters, until) => {
                let mut all: Vec<&FilterPlan> = filters.iter().collect();
                if let Some(UntilPlan::Events(strategy)) = until {
                    all.extend(strategy.filters());
                }
                all
            }
        }
    }

    /// How many filters select events that are kept.
    pub fn kept(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Any(filters, _) | Self::All(filters) => filters.len(),
        }
    }
}

/// When `any` stops.
#[derive(Debug)]
pub enum UntilPlan {
    /// When this holds of what was consumed.
    Condition(Expression),
    /// When these events came.
    Events(Box<StrategyPlan>),
}

/// One set of events.
#[derive(Debug)]
pub struct FilterPlan {
    /// Attributes that must be as given; `data` apart.
    pub attributes: Vec<(String, AttributeTest)>,
    /// What the data must be.
    pub data: Option<AttributeTest>,
    /// What links an event to a run: a name, what to take from the event, what it must be.
    pub correlate: Vec<CorrelationPlan>,
}

/// What an attribute must be.
#[derive(Debug)]
pub enum AttributeTest {
    /// Exactly this.
    Equals(Value),
    /// An expression over the attribute: `true` and `false` decide, anything else must equal the attribute. A regular
    /// expression is one, too: `test("^…$")`.
    Expression(Expression),
}

/// A link between events and a run.
#[derive(Debug)]
pub struct CorrelationPlan {
    /// Its name.
    pub name: String,
    /// What to take from the event.
    pub from: Expression,
    /// What it must be; without, the first value counts.
    pub expect: Option<Template>,
}
