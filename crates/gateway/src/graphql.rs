//! GraphQL at `/graphql`: questions and changes by POST, questions by GET, subscriptions over graphql-transport-ws, and a
//! page to try them on.
//!
//! The fields answer from the same rooms as the REST routes, under the same scopes. [`admission`] measures a document
//! before anything else looks at it; [`http`] and [`socket`] are the two doors; [`protocol`] is the language of the
//! second, [`session`] speaks it.

use async_graphql::{MergedObject, MergedSubscription, Schema as Built};

mod admission;
mod ask;
mod cost;
mod flows;
pub(crate) mod http;
mod live;
mod mutation;
mod objects;
mod protocol;
mod query;
mod run;
mod scalars;
mod services;
mod session;
mod socket;
mod state;

/// Directives on one field.
const DIRECTIVES: usize = 8;

/// The questions that the hub answers.
#[derive(MergedObject, Default)]
pub(crate) struct Query(query::LogQuery, services::ServicesQuery, state::StateQuery, flows::FlowsQuery);

/// The changes that the hub makes.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(mutation::LogMutation, state::StateMutation);

/// What changes, as it changes.
#[derive(MergedSubscription, Default)]
pub(crate) struct Changes(live::Live, state::StateLive);

/// The schema and its resolvers.
pub(crate) type Schema = Built<Query, Mutation, Changes>;

/// The schema, with its limits.
pub(crate) fn schema() -> Schema {
    Built::build(Query::default(), Mutation::default(), Changes::default())
        .limit_depth(admission::DEPTH)
        .extension(cost::Cost)
        // Fragments count here as well; what admission lets pass is at most three times its depth.
        .limit_recursive_depth(3 * admission::DEPTH)
        .limit_directives(DIRECTIVES)
        .finish()
}

/// The schema in its own language, for clients and for `api/schema.graphql`.
pub fn graphql() -> String {
    schema().sdl()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/schema.graphql");
        if std::env::var_os("UPDATE_API").is_some() {
            std::fs::write(path, graphql()).expect("api/schema.graphql can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == graphql(),
            "api/schema.graphql is stale: run UPDATE_API=1 cargo nextest run -p nexus-gateway"
        );
    }
}
