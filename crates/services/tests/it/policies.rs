//! Rules for conflicts, set by many at once and left by an earlier release.

use std::sync::Arc;

use nexus_core::{
    access::Principal,
    plugin::NoPlugins,
    problem::Code,
    record::Value,
    store::{Commit, Key, Write},
};
use nexus_services::{
    registry::RegistryOptions,
    state::{NewPolicy, OnConflict, Policy, StateOptions, StateStore},
};

use crate::rig::Rig;

async fn opened(rig: &Rig) -> StateStore {
    StateStore::open(&rig.hub, StateOptions::default(), Arc::new(NoPlugins)).await.expect("the state")
}

async fn store() -> (Rig, StateStore) {
    let rig = Rig::new(RegistryOptions::default()).await;
    let state = opened(&rig).await;
    (rig, state)
}

fn rule(prefix: String) -> NewPolicy {
    NewPolicy { prefix, on_conflict: OnConflict::Merge, ..NewPolicy::default() }
}

/// Sets rules at once, each by a task of its own; the codes of the refusals.
async fn set_at_once(state: &StateStore, rules: impl Iterator<Item = (String, String)>) -> Vec<Option<Code>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (name, prefix) in rules {
        let state = state.clone();
        tasks.spawn(async move {
            let set = state.set_policy(&name, rule(prefix), &Principal::admin("test")).await;
            // Whoever was told that it is set finds it in force at once.
            assert!(set.is_err() || state.policies().iter().any(|p| p.name == name), "{name} is not in force");
            set.err().map(|e| e.code)
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_rule_that_was_set_is_in_force_however_many_are_set_at_once() {
    let (_rig, state) = store().await;
    for round in 0..40 {
        let done = set_at_once(&state, (0..16).map(|n| (format!("p{n}"), format!("{round}/{n}/")))).await;
        assert!(done.iter().all(Option::is_none), "{done:?}");
        let mut prefixes: Vec<_> = state.policies().into_iter().map(|p| p.rule.prefix).collect();
        prefixes.sort();
        let mut right: Vec<_> = (0..16).map(|n| format!("{round}/{n}/")).collect();
        right.sort();
        assert_eq!(prefixes, right);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_rules_of_one_prefix_one_is_set_and_the_others_are_told() {
    let (rig, state) = store().await;
    for round in 0..20 {
        let done = set_at_once(&state, (0..10).map(|n| (format!("r{round}.{n}"), format!("{round}/")))).await;
        assert_eq!(done.iter().filter(|e| e.is_none()).count(), 1, "{done:?}");
        assert!(done.iter().flatten().all(|code| *code == Code::Conflict), "{done:?}");
    }
    assert_eq!(state.policies().len(), 20);
    assert_eq!(opened(&rig).await.policies(), state.policies(), "and so after a start");
}

#[tokio::test]
async fn rules_that_an_earlier_release_stored_take_part_and_two_of_one_prefix_do_no_harm() {
    let (rig, state) = store().await;
    let by = Principal::admin("test");
    for (name, prefix) in [("a", "x/"), ("b", "x/"), ("c", "y/")] {
        let body = serde_json::json!({
            "name": name, "rule": rule(prefix.into()), "updated_by": "x", "updated_at": rig.hub.desk().now(),
        });
        let write = Write::Put { key: Key::of::<Policy>(name), columns: vec![Value::Null], body: body.to_string() };
        rig.store.commit(Commit { documents: vec![write], ..Commit::default() }).await.expect("stored");
    }
    let reopened = opened(&rig).await;
    let names: Vec<_> = reopened.policies().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for prefix in ["x/", "y/"] {
        let taken = reopened.set_policy("d", rule(prefix.into()), &by).await.expect_err("taken");
        assert!(taken.message.contains("has this prefix already"), "{taken:?}");
    }
    // Also for one who looked before there was any: the store itself refuses a second rule of a prefix.
    reopened.remove_policy("a", &by).await.expect("removed");
    reopened.set_policy("b", rule("x/".into()), &by).await.expect("the other may stay");
    let body = serde_json::json!({}).to_string();
    let second = Write::Put { key: Key::of::<Policy>("e"), columns: vec!["x/".into()], body };
    assert!(rig.store.commit(Commit { documents: vec![second], ..Commit::default() }).await.is_err());
    drop(state);
}
