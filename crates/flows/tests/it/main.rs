//! Flows as documents, as expressions and as runs, from outside.

mod documents;
mod driver;
mod features;
mod gherkin;
mod limits;
mod random_flows;
mod specs;
