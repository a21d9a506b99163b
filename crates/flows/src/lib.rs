//! Automations: Open Workflow documents, validated once, interpreted as a pure function of their state and inputs.

pub mod duration;
pub mod error;
pub mod expression;
pub mod model;
pub mod plan;
pub mod pointer;
pub mod problem;
pub mod schedule;
pub mod secrets;
pub mod uri;
pub mod validate;
pub mod yaml;

pub use plan::Definition;
pub use validate::publish;
