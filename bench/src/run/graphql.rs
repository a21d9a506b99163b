//! GraphQL beside the REST routes that do the same, in one run on one hub: what the schema costs.

use serde_json::{Value, json};

use super::{Settings, Subject, take_turns};
use crate::{
    error::{Error, Fallible},
    hub::Hub,
    report::{Report, Series},
    template::{NUMBER, Template},
};

/// Reads one event of this log, and publishes to it, by either door.
pub(crate) async fn run(settings: &Settings) -> Fallible<Report> {
    let folder = settings.folder()?;
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    let connections = settings.connections;
    let stored = hub.call("POST", "/events/order.created", Some(json!({"payload": {"n": 1}}))).await?;
    let id = stored["message_id"].as_str().ok_or_else(|| Error::new("publishing gave no id"))?.to_owned();
    let query = format!("{{event(id:\"{id}\"){{id seq type source time payload}}}}");
    let change = format!(
        "mutation{{publishEvent(topic:\"order.created\",payload:\"{{\\\"n\\\":\\\"{NUMBER}\\\"}}\"){{messageId seq}}}}"
    );
    let to = |method: &str, path: &str, body: Option<Value>| {
        Template::plain(hub.request(method, path, body).into_bytes(), 1)
    };
    let subjects = vec![
        Subject::http(
            "GraphQL event(id)",
            &hub.server,
            to("POST", "/graphql", Some(json!({"query": query}))),
            connections,
        ),
        Subject::http(
            "REST GET /api/v1/events/{id}",
            &hub.server,
            to("GET", &format!("/api/v1/events/{id}"), None),
            connections,
        ),
        Subject::http(
            "GraphQL publishEvent",
            &hub.server,
            to("POST", "/graphql", Some(json!({"query": change}))),
            connections,
        ),
        Subject::http(
            "REST POST /events/{topic}",
            &hub.server,
            to("POST", "/events/order.created", Some(json!({"payload": {"n": NUMBER}}))),
            connections,
        ),
    ];
    let mut report =
        Report::new(format!("graphql: the same by GraphQL and by REST, {connections} connections"), "requests");
    let series = take_turns(subjects, settings).await?;
    if let [query, get, change, post] = &series[..] {
        let compare = |report: &mut Report, what: &str, graphql: &Series, rest: &Series| {
            report.figure(format!("{what}: rate by REST's"), "x", &[graphql.rate_by(rest)]);
            report.figure(format!("{what}: p99 by REST's"), "x", &[graphql.p99_by(rest)]);
        };
        compare(&mut report, "query", query, get);
        compare(&mut report, "publish", change, post);
    }
    report.series(series);
    hub.server.stop().await?;
    Ok(report)
}
