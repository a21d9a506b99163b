//! What a flow may do: no more than who published it might do at that time.

use nexus_core::{
    access::Principal,
    own,
    problem::{Code, Problem},
    topic::Topic,
};

use crate::{
    detect::MATCHED,
    expression::Template,
    plan::{Definition, Work},
};

/// The scope for events.
const PUBLISH: &str = "events:publish";
/// The scope for runs.
const RUN: &str = "flows:run";

/// Refuses events of a type that who published the flow may not publish, or that only the hub may. What is no type at all is refused elsewhere.
pub(super) fn may_emit(by: &Principal, kind: &str) -> Result<(), String> {
    match Topic::parse(kind) {
        Ok(topic) if own::is_own(topic.as_str()) => Err(own::reason(topic.as_str())),
        Ok(topic) if !by.may_for(PUBLISH, topic.as_str()) => {
            Err(format!("the flow's publisher lacked the scope {PUBLISH}:{topic}"))
        }
        _ => Ok(()),
    }
}

/// What a flow publishes as it stands in the document: place and type; `None`: known when it is published.
fn published(definition: &Definition) -> Vec<(String, Option<String>)> {
    let text = |template: &Template| match template.field("type") {
        Some(serde_json::Value::String(kind)) => Some(kind.clone()),
        _ => None,
    };
    let mut found = Vec::new();
    definition.each_node(&mut |node| match &node.work {
        Work::Emit(template) => found.push((format!("{}/emit", node.pointer), text(template))),
        Work::Function { name, with, .. } if name == "publish" => {
            found.push((format!("{}/with", node.pointer), text(with)));
        }
        _ => {}
    });
    // A match is the hub's own word; under a type of its own it is whatever who waits for that type takes it for.
    let matches = definition.settings.detect.iter().filter(|plan| plan.emit != MATCHED);
    found.extend(matches.map(|plan| (format!("nexus.dev/detect of {}", plan.name), Some(plan.emit.clone()))));
    found
}

/// What other flows a flow runs: place and `namespace/name`.
fn run(definition: &Definition) -> Vec<(String, String)> {
    let mut found = Vec::new();
    definition.each_node(&mut |node| {
        if let Work::Run(plan) = &node.work {
            let flow = format!("{}/{}", plan.flow.namespace, plan.flow.name);
            found.push((format!("{}/run", node.pointer), flow));
        }
    });
    found
}

/// A flow does nothing that its publisher may not do; what is known only when it runs is looked at then.
pub(super) fn may_publish(definition: &Definition, by: &Principal) -> Result<(), Problem> {
    let lacks = |scope: String, why: &str| {
        Err(Problem::new(Code::Forbidden, format!("{} lacks the scope {scope}: {why}", by.name)))
    };
    if let Some(secret) = definition.secrets.iter().find(|name| !by.may_for("secrets:use", name)) {
        return lacks(format!("secrets:use:{secret}"), "the flow passes that secret on");
    }
    for (place, flow) in run(definition) {
        if !by.may_for(RUN, &flow) {
            return lacks(format!("{RUN}:{flow}"), &format!("the flow runs that one ({place})"));
        }
    }
    for (place, kind) in published(definition) {
        match kind {
            Some(kind) if Topic::parse(&kind).is_ok_and(|topic| own::is_own(topic.as_str())) => {
                return Err(Problem::new(Code::Forbidden, format!("{place}: {}", own::reason(&kind))));
            }
            Some(kind) if may_emit(by, &kind).is_err() => {
                return lacks(format!("{PUBLISH}:{kind}"), &format!("the flow publishes such events ({place})"));
            }
            None if !by.may_some(PUBLISH) => {
                return lacks(PUBLISH.to_owned(), &format!("the flow publishes events ({place})"));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}
