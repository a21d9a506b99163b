//! Flows as documents, as expressions and as runs, from outside.

mod documents;
mod specs;
